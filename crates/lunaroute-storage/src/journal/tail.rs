//! The growing end of the journal: the active segment, the frames that are not durable yet, and what is done when a
//! write or a sync fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::JournalError;
use super::frame::{self, Record};
use super::position::Position;
use super::segment;
use super::sync::{Covered, FinishedSync, PendingSync, SegmentFile};
use crate::failure::{FileError, FileOperation};

/// New segments tried for one call before the failure is handed to the caller.
const ATTEMPTS: usize = 3;

/// What has failed since the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalFailures {
    /// Writes that failed for another reason than a full disk.
    pub writes: u64,
    /// Writes that found the disk full.
    pub full_writes: u64,
    /// Syncs that failed.
    pub syncs: u64,
    /// Segments given up because their state was in doubt.
    pub sealed_segments: u64,
    /// Frames appended once more to a new segment.
    pub repeated_frames: u64,
}

struct Active {
    number: u64,
    file: Arc<SegmentFile>,
    bytes: u64,
}

pub(crate) struct Tail {
    directory: PathBuf,
    disk: Box<dyn Disk>,
    /// `None` after a failure, until a new segment could be opened.
    active: Option<Active>,
    /// The segment before the active one, while frames of it are in `pending`.
    filled: Option<Arc<SegmentFile>>,
    next_segment: u64,
    next_sequence: u64,
    /// The frames since the last successful sync, as they stand on disk.
    pending: Vec<u8>,
    /// Grows whenever `pending` no longer begins as it did: a sync begun before has nothing to say then.
    epoch: u64,
    end: Position,
    synced: Position,
    failures: JournalFailures,
}

impl Tail {
    /// Starts a new segment `number`. Sequence numbers begin at the segment's number in the upper half: no segment can
    /// hold 2^32 frames, so this is beyond every number used before without having to look for the last one.
    pub(crate) fn start(disk: Box<dyn Disk>, directory: &Path, number: u64) -> Result<Self, JournalError> {
        let start = Position { segment: number, offset: 0 };
        let mut tail = Self {
            directory: directory.to_owned(),
            disk,
            active: None,
            filled: None,
            next_segment: number,
            next_sequence: number << 32,
            pending: Vec::new(),
            epoch: 0,
            end: start,
            synced: start,
            failures: JournalFailures::default(),
        };
        tail.open_segment(false)?;
        tail.synced = tail.end;
        Ok(tail)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(crate) fn end(&self) -> Position {
        self.end
    }

    pub(crate) fn synced(&self) -> Position {
        self.synced
    }

    pub(crate) fn failures(&self) -> JournalFailures {
        self.failures
    }

    pub(crate) fn has_segment(&self) -> bool {
        self.active.is_some()
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Bytes in the active segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.bytes)
    }

