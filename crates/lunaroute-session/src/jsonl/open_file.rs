//! One file that is being written.

use std::path::Path;

use lunaroute_storage::AppendingFile;
use lunaroute_storage::journal::Position;

use super::archive;
use super::line;
use super::tail::{JsonlError, Tail};
use crate::writer::JournaledEvent;

pub(super) struct OpenFile {
    file: AppendingFile,
    /// The last event whose line is in the file; those up to it are not written again.
    last: Option<Position>,
    /// Lines that are taken and not in the file yet, and the last event of them.
    buffer: Vec<u8>,
    buffered: Option<Position>,
    /// Lines in the file that are not durable yet.
    unsynced: Vec<u8>,
    durable_bytes: u64,
    /// What follows `durable_bytes` in the file may not be what was written there.
    in_doubt: bool,
    /// Number of its last use.
    pub(super) used: u64,
}

impl OpenFile {
    /// Opens the file, cuts off a torn line and finds out how far it came.
    pub(super) fn open(path: &Path, durable: Position) -> Result<Self, JsonlError> {
        let mut file = AppendingFile::open(path)?;
        let tail = Tail::of(path, durable)?;
        if tail.whole_bytes < file.length() {
            file.truncate_to(tail.whole_bytes)?;
        }
        let last = match tail.last {
            // Lines that were packed away already are not written again either.
            None => archive::last_of(path)?,
            known => known,
        };
        let durable_bytes = file.length();
        Ok(Self {
            file,
            last,
            buffer: Vec::new(),
            buffered: None,
            unsynced: Vec::new(),
            durable_bytes,
            in_doubt: false,
            used: 0,
        })
    }

    /// Takes the event's line, unless it is in the file; says whether it took it.
    pub(super) fn take(&mut self, item: &JournaledEvent) -> bool {
        if self.buffered.max(self.last).is_some_and(|last| item.position <= last) {
            return false;
        }
        line::append(item, &mut self.buffer);
        self.buffered = Some(item.position);
        true
    }

    /// Forgets the lines that are not in the file.
    pub(super) fn take_back(&mut self) {
        self.buffer.clear();
        self.buffered = None;
    }

    /// Writes the lines that were taken; says how many bytes they have.
    pub(super) fn write(&mut self) -> Result<usize, JsonlError> {
        if self.buffer.is_empty() {
            return Ok(0);
        }
        self.clear_doubt()?;
        if let Err(failure) = self.file.append(&self.buffer) {
            self.in_doubt = true;
            return Err(failure.into());
        }
        let bytes = self.buffer.len();
        self.unsynced.append(&mut self.buffer);
        self.last = self.buffered.take();
        Ok(bytes)
    }

    /// Makes the lines in the file durable; says how many bytes that was.
    pub(super) fn sync(&mut self) -> Result<usize, JsonlError> {
        if self.unsynced.is_empty() {
            return Ok(0);
        }
        self.clear_doubt()?;
        if let Err(failure) = self.file.sync() {
            self.in_doubt = true;
            return Err(failure.into());
        }
        self.durable_bytes = self.file.length();
        let bytes = self.unsynced.len();
        self.unsynced.clear();
        Ok(bytes)
    }

    /// After a sync that failed the file is cut back to what is known to be durable and the rest is written anew: a
    /// second sync of the same bytes may report a success that is none.
    fn clear_doubt(&mut self) -> Result<(), JsonlError> {
        if self.in_doubt {
            self.file.truncate_to(self.durable_bytes)?;
            self.file.append(&self.unsynced)?;
            self.in_doubt = false;
        }
        Ok(())
    }
}
