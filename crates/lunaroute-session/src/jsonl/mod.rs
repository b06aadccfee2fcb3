//! Keeps events as lines of JSON: one file for each session and day, for people and for tools that read text.
//!
//! `YYYY-MM-DD/<session>.jsonl`, the day in UTC of the event itself, so that files only grow and a run over midnight
//! has two. A line holds the event's request, number, time and kind with its fields, and its raw bytes as `body` when
//! they are UTF-8, else as `body_base64`. Left out is what an earlier line of the file says: the session, the place in
//! the journal when it follows that of the line before, and what a request body has in common with an earlier one. A line is
//! there as a whole or not at all, and never twice: the last line of a file says how far it came. [`read`] gives every
//! event back as it was.

mod archive;
mod delete;
mod error;
mod files;
mod heard;
mod last;
mod line;
mod names;
mod read;
mod removals;
mod session_file;
mod tail;
mod told;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lunaroute_core::Timestamp;
use lunaroute_storage::atomic;
use lunaroute_storage::journal::Position;
use serde::{Deserialize, Serialize};

use self::archive::Archive;
pub use self::delete::delete;
pub use self::error::JsonlError;
use self::files::Files;
pub use self::line::LineError;
pub(crate) use self::read::entries;
pub use self::read::read;
use self::removals::Removals;
pub use self::removals::{RemovedSession, remove};
use crate::writer::{Ack, Batching, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, WriteError};

const NAME: &str = "jsonl";
const CHECKPOINT: &str = "checkpoint.json";

/// How the files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonlConfig {
    /// Where the days are; created when missing.
    pub directory: PathBuf,
    /// After how many days a file is compressed to `.jsonl.zst`; `None` leaves all as they are.
    pub archive_after_days: Option<u32>,
    /// How many files are held open at most.
    pub open_files: usize,
}

impl JsonlConfig {
    /// Files in `directory`, never compressed, 64 of them open.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), archive_after_days: None, open_files: 64 }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Checkpoint {
    segment: u64,
    offset: u64,
}

/// Writes events to files of JSON lines.
pub struct JsonlWriter {
    config: JsonlConfig,
    files: Files,
    removals: Removals,
    /// The place after the last event that was taken.
    taken: Position,
    durable: Position,
    /// What was taken since `durable` was lost on the way to the disk and has to come again.
    lost_place: bool,
    written: u64,
    archive: Option<Archive>,
}

impl JsonlWriter {
    /// Opens the directory, and cuts off the lines that a crash has torn.
    ///
    /// # Errors
    /// [`JsonlError`] when the directory cannot be created or read.
    pub fn open(config: JsonlConfig) -> Result<Self, JsonlError> {
        let durable = match read_checkpoint(&config.directory)? {
            Some(Checkpoint { segment, offset }) => Position { segment, offset },
            None => {
                // Written at once, so that a directory that cannot be written is found here and not with the first event.
                write_checkpoint(&config.directory, Position::default())?;
                Position::default()
            }
        };
        tail::repair_recent(&config.directory, durable)?;
        let archive = config.archive_after_days.map(Archive::new);
        let files = Files::new(&config.directory, config.open_files)?;
        let removals = Removals::new(&config.directory);
        Ok(Self { config, files, removals, taken: durable, durable, lost_place: false, written: 0, archive })
    }

    fn take_batch(&mut self, batch: &[JournaledEvent]) -> Result<(), JsonlError> {
        self.require_place()?;
        let held = self.removals.hold()?;
        self.files.write(&self.removals.wanted(batch), self.durable)?;
        drop(held);
        if let Some(last) = batch.last() {
            self.taken = self.taken.max(last.next);
        }
        if self.files.is_full() { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), JsonlError> {
        self.require_place()?;
        if let Err(failure) = self.files.sync() {
            self.lost_place = true;
            return Err(failure);
        }
        if self.taken > self.durable {
            write_checkpoint(&self.config.directory, self.taken)?;
            self.durable = self.taken;
        }
        self.removals.passed(self.durable)
    }

    fn require_place(&self) -> Result<(), JsonlError> {
        if self.lost_place { Err(JsonlError::LostPlace { durable: self.durable }) } else { Ok(()) }
    }

    fn refused(&self, failure: &JsonlError) -> WriteError {
        let message = failure.to_string();
        WriteError { writer: NAME.to_owned(), message, transient: true, rewind: self.lost_place }
    }

    /// Compresses an old file, when there is one and nothing else to do.
    fn archive_one(&mut self) {
        let Some(archive) = &mut self.archive else { return };
        let is_known = |path: &Path| self.files.is_known(path);
        // A file that is removed meanwhile would come back compressed.
        let archived = self.removals.hold().and_then(|_held| {
            archive.next(&self.config.directory, Timestamp::now(), Instant::now(), is_known)
        });
        if let Err(failure) = archived {
            tracing::warn!(%failure, "a file of JSON lines could not be compressed; it stays as it is");
        }
    }
}

impl SessionWriter for JsonlWriter {
    fn name(&self) -> &str {
        NAME
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        (self.taken, self.lost_place) = (self.durable, false);
        Ok(self.durable)
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        self.take_batch(batch).map_err(|failure| self.refused(&failure))?;
        self.written += batch.len() as u64;
        Ok(vec![ItemOutcome::Written; batch.len()])
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        self.sync().map_err(|failure| self.refused(&failure))?;
        self.archive_one();
        Ok(Ack { position: self.durable })
    }

