//! Runs the built `xtask` on small workspaces of its own.

mod layers;
mod skeleton;
mod tidy;
