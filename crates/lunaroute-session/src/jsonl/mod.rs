//! Keeps events as lines of JSON: one file for each session and day, for people and for tools that read text.
//!
//! `YYYY-MM-DD/<session>.jsonl`, the day in UTC of the event itself, so that files only grow and a run over midnight
//! has two. A line holds the envelope, the event's place in the journal, its kind with its fields, and its raw bytes as
//! `body` when they are UTF-8, else as `body_base64`. A line is there as a whole or not at all, and never twice: the
//! last line of a file says how far it came.

mod archive;
mod line;
mod open_file;
mod tail;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lunaroute_core::Timestamp;
use lunaroute_storage::journal::Position;
use lunaroute_storage::{FileName, atomic};
use serde::{Deserialize, Serialize};

use self::archive::Archive;
use self::open_file::OpenFile;
pub use self::tail::JsonlError;
use crate::writer::{Ack, Batching, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, WriteError};

const NAME: &str = "jsonl";
const CHECKPOINT: &str = "checkpoint.json";

/// What may be written and not durable: it is held in memory as well, in case the disk fails to make it durable.
const UNSYNCED_BYTES: usize = 8 * 1024 * 1024;

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
    files: HashMap<PathBuf, OpenFile>,
    /// Counts uses, to tell which file was used longest ago.
    uses: u64,
    unsynced_bytes: usize,
    /// The place after the last event that was taken.
    taken: Position,
    durable: Position,
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
        Ok(Self {
            config,
            files: HashMap::new(),
            uses: 0,
            unsynced_bytes: 0,
            taken: durable,
            durable,
            written: 0,
            archive,
        })
    }

    fn take_batch(&mut self, batch: &[JournaledEvent]) -> Result<(), JsonlError> {
        let mut touched: Vec<PathBuf> = Vec::new();
        for item in batch {
            let path = path_of(&self.config.directory, item)?;
            let file = self.file(&path)?;
            if file.take(item) && touched.last() != Some(&path) {
                touched.push(path);
            }
        }
        for path in touched {
            let Some(file) = self.files.get_mut(&path) else { continue };
            match file.write() {
                Ok(bytes) => self.unsynced_bytes += bytes,
                Err(failure) => return Err(self.give_up_buffers(failure)),
            }
        }
        if let Some(last) = batch.last() {
            self.taken = self.taken.max(last.next);
        }
        if self.unsynced_bytes >= UNSYNCED_BYTES { self.sync() } else { Ok(()) }
    }

    /// A batch that failed comes again: what is buffered of it and not in a file is taken back.
    fn give_up_buffers(&mut self, failure: JsonlError) -> JsonlError {
        self.files.values_mut().for_each(OpenFile::take_back);
        failure
    }

    fn file(&mut self, path: &Path) -> Result<&mut OpenFile, JsonlError> {
        self.uses += 1;
        if !self.files.contains_key(path) {
            if self.files.len() >= self.config.open_files.max(1) {
                self.close_oldest()?;
            }
            let file = OpenFile::open(path, self.durable)?;
            self.files.insert(path.to_owned(), file);
        }
        let file = self.files.get_mut(path).ok_or_else(|| JsonlError::Forgotten { path: path.to_owned() })?;
        file.used = self.uses;
        Ok(file)
    }

    fn close_oldest(&mut self) -> Result<(), JsonlError> {
        // A file with buffered lines of the present batch is written when its turn comes.
        for file in self.files.values_mut() {
            self.unsynced_bytes += file.write()?;
        }
        let oldest = self.files.iter().min_by_key(|(_, file)| file.used).map(|(path, _)| path.clone());
        if let Some(path) = oldest
            && let Some(file) = self.files.get_mut(&path)
        {
            self.unsynced_bytes -= file.sync()?;
            self.files.remove(&path);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JsonlError> {
        for file in self.files.values_mut() {
            self.unsynced_bytes -= file.sync()?;
        }
        if self.taken > self.durable {
            write_checkpoint(&self.config.directory, self.taken)?;
            self.durable = self.taken;
        }
        Ok(())
    }

    /// Compresses an old file, when there is one and nothing else to do.
    fn archive_one(&mut self) {
        let Some(archive) = &mut self.archive else { return };
        let open = |path: &Path| self.files.contains_key(path);
        if let Err(failure) = archive.next(&self.config.directory, Timestamp::now(), Instant::now(), open) {
            tracing::warn!(%failure, "a file of JSON lines could not be compressed; it stays as it is");
        }
    }
}

impl SessionWriter for JsonlWriter {
    fn name(&self) -> &str {
        NAME
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        Ok(self.durable)
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        self.take_batch(batch).map_err(|failure| {
            self.files.values_mut().for_each(OpenFile::take_back);
            refused(&failure)
        })?;
        self.written += batch.len() as u64;
        Ok(vec![ItemOutcome::Written; batch.len()])
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        self.sync().map_err(|failure| refused(&failure))?;
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

fn refused(failure: &JsonlError) -> WriteError {
    WriteError { writer: NAME.to_owned(), message: failure.to_string(), transient: true, rewind: false }
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

fn write_checkpoint(directory: &Path, position: Position) -> Result<(), JsonlError> {
    let Position { segment, offset } = position;
    let text = serde_json::to_vec(&Checkpoint { segment, offset })
        .expect("two numbers, and memory never fails to write");
    Ok(atomic::write(&directory.join(CHECKPOINT), &text)?)
}

/// Longest file name of a session without its ending: room for `.jsonl.zst-unfinished` within 255 bytes.
const STEM_BYTES: usize = 230;

/// The file of an event. The name of a session too long for a file name is cut and made unique by a hash.
fn path_of(directory: &Path, item: &JournaledEvent) -> Result<PathBuf, JsonlError> {
    let event = &item.event;
    let day = event.at.to_string();
    let day = FileName::new(day.get(..10).unwrap_or("unknown-day"))?;
    let session = event.session.as_str();
    let stem = if session.len() <= STEM_BYTES {
        session.to_owned()
    } else {
        let hash = blake3::hash(session.as_bytes()).to_hex();
        format!("{}-{}", &session[..STEM_BYTES - 33], &hash[..32])
    };
    let name = FileName::new(format!("{stem}.jsonl"))?;
    Ok(name.inside(&day.inside(directory)))
}
