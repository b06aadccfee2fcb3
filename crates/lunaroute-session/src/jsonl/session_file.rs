//! One file that is being written.

use std::path::{Path, PathBuf};

use lunaroute_storage::AppendingFile;
use lunaroute_storage::journal::Position;

use super::archive;
use super::error::JsonlError;
use super::line::Place;
use super::tail::Tail;
use super::told::Told;
use crate::writer::JournaledEvent;

/// Lines are written when they have so many bytes, so that those of a long answer are not in memory all at once.
const WRITE_BYTES: usize = 256 * 1024;

pub(super) struct SessionFile {
    path: PathBuf,
    /// Closed when others are needed more.
    handle: Option<AppendingFile>,
    /// Bytes that the file has, and those of them that are known to be durable.
    bytes: u64,
    durable_bytes: u64,
    /// The last event whose line is in the file, and the last whose line is durable.
    last: Option<Place>,
    last_durable: Option<Place>,
    told: Told,
    /// What follows this length may not be what was written there: it is cut off before anything is appended.
    cut_to: Option<u64>,
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
            bytes: handle.length(),
            durable_bytes: handle.length(),
            handle: Some(handle),
            last,
            last_durable: last,
            told: Told::default(),
            cut_to: None,
            used: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that the file can be appended to; says whether it had to be opened. One that was removed begins anew:
    /// what was in it is not wanted any more.
    pub(super) fn reopen(&mut self) -> Result<bool, JsonlError> {
        if let Some(handle) = &self.handle
            && handle.has_name()?
        {
            return Ok(false);
        }
        let was_open = self.handle.take().is_some();
        let handle = AppendingFile::open_unsynced(&self.path)?;
        if handle.length() != self.bytes {
            self.bytes = handle.length();
            self.durable_bytes = self.durable_bytes.min(self.bytes);
            self.cut_to = self.cut_to.map(|length| length.min(self.bytes));
            self.told.forget();
        }
        self.handle = Some(handle);
        Ok(!was_open)
    }

    /// Writes the lines of those events that are not in the file yet, in one piece unless they are many; says how many bytes
    /// they have. `buffer` is for their text.
    pub(super) fn write<'a>(
        &mut self,
        items: impl Iterator<Item = &'a JournaledEvent>,
        buffer: &mut Vec<u8>,
    ) -> Result<usize, JsonlError> {
        buffer.clear();
        let (mut last, mut written) = (self.last, 0);
        for item in items {
            let place = Place { position: item.position, seq: item.event.seq };
            if last.is_none_or(|last| last < place) {
                self.told.append(&item.event, place, buffer);
                last = Some(place);
            }
            if buffer.len() >= WRITE_BYTES {
                written += self.write_out(buffer, last)?;
            }
        }
        Ok(written + self.write_out(buffer, last)?)
    }

    /// Writes the lines, of which the last is that of `last`, and empties their buffer.
    fn write_out(&mut self, lines: &mut Vec<u8>, last: Option<Place>) -> Result<usize, JsonlError> {
        if lines.is_empty() {
            return Ok(0);
        }
        if let Err(failure) = self.append(lines) {
            // The events come again; what their lines told is not in the file.
            self.told.forget();
            return Err(failure);
        }
        self.last = last;
        let written = lines.len();
        lines.clear();
        Ok(written)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), JsonlError> {
        let handle = handle(&mut self.handle, &self.path)?;
        if let Some(length) = self.cut_to {
            handle.truncate_to(length)?;
            (self.bytes, self.cut_to) = (length, None);
        }
        match handle.append(lines) {
            Ok(bytes) => self.bytes = bytes,
            Err(failure) => {
                self.cut_to = Some(self.bytes);
                return Err(failure.into());
            }
        }
        Ok(())
    }

    /// Makes the lines in the file durable.
    pub(super) fn sync(&mut self) -> Result<(), JsonlError> {
        match &mut self.handle {
            Some(handle) => handle.sync()?,
            None => AppendingFile::open_unsynced(&self.path)?.sync()?,
        }
        self.is_durable();
        Ok(())
    }

    /// Everything that was written is durable.
    pub(super) fn is_durable(&mut self) {
        self.durable_bytes = self.bytes;
        self.last_durable = self.last;
    }

    /// Making it durable failed. A second try of the same bytes may report a success that is none, so what is not
    /// durable is cut off and written anew when its events come again.
    pub(super) fn go_back(&mut self) {
        self.cut_to = Some(self.durable_bytes);
        self.last = self.last_durable;
        self.told.forget();
    }

    /// Whether lines in the file are not durable. What is to be cut off are none.
    pub(super) fn is_dirty(&self) -> bool {
        self.cut_to.map_or(self.bytes, |length| length.min(self.bytes)) > self.durable_bytes
    }

    pub(super) fn close(&mut self) {
        self.handle = None;
        self.told.shrink();
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
