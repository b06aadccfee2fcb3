//! The load and the bare proxy, against the simulated provider in this process, and the program's exit code.

#![expect(clippy::unwrap_used, reason = "a test that meets an unexpected value has to panic")]

mod gate;
mod load;
mod proxy;
mod stand;
