//! Sessions that were removed while the writer of the files was behind.
//!
//! Whoever removes a session knows it from the database. The writer of the files may not have come so far: what it wrote of
//! the session afterwards would bring a removed file back. So the requests that were removed are noted, and the writer
//! leaves their events out until it has passed the last of them. Notes and files change under a lock that the writer holds
//! while it writes: a removal is before a batch or after it, never within. Requests are named, and not the session alone,
//! because the session may go on with others.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lunaroute_core::{RequestId, SessionId};
use lunaroute_storage::journal::Position;
use lunaroute_storage::{AppendingFile, FileLock};
use serde::{Deserialize, Serialize};

use super::delete::delete;
use super::error::{JsonlError, read_error};
use super::read_checkpoint;
use crate::writer::JournaledEvent;

const NOTES: &str = "removed";
const LOCK: &str = "lock";

/// Notes beyond this length are begun anew: without a writer that passes them nobody else would ever end them.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// A session that was removed from the database.
#[derive(Debug, Clone)]
pub struct RemovedSession {
    /// The session.
    pub session: SessionId,
    /// Its requests that went with it.
    pub requests: Vec<RequestId>,
    /// All their events stand before this place in the journal.
    pub until: Position,
}

impl RemovedSession {
    /// One of which nothing has gone yet.
    pub(crate) fn new(session: SessionId) -> Self {
        Self { session, requests: Vec::new(), until: Position::default() }
    }
}

/// A line of the notes.
#[derive(Serialize, Deserialize)]
struct Note<'a> {
    session: Cow<'a, SessionId>,
    segment: u64,
    offset: u64,
    requests: Cow<'a, [RequestId]>,
}

/// Removes the files of a session as [`delete`] does, for good: what a writer that is behind has still to write of the
/// removed requests is left out.
///
/// # Errors
/// [`JsonlError`] when a file cannot be read, written or removed; calling it again goes on.
pub fn remove(directory: &Path, removed: &RemovedSession) -> Result<u64, JsonlError> {
    let _held = hold(directory)?;
    let behind = read_checkpoint(directory)?
        .is_some_and(|reached| Position { segment: reached.segment, offset: reached.offset } < removed.until);
    if behind && !removed.requests.is_empty() {
        note(directory, removed)?;
    }
    delete(directory, &removed.session)
}

fn hold(directory: &Path) -> Result<FileLock, JsonlError> {
    Ok(FileLock::wait(&directory.join(LOCK))?)
}

fn note(directory: &Path, removed: &RemovedSession) -> Result<(), JsonlError> {
    let note = Note {
        session: Cow::Borrowed(&removed.session),
        segment: removed.until.segment,
        offset: removed.until.offset,
        requests: Cow::Borrowed(&removed.requests),
    };
    // The line's end comes first: it ends a line that a crash has torn, too.
    let mut line = b"\n".to_vec();
    serde_json::to_writer(&mut line, &note).expect("ids and numbers, and memory never fails to write");
    let mut notes = AppendingFile::open(&directory.join(NOTES))?;
    if notes.length() > MOST_BYTES {
        notes.truncate_to(0)?;
    }
    notes.append(&line)?;
    Ok(notes.sync()?)
}

/// What the writer knows of removals.
pub(super) struct Removals {
    directory: PathBuf,
    /// Length and time of the notes that were read last.
    seen: Option<(u64, SystemTime)>,
    requests: HashSet<RequestId>,
    until: Position,
}

impl Removals {
    pub(super) fn new(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { directory, seen: None, requests: HashSet::new(), until: Position::default() }
    }

    /// As long as the lock is held nothing is removed; what was removed before is known.
    pub(super) fn hold(&mut self) -> Result<FileLock, JsonlError> {
        let held = hold(&self.directory)?;
        self.refresh()?;
        Ok(held)
    }

    fn refresh(&mut self) -> Result<(), JsonlError> {
        let path = self.directory.join(NOTES);
        let found = match fs::metadata(&path) {
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => None,
            found => {
                let found = found.map_err(read_error(&path))?;
                Some((found.len(), found.modified().map_err(read_error(&path))?))
            }
        };
        if self.seen == found {
            return Ok(());
        }
        let text = if found.is_some() { fs::read(&path).map_err(read_error(&path))? } else { Vec::new() };
        (self.requests, self.until) = (HashSet::new(), Position::default());
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Note<'_>>(line) {
                Ok(note) => {
                    self.requests.extend(note.requests.iter());
                    self.until = self.until.max(Position { segment: note.segment, offset: note.offset });
                }
                // Its removal did not come to its end, either.
                Err(failure) => tracing::warn!(%failure, "a note of a removed session cannot be read"),
            }
        }
        self.seen = found;
        Ok(())
    }

    /// The events of a batch that are still wanted.
    pub(super) fn wanted<'a>(&self, batch: &'a [JournaledEvent]) -> Cow<'a, [JournaledEvent]> {
        let is_removed = |item: &JournaledEvent| self.requests.contains(&item.event.request);
        if self.requests.is_empty() || !batch.iter().any(is_removed) {
            return Cow::Borrowed(batch);
        }
        Cow::Owned(batch.iter().filter(|item| !is_removed(item)).cloned().collect())
    }

    /// The writer has everything before `durable` and will not be offered it again.
    pub(super) fn passed(&mut self, durable: Position) -> Result<(), JsonlError> {
        if self.requests.is_empty() || durable < self.until {
            return Ok(());
        }
        let _held = self.hold()?;
        // Another removal may have come.
        if durable >= self.until {
            let path = self.directory.join(NOTES);
            fs::remove_file(&path).map_err(read_error(&path))?;
            (self.seen, self.requests) = (None, HashSet::new());
        }
        Ok(())
    }
}
