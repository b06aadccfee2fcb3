//! What can go wrong with the recorder, as its callers see it.

use std::path::PathBuf;
use std::time::Duration;

use lunaroute_storage::journal::JournalError;

/// The recorder could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The journal cannot be opened.
    #[error("the recorder's journal cannot be opened: {0}")]
    Journal(#[from] JournalError),
    /// The operating system gave no thread.
    #[error("the recorder could not start its thread '{name}': {source}")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// Nobody reads the bodies.
    #[error("the recorder needs an interpreter that reads bodies; give one to the builder")]
    NoInterpreter,
    /// A setting cannot work.
    #[error("the recorder's setting {setting} must be {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// A request is not, or not yet, in the record as its caller was promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The journal did not take it in time.
    #[error(
        "the recorder did not write the request down within {waited:?}; it is overloaded or its disk is slow"
    )]
    TooSlow {
        /// How long was waited.
        waited: Duration,
    },
    /// Too much waits for the journal already.
    #[error("the recorder's queue is full; the disk cannot keep up with the traffic")]
    QueueFull,
    /// The disk is full.
    #[error("the disk that holds the journal in {} is full; make room, recording goes on by itself", directory.display())]
    DiskFull {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// The journal cannot be written.
    #[error("the journal cannot be written: {reason}")]
    JournalDown {
        /// Why, for people.
        reason: String,
    },
    /// The recorder was shut down.
    #[error("the recorder has been shut down")]
    Stopped,
    /// The recorder's thread has failed.
    #[error("the recorder has failed; see the log, start the gateway again and report this")]
    Dead,
}

/// Not everything was written by the deadline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("after {waited:?} not everything was written: {}", behind.join(", "))]
pub struct FlushError {
    /// How long was waited.
    pub waited: Duration,
    /// What is behind: `journal`, or names of writers.
    pub behind: Vec<String>,
}
