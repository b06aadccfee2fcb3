//! The session crate at its walls.

mod query;
mod sqlite;
mod sqlite_open;
mod sqlite_replay;
mod story;
mod verify;
