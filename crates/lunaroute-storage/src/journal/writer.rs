//! The one writer of a journal.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::ballast::{Ballast, BallastState};
use super::disk::{Disk, LocalDisk};
use super::error::JournalError;
use super::frame::{HEADER_BYTES, MAX_PAYLOAD_BYTES, Record};
use super::position::Position;
use super::reader;
use super::scan::{SegmentScan, Step};
use super::segment::{self, SegmentInfo};
use super::sync::{FinishedSync, PendingSync};
use super::tail::{JournalFailures, Tail};
use crate::failure::{FileError, FileOperation};
use crate::files;

const LOCK_NAME: &str = "lock";

/// How a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// Where the segments are; created when missing.
    pub directory: PathBuf,
    /// A batch that would make a segment longer than this goes to a new one; a batch that is longer itself has a
    /// segment of its own. 32 MiB unless said.
    pub segment_bytes: u64,
    /// Space kept aside so that essential records fit on a full disk; 0 keeps none. 16 MiB unless said.
    pub ballast_bytes: u64,
    /// How much may wait for a sync, in memory as well as on disk, before an append syncs by itself. 8 MiB unless said.
    pub unsynced_bytes: usize,
    /// The lowest number the next segment may get: one more than the highest segment that any reader's checkpoint
    /// names. Needed only when the directory itself was lost.
    pub next_segment_at_least: Option<u64>,
}

impl JournalConfig {
    /// The default bounds, in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: 32 * 1024 * 1024,
            ballast_bytes: 16 * 1024 * 1024,
            unsynced_bytes: 8 * 1024 * 1024,
            next_segment_at_least: None,
        }
    }
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Segments in the directory.
    pub segments: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// Whole frames in the two newest segments that hold anything; the older ones were durable before the last was begun
    /// and are not read.
    pub frames: u64,
    /// Bytes after the last whole frame of those segments. They stay where they are; writing goes on in a new segment.
    pub torn_bytes: u64,
    /// Damaged places before that.
    pub damaged_frames: u64,
}

/// How the journal is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalHealth {
    /// Whether there is a segment to write to. After a failure the next append or sync tries to open one.
    pub writable: bool,
    /// Whether ordinary records are being refused because the disk is full.
    pub storage_full: bool,
    /// The space kept aside.
    pub ballast: BallastState,
    /// Bytes that are appended but not durable yet.
    pub unsynced_bytes: u64,
    /// What has failed since the journal was opened.
    pub failures: JournalFailures,
}

/// What [`Journal::prune`] deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Segments.
    pub segments: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// The writer. There is one per directory, in one process, and it is used by one thread at a time.
pub struct Journal {
    config: JournalConfig,
    tail: Tail,
    ballast: Ballast,
    storage_full: bool,
    _lock: File,
}

impl Journal {
    /// Opens the journal for writing, on the disk of this machine.
    ///
    /// The newest segment is read to its end and made durable; writing goes on in a new segment.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process writes it; [`JournalError::UnknownVersion`] when a newer program
    /// wrote it; [`JournalError::StorageFull`] or [`JournalError::File`] when it cannot be read,
    /// made durable or created.
    pub fn open(config: JournalConfig) -> Result<(Self, Recovery), JournalError> {
        Self::open_on(Box::new(LocalDisk), config)
    }

