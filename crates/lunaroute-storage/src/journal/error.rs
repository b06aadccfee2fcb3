//! What can go wrong with a journal.

use std::path::PathBuf;

use super::position::Position;
use crate::failure::FileError;

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes this journal.
    #[error("the journal in {} is in use by another process; stop that process or choose another directory", directory.display())]
    Locked {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// There is no room for these frames. Nothing of the batch is kept; the journal itself is whole.
    #[error("the disk that holds the journal in {} is full; make room, then ordinary records are taken again", directory.display())]
    StorageFull {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// A payload is longer than a frame can hold. Nothing of the batch was written.
    #[error(
        "a record of kind {kind} has {bytes} bytes, a frame holds at most {}; split it",
        super::MAX_PAYLOAD_BYTES
    )]
    PayloadTooLarge {
        /// The record's kind.
        kind: u8,
        /// The length of its payload in bytes.
        bytes: usize,
    },
    /// A newer version of this program wrote a frame of a form this one does not know.
    #[error("the frame at {position} in {} has format version {version}, newer than this program knows; use the newer program", directory.display())]
    UnknownVersion {
        /// The journal's directory.
        directory: PathBuf,
        /// Where the frame starts.
        position: Position,
        /// The version it carries.
        version: u8,
    },
    /// No segment number is left after this one; only a damaged checkpoint can ask for that.
    #[error(
        "segment number {number} is beyond what a journal can have; the checkpoint or the stray file it comes from is damaged"
    )]
    SegmentNumberOutOfRange {
        /// The number that was asked for.
        number: u64,
    },
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
}
