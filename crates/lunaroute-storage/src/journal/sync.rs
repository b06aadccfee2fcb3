//! Making segments durable, on whatever thread has the time to wait for the disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{self, DiskFile};
use super::position::Position;
use crate::failure::{FileError, FileOperation};

/// A segment that is open for writing.
pub(crate) struct SegmentFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Held while a sync runs: an operating system tells a failure to one of two that wait for it, and the other must
    /// not take that for a success.
    syncing: Mutex<()>,
    /// A write or sync has failed: what the file holds is in doubt, and the disk is not asked about it again.
    given_up: AtomicBool,
}

impl SegmentFile {
    pub(crate) fn new(path: PathBuf, file: Box<dyn DiskFile>) -> Arc<Self> {
        Arc::new(Self { path, file, syncing: Mutex::new(()), given_up: AtomicBool::new(false) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), FileError> {
        disk::write_all(self.file.as_ref(), bytes)
            .map_err(|source| FileError::new(FileOperation::Write, &self.path, source))
    }

    pub(crate) fn truncate(&self, length: u64) -> bool {
        self.file.truncate(length).is_ok()
    }

    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    pub(crate) fn sync(&self) -> Result<(), FileError> {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = if self.is_given_up() {
            Err(std::io::Error::other("an earlier write or sync of this file failed"))
        } else {
            self.file.sync()
        };
        result.map_err(|source| {
            self.give_up();
            FileError::new(FileOperation::Sync, &self.path, source)
        })
    }
}

/// A sync that is to be run, on any thread, while the journal goes on appending. Made by
/// [`Journal::begin_sync`](super::Journal::begin_sync).
#[must_use = "nothing is durable before it has run"]
pub struct PendingSync {
    /// Older first: what is durable in a later one is so after what stands before it.
    pub(crate) files: Vec<Arc<SegmentFile>>,
    pub(crate) covers: Covered,
}

/// What a sync makes durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covered {
    /// So many bytes of the frames that wait for a sync.
    pub(crate) bytes: usize,
    pub(crate) end: Position,
    /// The state of the tail that it was begun in; in another one it says nothing.
    pub(crate) epoch: u64,
}

/// What came of a [`PendingSync`]; to be handed to [`Journal::finish_sync`](super::Journal::finish_sync).
#[must_use = "the journal has to know what became of it"]
pub struct FinishedSync {
    pub(crate) covers: Covered,
    pub(crate) result: Result<(), FileError>,
}

impl PendingSync {
    /// Up to where everything is durable when this succeeds.
    pub fn end(&self) -> Position {
        self.covers.end
    }

    /// Waits for the disk.
    pub fn run(self) -> FinishedSync {
        let result = self.files.iter().try_for_each(|file| file.sync());
        FinishedSync { covers: self.covers, result }
    }
}

impl FinishedSync {
    /// Whether everything up to [`PendingSync::end`] is durable.
    pub fn succeeded(&self) -> bool {
        self.result.is_ok()
    }
}
