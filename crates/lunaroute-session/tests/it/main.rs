//! The session crate at its walls.

mod bodies;
mod crash;
mod disks;
mod jsonl;
mod query;
mod recorder;
mod recorder_faults;
mod recorder_pressure;
mod rig;
mod sqlite;
mod sqlite_open;
mod sqlite_replay;
mod story;
mod verify;
