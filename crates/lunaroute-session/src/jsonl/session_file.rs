//! One file that is being written.

use std::path::{Path, PathBuf};

use lunaroute_storage::AppendingFile;
use lunaroute_storage::journal::Position;

use super::archive;
use super::bases::WrittenBases;
use super::error::JsonlError;
use super::line::{self, LeftOut, Place};
use super::tail::Tail;
use crate::writer::JournaledEvent;

/// A buffer larger than this is given back once its lines are durable.
const KEPT_BUFFER_BYTES: usize = 16 * 1024;

pub(super) struct SessionFile {
    path: PathBuf,
    /// Closed when others are needed more.
    handle: Option<AppendingFile>,
    /// Bytes that are known to be durable.
    durable_bytes: u64,
    /// The lines after those: the first `written` bytes are in the file, the rest is taken and not in it yet. All are
    /// held until they are durable, to be written anew if the disk fails to make them so.
    lines: Vec<u8>,
    written: usize,
    /// The last event that was taken, and the last whose line is in the file.
    last: Option<Place>,
    last_written: Option<Place>,
    /// What the last line says, so that the next one need not.
    told: Option<Position>,
    bases: WrittenBases,
    /// What follows `durable_bytes` in the file may not be what was written there.
    in_doubt: bool,
    /// Number of its last use.
    pub(super) used: u64,
}

impl SessionFile {
    /// Opens or creates the file, cuts off what is torn and finds out how far it came.
    pub(super) fn open(path: PathBuf, durable: Position) -> Result<Self, JsonlError> {
        let mut handle = AppendingFile::open_unsynced(&path)?;
        let mut last = None;
        if handle.length() > 0 {
            let tail = Tail::of(&path, durable)?;
            if tail.whole_bytes < handle.length() {
                handle.truncate_to(tail.whole_bytes)?;
            }
            last = tail.last;
        }
        if last.is_none() {
            // Lines that were packed away already are not written again either.
            last = archive::last_of(&path)?;
        }
        Ok(Self {
            path,
            durable_bytes: handle.length(),
            handle: Some(handle),
            lines: Vec::new(),
            written: 0,
            last,
            last_written: last,
            told: None,
            bases: WrittenBases::default(),
            in_doubt: false,
            used: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that the file can be appended to; says whether it had to be opened. One that was removed begins anew:
    /// what was in it is not wanted any more.
    pub(super) fn reopen(&mut self) -> Result<bool, JsonlError> {
        if self.has_taken() {
            return Ok(false);
        }
        if let Some(handle) = &self.handle
            && handle.has_name()?
        {
            return Ok(false);
        }
        let was_open = self.handle.take().is_some();
        let handle = AppendingFile::open_unsynced(&self.path)?;
        if handle.length() != self.durable_bytes + self.written as u64 && !self.in_doubt {
            self.durable_bytes = handle.length();
            self.lines.clear();
            self.written = 0;
            self.forget_told();
        }
        self.handle = Some(handle);
        Ok(!was_open)
    }

    /// Takes the event's line, unless it is in the file; says whether it took it.
    pub(super) fn take(&mut self, item: &JournaledEvent) -> bool {
        let place = Place { position: item.position, seq: item.event.seq };
        if self.last.is_some_and(|last| place <= last) {
            return false;
        }
        let left_out = LeftOut { session: self.told.is_some(), journal: self.told == Some(place.position) };
        let shared = self.bases.enter(&item.event);
        line::append(&item.event, place, left_out, shared, &mut self.lines);
        (self.last, self.told) = (Some(place), Some(place.position));
        true
    }

    fn has_taken(&self) -> bool {
        self.lines.len() > self.written
    }

    /// Forgets the lines that are not in the file.
    pub(super) fn take_back(&mut self) {
        if self.has_taken() {
            self.lines.truncate(self.written);
            self.last = self.last_written;
            self.forget_told();
        }
    }

    /// The next line says everything itself.
    fn forget_told(&mut self) {
        self.told = None;
        self.bases.clear();
    }

    /// Writes the lines that were taken; says how many bytes they have.
    pub(super) fn write(&mut self) -> Result<usize, JsonlError> {
        if !self.has_taken() {
            return Ok(0);
        }
        self.clear_doubt()?;
        let handle = handle(&mut self.handle, &self.path)?;
        if let Err(failure) = handle.append(&self.lines[self.written..]) {
            self.in_doubt = true;
            return Err(failure.into());
        }
        let bytes = self.lines.len() - self.written;
        self.written = self.lines.len();
        self.last_written = self.last;
        Ok(bytes)
    }

    /// Makes the lines in the file durable.
    pub(super) fn sync(&mut self) -> Result<(), JsonlError> {
        let was_open = self.handle.is_some();
        self.clear_doubt()?;
        if let Err(failure) = handle(&mut self.handle, &self.path)?.sync() {
            self.in_doubt = true;
            return Err(failure.into());
        }
        self.is_durable();
        if !was_open {
            self.handle = None;
        }
        Ok(())
    }

    /// Everything that was written is durable.
    pub(super) fn is_durable(&mut self) {
        self.durable_bytes += self.written as u64;
        self.written = 0;
        self.lines.clear();
        self.lines.shrink_to(KEPT_BUFFER_BYTES);
    }

    /// Making it durable failed together with other files.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// After a sync that failed the file is cut back to what is known to be durable and the rest is written anew: a
    /// second sync of the same bytes may report a success that is none.
    pub(super) fn clear_doubt(&mut self) -> Result<(), JsonlError> {
        if self.in_doubt {
            let handle = handle(&mut self.handle, &self.path)?;
            handle.truncate_to(self.durable_bytes)?;
            handle.append(&self.lines[..self.written])?;
            self.in_doubt = false;
        }
        Ok(())
    }

    /// Whether lines in the file are not durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.written > 0
    }

    /// Closes the file. Nothing that was taken may be missing in it.
    pub(super) fn close(&mut self) {
        self.handle = None;
        self.bases.forget_small();
    }
}

fn handle<'a>(
    handle: &'a mut Option<AppendingFile>,
    path: &Path,
) -> Result<&'a mut AppendingFile, JsonlError> {
    match handle {
        Some(handle) => Ok(handle),
        closed => Ok(closed.insert(AppendingFile::open_unsynced(path)?)),
    }
}