    /// Appends all of `records` in one write, or none of them.
    pub(crate) fn append(&mut self, records: &[Record<'_>]) -> Result<Position, JournalError> {
        self.leave_doubtful();
        let mark = self.pending.len();
        let mut at = self.active.as_ref().map_or_else(Position::default, |active| Position {
            segment: active.number,
            offset: active.bytes,
        });
        for record in records {
            let before = self.pending.len();
            frame::encode(record, self.next_sequence, at, &mut self.pending);
            at.offset += (self.pending.len() - before) as u64;
            // Never taken back, not even when the write fails: whole frames of it may stand on the disk.
            self.next_sequence += 1;
        }
        let written = self.write_pending(mark);
        if written.is_err() {
            self.pending.truncate(mark);
        }
        written.map(|()| self.end)
    }

    fn write_pending(&mut self, mark: usize) -> Result<(), JournalError> {
        let Some(active) = self.active.as_mut() else { return self.reopen() };
        match active.file.write(&self.pending[mark..]) {
            Ok(()) => {
                active.bytes += (self.pending.len() - mark) as u64;
                self.end = Position { segment: active.number, offset: active.bytes };
                Ok(())
            }
            Err(failure) => self.after_failed_write(failure),
        }
    }

    /// A refused allocation leaves a known state, so the write is undone and the segment stays in use. Any other
    /// failure, or one to undo, puts the file in doubt: it is given up, and what is not durable is written again.
    fn after_failed_write(&mut self, failure: FileError) -> Result<(), JournalError> {
        let full = failure.is_storage_full();
        if full {
            self.failures.full_writes += 1;
        } else {
            self.failures.writes += 1;
        }
        let undone = full && self.active.as_ref().is_some_and(|active| active.file.truncate(active.bytes));
        if !undone {
            self.seal();
        }
        if full { Err(self.storage_full()) } else { self.reopen() }
    }

    /// Makes everything appended so far durable.
    pub(crate) fn sync(&mut self) -> Result<Position, JournalError> {
        self.sync_after(0)
    }

    /// As [`sync`](Self::sync), when `failures` attempts have failed already.
    fn sync_after(&mut self, failures: usize) -> Result<Position, JournalError> {
        self.leave_doubtful();
        let mut attempt = failures;
        while !self.pending.is_empty() {
            if self.active.is_none() {
                self.reopen()?;
            }
            let synced = self.unsynced_files().try_for_each(|file| file.sync());
            match synced {
                Ok(()) => {
                    self.pending.clear();
                    self.filled = None;
                    self.epoch += 1;
                }
                Err(failure) => {
                    self.failures.syncs += 1;
                    self.seal();
                    attempt += 1;
                    if attempt >= ATTEMPTS {
                        return Err(failure.into());
                    }
                }
            }
        }
        self.synced = self.end;
        Ok(self.synced)
    }

    fn unsynced_files(&self) -> impl Iterator<Item = &Arc<SegmentFile>> {
        self.filled.iter().chain(self.active.as_ref().map(|active| &active.file))
    }

    /// What makes everything appended so far durable, to be run elsewhere; `None` when there is nothing, or no segment.
    pub(crate) fn begin_sync(&self) -> Option<PendingSync> {
        if self.pending.is_empty() || self.active.is_none() {
            return None;
        }
        let covers = Covered { bytes: self.pending.len(), end: self.end, epoch: self.epoch };
        Some(PendingSync { files: self.unsynced_files().map(Arc::clone).collect(), covers })
    }

    /// Takes note of what a sync that ran elsewhere made durable. When it failed, its file is given up and everything
    /// is made durable in another.
    pub(crate) fn finish_sync(&mut self, finished: FinishedSync) -> Result<Position, JournalError> {
        let FinishedSync { covers, result } = finished;
        if covers.epoch != self.epoch {
            // What a failed one speaks of was written again meanwhile, and is not durable there yet.
            return if result.is_err() { self.sync() } else { Ok(self.synced) };
        }
        if result.is_err() {
            self.failures.syncs += 1;
            return self.sync_after(1);
        }
        self.pending.drain(..covers.bytes);
        // Frames may have followed in the segment that was active then, before the present one was begun.
        let same_segment = self.active.as_ref().is_some_and(|active| active.number == covers.end.segment);
        if same_segment || self.pending.is_empty() {
            self.filled = None;
        }
        self.epoch += 1;
        self.synced = covers.end;
        Ok(self.synced)
    }

    /// Goes on in a new segment; the old one stays active when no new one can be had. What is not durable in the old
    /// one becomes so with the next sync; of such segments there is one at most.
    pub(crate) fn rotate(&mut self) -> Result<(), JournalError> {
        if self.filled.is_some() {
            self.sync()?;
        }
        let old =
            self.active.as_ref().filter(|_| !self.pending.is_empty()).map(|active| Arc::clone(&active.file));
        self.open_segment(false)?;
        self.filled = old;
        if self.pending.is_empty() {
            self.synced = self.end;
        }
        Ok(())
    }

    pub(crate) fn shrink(&mut self, capacity: usize) {
        self.pending.shrink_to(capacity);
    }

    /// A sync that runs elsewhere may have failed a moment ago.
    fn leave_doubtful(&mut self) {
        let doubtful = self.unsynced_files().any(|file| file.is_given_up());
        if doubtful {
            self.seal();
        }
    }

    fn seal(&mut self) {
        self.unsynced_files().for_each(|file| file.give_up());
        self.active = None;
        self.filled = None;
        self.epoch += 1;
        self.failures.sealed_segments += 1;
    }

    /// Opens a new segment after a failure, trying again with another when the disk fails there too.
    fn reopen(&mut self) -> Result<(), JournalError> {
        for _ in 1..ATTEMPTS {
            match self.open_segment(true) {
                Err(JournalError::File(_)) => {}
                settled => return settled,
            }
        }
        self.open_segment(true)
    }

    /// Creates the next segment and makes it the active one; with `repeat` every frame that is not durable yet stands
    /// at its start.
    fn open_segment(&mut self, repeat: bool) -> Result<(), JournalError> {
        let number = self.next_segment;
        if number > segment::MAX_SEGMENT {
            return Err(JournalError::SegmentNumberOutOfRange { number });
        }
        self.next_segment += 1;
        let path = segment::path(&self.directory, number);
        let repeated = if repeat {
            frame::relocate(&mut self.pending, Position { segment: number, offset: 0 })
        } else {
            0
        };
        match self.create(path, if repeat { &self.pending } else { &[] }) {
            Ok(file) => {
                let bytes = if repeat { self.pending.len() as u64 } else { 0 };
                self.active = Some(Active { number, file, bytes });
                self.end = Position { segment: number, offset: bytes };
                self.failures.repeated_frames += repeated;
                Ok(())
            }
            Err(failure) if failure.is_storage_full() => Err(self.storage_full()),
            Err(failure) => Err(failure.into()),
        }
    }

    fn create(&self, path: PathBuf, content: &[u8]) -> Result<Arc<SegmentFile>, FileError> {
        let fail = |operation, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| FileError::new(operation, &path, source)
        };
        let file = self.disk.create(&path).map_err(fail(FileOperation::Create, &path))?;
        let file = SegmentFile::new(path, file);
        let settled = file.write(content).and_then(|()| {
            self.disk.sync_directory(&self.directory).map_err(fail(FileOperation::Sync, &self.directory))
        });
        if settled.is_err() {
            // Nothing is promised in this file yet. If it cannot be removed, a reader finds only repetitions in it.
            let _ = self.disk.remove(file.path());
        }
        settled.map(|()| file)
    }

    fn storage_full(&self) -> JournalError {
        JournalError::StorageFull { directory: self.directory.clone() }
    }
}
