//! An append-only journal in segments: the one place where a recorded byte becomes a promise.
//!
//! # On disk
//! A directory holds numbered segment files, a lock file and the ballast. A segment is a row of frames and nothing
//! else. A frame is a header of 28 bytes and its payload; the header names the length, the sequence number and a
//! checksum of the payload, and carries a checksum of itself *and of the place it stands at*. So bytes that look like
//! a frame but lie inside a payload, or come from a deleted segment, are never taken for one.
//!
//! # What holds
//! - A frame is durable once [`Journal::sync`] has returned after its [`Journal::append`], or a [`PendingSync`] that was
//!   begun after it has succeeded; while that one waits for the disk, appends go on.
//! - A file whose write or sync failed is never written or synced again: the frames since its last good sync are
//!   appended once more to a new segment, from memory, marked as repeated. A reader passes each of them on once.
//! - A write that finds the disk full is undone, not sealed: the state of the file is known.
//! - Segment numbers are never used twice, so a [`Position`] stays valid for ever.
//! - Only one process can hold a [`Journal`]; any number may read beside it.

pub mod disk;

mod ballast;
mod error;
mod frame;
mod position;
mod reader;
mod scan;
mod seen;
mod segment;
mod sync;
mod tail;
mod writer;

pub use ballast::BallastState;
pub use error::JournalError;
pub use frame::{FRAME_HEADER_BYTES, Frame, MAX_PAYLOAD_BYTES, Record};
pub use position::Position;
pub use reader::{Damage, JournalReader, WholeJournal, oldest_segment, read_all, read_at};
pub use segment::SegmentInfo;
pub use sync::{FinishedSync, PendingSync};
pub use tail::JournalFailures;
pub use writer::{Journal, JournalConfig, JournalHealth, Pruned, Recovery};
