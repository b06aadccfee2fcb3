//! The session crate at its walls.

mod arbitrary;
mod bodies;
mod crash;
mod disks;
mod exchange;
mod jsonl;
mod jsonl_format;
mod jsonl_read;
mod query;
mod recorder;
mod recorder_faults;
mod recorder_guests;
mod recorder_long;
mod recorder_pressure;
mod rig;
mod sqlite;
mod sqlite_answers;
mod sqlite_damage;
mod sqlite_open;
mod sqlite_removal;
mod sqlite_removed;
mod sqlite_replay;
mod story;
mod verify;