    /// Opens the journal on a given disk; a test hands one that fails.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(disk: Box<dyn Disk>, config: JournalConfig) -> Result<(Self, Recovery), JournalError> {
        let directory = &config.directory;
        files::create_private_directory(directory)
            .map_err(|source| FileError::new(FileOperation::Create, directory, source))?;
        let lock = lock(directory)?;
        let segments = segment::list(directory)?;
        let recovery = recover(disk.as_ref(), directory, &segments)?;
        let after_last = segments.last().map_or(1, |last| last.number.saturating_add(1));
        let number = after_last.max(config.next_segment_at_least.unwrap_or(0));
        let tail = Tail::start(disk, directory, number)?;
        let ballast = Ballast::prepare(tail.disk(), directory, config.ballast_bytes)?;
        Ok((Self { config, tail, ballast, storage_full: false, _lock: lock }, recovery))
    }

    /// Appends `records` in order and returns the end of the last one. They are written but not durable: that is when
    /// [`synced`](Self::synced) reaches the returned position. Either the whole batch is appended or nothing of it.
    ///
    /// While the ballast is released every ordinary append is refused, so that what is left stays for essential ones.
    ///
    /// # Errors
    /// [`JournalError::StorageFull`], [`JournalError::PayloadTooLarge`], or [`JournalError::File`] when three segments
    /// in a row failed. What was appended before stays promised: it is kept in memory and written again.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<Position, JournalError> {
        if self.ballast.state() == BallastState::Released {
            return Err(JournalError::StorageFull { directory: self.config.directory.clone() });
        }
        self.write(records)
    }

    /// Appends records that must not be lost on a full disk (few and small: ends and gaps), giving the ballast up for
    /// them when there is no other room.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`JournalError::StorageFull`] only when the ballast is used up too.
    pub fn append_essential(&mut self, records: &[Record<'_>]) -> Result<Position, JournalError> {
        match self.write(records) {
            Err(JournalError::StorageFull { .. }) if self.release_ballast()? => self.write(records),
            settled => settled,
        }
    }

    /// Makes everything appended so far durable and returns the new [`synced`](Self::synced). Costs nothing when
    /// nothing is new.
    ///
    /// # Errors
    /// [`JournalError::File`] or [`JournalError::StorageFull`] when it could be made durable in no segment; everything
    /// stays in memory and the next call tries again.
    pub fn sync(&mut self) -> Result<Position, JournalError> {
        // The frames were accepted already, so repeating them after a failure is essential by itself.
        let synced = match self.tail.sync() {
            Err(JournalError::StorageFull { .. }) if self.release_ballast()? => self.tail.sync(),
            settled => settled,
        };
        self.tail.shrink(self.config.unsynced_bytes);
        synced
    }

    /// What makes everything appended so far durable, to be run on another thread while this one goes on appending;
    /// `None` when nothing is new, or when only [`sync`](Self::sync) can help because there is no segment. Its outcome
    /// belongs into [`finish_sync`](Self::finish_sync) before another is begun.
    #[must_use]
    pub fn begin_sync(&self) -> Option<PendingSync> {
        self.tail.begin_sync()
    }

    /// Takes note of a sync that has run, and returns the new [`synced`](Self::synced). When it failed, what it should
    /// have made durable is made so here, in a new segment.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn finish_sync(&mut self, finished: FinishedSync) -> Result<Position, JournalError> {
        let synced = match self.tail.finish_sync(finished) {
            Err(JournalError::StorageFull { .. }) if self.release_ballast()? => self.tail.sync(),
            settled => settled,
        };
        self.tail.shrink(self.config.unsynced_bytes);
        synced
    }

    /// Where the next append of at most `bytes` bytes (payloads and [`FRAME_HEADER_BYTES`](super::FRAME_HEADER_BYTES)
    /// for each record) will stand if the disk takes it. Begins a new segment when the present one has no room for it.
    ///
    /// # Errors
    /// As [`sync`](Self::sync), when a new segment is due and cannot be had.
    pub fn make_room(&mut self, bytes: usize) -> Result<Position, JournalError> {
        let unsynced = self.tail.pending_bytes();
        if unsynced > 0 && unsynced + bytes > self.config.unsynced_bytes {
            self.tail.sync()?;
        }
        let filled = self.tail.segment_bytes();
        if filled > 0 && filled + bytes as u64 > self.config.segment_bytes {
            self.tail.rotate()?;
        }
        Ok(self.tail.end())
    }

    /// Whether an append of at most `bytes` bytes, frames included, goes where the last one went: without a new segment, and
    /// without a sync because too much waits for one.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let unsynced = self.tail.pending_bytes() + bytes <= self.config.unsynced_bytes;
        let segment = self.tail.segment_bytes() + bytes as u64 <= self.config.segment_bytes;
        self.tail.has_segment() && unsynced && segment
    }

    /// Goes on in a new segment, so that the present one can be [pruned](Self::prune) once nobody needs it; does nothing
    /// when that is empty.
    ///
    /// # Errors
    /// As [`sync`](Self::sync), when the new segment cannot be had.
    pub fn begin_segment(&mut self) -> Result<Position, JournalError> {
        if self.tail.segment_bytes() > 0 {
            self.tail.rotate()?;
        }
        Ok(self.tail.end())
    }

    /// The place after the last appended frame: what a reader may read up to.
    pub fn end(&self) -> Position {
        self.tail.end()
    }

    /// The place up to which everything is durable.
    pub fn synced(&self) -> Position {
        self.tail.synced()
    }

    /// The directory the journal lives in.
    pub fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// How the journal is doing.
    pub fn health(&self) -> JournalHealth {
        JournalHealth {
            writable: self.tail.has_segment(),
            storage_full: self.storage_full || self.ballast.state() == BallastState::Released,
            ballast: self.ballast.state(),
            unsynced_bytes: self.tail.pending_bytes() as u64,
            failures: self.tail.failures(),
        }
    }

    /// The segments there are, by rising number; the last one is being written.
    ///
    /// # Errors
    /// [`JournalError::File`] when the directory cannot be listed.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, JournalError> {
        segment::list(&self.config.directory)
    }

    /// Deletes, oldest first, the segments that lie entirely before `before`: the least of what all readers have
    /// stored. The segment being written stays, whatever `before` says, and so does what stands before frames that were
    /// repeated after a failure: such a frame may refer to an earlier one by the place at which it first stood.
    ///
    /// # Errors
    /// [`JournalError::File`] when a segment cannot be deleted; the ones after it are then still there.
    pub fn prune(&mut self, before: Position) -> Result<Pruned, JournalError> {
        let below = before.segment.min(self.end().segment);
        let begins =
            reader::start_of_repetition(&self.config.directory, Position { segment: below, offset: 0 })?;
        // Frames can have been repeated from two segments: one that was full, and the one after it.
        let below = if begins.segment < below { begins.segment.saturating_sub(1) } else { below };
        let mut pruned = Pruned::default();
        for info in self.segments()?.into_iter().take_while(|info| info.number < below) {
            let path = segment::path(&self.config.directory, info.number);
            self.tail
                .disk()
                .remove(&path)
                .map_err(|source| FileError::new(FileOperation::Remove, &path, source))?;
            pruned.segments += 1;
            pruned.bytes += info.bytes;
        }
        if pruned.segments > 0 {
            let directory = &self.config.directory;
            let synced = self.tail.disk().sync_directory(directory);
            synced.map_err(|source| FileError::new(FileOperation::Sync, directory, source))?;
        }
        Ok(pruned)
    }

    /// Gives the space that is kept aside back to the disk; `false` when there was none. From then on only essential
    /// records are taken, until [`restore_ballast`](Self::restore_ballast).
    ///
    /// # Errors
    /// [`JournalError::File`] when the ballast cannot be deleted.
    pub fn release_ballast(&mut self) -> Result<bool, JournalError> {
        self.ballast.release(self.tail.disk())
    }

    /// Keeps the space aside again once the disk has room; ordinary records are taken from then on. To be called now
    /// and then while [`JournalHealth::ballast`] says released; does nothing otherwise.
    ///
    /// # Errors
    /// [`JournalError::StorageFull`] when there is no room yet, [`JournalError::File`] when the disk fails.
    pub fn restore_ballast(&mut self) -> Result<(), JournalError> {
        self.ballast.restore(self.tail.disk())?;
        self.storage_full = false;
        Ok(())
    }

    fn write(&mut self, records: &[Record<'_>]) -> Result<Position, JournalError> {
        let mut bytes = 0;
        for record in records {
            let payload = record.payload_bytes();
            if payload > MAX_PAYLOAD_BYTES {
                return Err(JournalError::PayloadTooLarge { kind: record.kind, bytes: payload });
            }
            bytes += HEADER_BYTES + payload;
        }
        if records.is_empty() {
            return Ok(self.end());
        }
        let written = self.make_room(bytes).and_then(|_| self.tail.append(records));
        self.storage_full = matches!(written, Err(JournalError::StorageFull { .. }));
        written
    }
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK_NAME);
    let file = files::private_options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| FileError::new(FileOperation::Create, &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(FileError::new(FileOperation::Lock, &path, source).into()),
    }
}

/// Looks at the two newest segments that hold anything, the only ones a crash can have torn, and makes them durable:
/// what is read back from now on must not vanish with the power.
fn recover(disk: &dyn Disk, directory: &Path, segments: &[SegmentInfo]) -> Result<Recovery, JournalError> {
    let mut recovery = Recovery {
        segments: segments.len() as u64,
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        ..Recovery::default()
    };
    for newest in segments.iter().rev().filter(|segment| segment.bytes > 0).take(2) {
        let start = Position { segment: newest.number, offset: 0 };
        let Some(mut scan) = SegmentScan::open(directory, start)? else { continue };
        loop {
            match scan.next(newest.bytes)? {
                Step::Frame { .. } => recovery.frames += 1,
                Step::Damage { bytes, to_end: true } => recovery.torn_bytes += bytes,
                Step::Damage { .. } => recovery.damaged_frames += 1,
                Step::End => break,
            }
        }
        let path = segment::path(directory, newest.number);
        disk.sync_existing(&path).map_err(|source| FileError::new(FileOperation::Sync, &path, source))?;
    }
    Ok(recovery)
}
