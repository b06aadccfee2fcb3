//! What can go wrong with the files.

use std::io;
use std::path::{Path, PathBuf};

use lunaroute_storage::journal::Position;
use lunaroute_storage::{AppendingError, FileError, FileNameError};

use super::line::LineError;

/// What can go wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// A file or directory cannot be read.
    #[error("could not read {}: {source}; check that this user may", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Append(#[from] AppendingError),
    /// A file cannot be replaced, or not be made durable.
    #[error(transparent)]
    File(#[from] FileError),
    /// A session id gave no file name.
    #[error("no file can be named after the session: {0}")]
    Name(#[from] FileNameError),
    /// A compressed file does not unpack to what was packed.
    #[error("{} does not unpack to what was packed; the original is kept", path.display())]
    Unequal {
        /// The compressed file.
        path: PathBuf,
    },
    /// A file that was just opened is not there.
    #[error("{} was closed while it was needed", path.display())]
    Forgotten {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed to make lines durable, and they have not come again.
    #[error("the disk failed to keep lines; the events from {durable} on have to be written again")]
    LostPlace {
        /// Everything before is durable.
        durable: Position,
    },
    /// A line is not an event.
    #[error("line {line} of {} cannot be read: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: LineError,
    },
    /// The last line of a file is not whole: it is being written, or a crash has torn it.
    #[error("{} ends with {bytes} bytes of a line that is not whole", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Bytes of the torn line.
        bytes: u64,
    },
}

pub(super) fn read_error(path: &Path) -> impl FnOnce(io::Error) -> JsonlError {
    let path = path.to_owned();
    move |source| JsonlError::Read { path, source }
}