    fn shutdown(&mut self, _deadline: Instant) -> DrainReport {
        if let Err(failure) = self.sync() {
            tracing::warn!(%failure, "the last lines are not durable; they are written again after the next start");
        }
        DrainReport { written: self.written, lost: 0 }
    }

    fn batching(&self) -> Option<Batching> {
        Some(Batching { wait: Duration::from_millis(200), ..Batching::default() })
    }
}

fn read_checkpoint(directory: &Path) -> Result<Option<Checkpoint>, JsonlError> {
    let path = directory.join(CHECKPOINT);
    match std::fs::read(&path) {
        Ok(text) => {
            let checkpoint = serde_json::from_slice(&text).ok();
            if checkpoint.is_none() {
                // Reading the journal again from its start costs time only: no line is written twice.
                tracing::warn!(path = %path.display(), "the checkpoint cannot be read; starting from the first event");
            }
            Ok(checkpoint)
        }
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JsonlError::Read { path, source }),
    }
}

/// How far the writer of the files in this directory has come in the journal; its start when it has not begun.
pub(crate) fn reached(directory: &Path) -> Result<Position, JsonlError> {
    let checkpoint = read_checkpoint(directory)?;
    Ok(checkpoint
        .map_or_else(Position::default, |Checkpoint { segment, offset }| Position { segment, offset }))
}

fn write_checkpoint(directory: &Path, position: Position) -> Result<(), JsonlError> {
    let Position { segment, offset } = position;
    let text = serde_json::to_vec(&Checkpoint { segment, offset })
        .expect("two numbers, and memory never fails to write");
    Ok(atomic::write(&directory.join(CHECKPOINT), &text)?)
}

#[cfg(test)]
mod tests {
    use lunaroute_core::{FailureKind, RequestId, SessionId};

    use super::*;
    use crate::event::{Body, EventKind, SessionEvent};

    fn events(numbers: std::ops::Range<u32>) -> Vec<JournaledEvent> {
        let of_number = |seq: u32| {
            let place = |offset| Position { segment: 1, offset };
            let kind = EventKind::Error { error: FailureKind::TooLarge, message: format!("event {seq}") };
            let session = SessionId::parse(&format!("run-{}", seq % 12)).expect("valid");
            let (request, at) = (RequestId::from_bytes([7; 16]), Timestamp::from_micros(i64::from(seq)));
            let event = SessionEvent { session, request, seq, at, kind, body: Body::default() };
            let offset = u64::from(seq) * 10;
            JournaledEvent { position: place(offset), next: place(offset + 10), event: event.into() }
        };
        numbers.map(of_number).collect()
    }

    fn seqs(directory: &Path) -> Vec<u32> {
        let found = read(directory).map(|item| item.expect("readable").seq);
        let mut seqs: Vec<u32> = found.collect();
        seqs.sort_unstable();
        seqs
    }

    /// The disk is made to fail by telling the files that it did: what they do next is what counts.
    #[test]
    fn after_a_failed_sync_nothing_is_trusted_and_everything_since_comes_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
        writer.write(&events(0..60)).expect("written");
        let durable = writer.flush().expect("flushed").position;
        writer.write(&events(60..120)).expect("written");
        writer.files.go_back();
        writer.lost_place = true;

        let refused = writer.write(&events(120..130)).expect_err("not before it has its place again");
        assert!(refused.rewind && refused.transient, "{refused}");
        assert!(writer.flush().expect_err("nothing to vouch for").rewind);
        assert_eq!(writer.checkpoint().expect("known"), durable);
        writer.write(&events(60..130)).expect("written");
        assert_eq!(writer.files.unsynced(), 12, "what was written again has to be made durable");
        assert_eq!(writer.flush().expect("flushed").position, events(129..130)[0].next);
        assert_eq!(seqs(directory.path()), (0..130).collect::<Vec<_>>());
        println!("lost 0, doubled 0 of 130 events in 12 files; {refused}");
    }

    #[test]
    fn writers_give_way_within_a_batch() {
        use crate::sqlite::{SqliteConfig, SqliteWriter};
        use crate::turn::ends_during;

        let directory = tempfile::tempdir().expect("a directory");
        let files = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
        let place = directory.path().join("lunaroute.db");
        let database = SqliteWriter::open(SqliteConfig::new(place)).expect("opens");
        let writers: [Box<dyn SessionWriter>; 2] = [Box::new(files), Box::new(database)];
        for mut writer in writers {
            writer.checkpoint().expect("known");
            let name = writer.name().to_owned();
            let gave_way = ends_during(|| {
                writer.write(&events(0..12)).expect("written");
            });
            assert!(gave_way, "{name}");
        }
    }

    #[test]
    fn long_lines_of_one_batch_are_written_in_pieces_and_in_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
        let mut batch = events(0..60);
        for item in &mut batch {
            std::sync::Arc::make_mut(&mut item.event).body = vec![b'x'; 100_000].into();
        }
        writer.write(&batch).expect("written");
        // What comes again is there already.
        writer.write(&batch).expect("written");
        writer.flush().expect("flushed");
        assert_eq!(seqs(directory.path()), (0..60).collect::<Vec<_>>());
    }
}
