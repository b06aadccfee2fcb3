//! The files that are being written: found by day and session, few of them open at a time, all of them durable together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use lunaroute_core::SessionId;
use lunaroute_storage::journal::Position;
use lunaroute_storage::{FileSystem, sync_directory};

use super::error::JsonlError;
use super::names;
use super::session_file::SessionFile;
use crate::turn;
use crate::writer::JournaledEvent;

/// Files that are remembered, open or not: what they end with need not be read again.
const KNOWN_FILES: usize = 1_024;

/// From so many files on the whole file system is made durable at once: each file by itself costs the disk as much.
const MANY_FILES: usize = 8;

/// What may be written and not durable: so much has to come again when the disk fails to make it so.
const UNSYNCED_BYTES: usize = 32 * 1024 * 1024;

/// A buffer larger than this is given back after use.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: i64,
    session: SessionId,
}

pub(super) struct Files {
    directory: PathBuf,
    open_files: usize,
    file_system: FileSystem,
    known: BTreeMap<i64, HashMap<SessionId, SessionFile>>,
    /// Those that are open.
    open: Vec<Key>,
    /// Those with lines that are not durable.
    dirty: Vec<Key>,
    /// Days with files that were opened since the last sync: the name of a new one is not durable.
    new_names: BTreeSet<i64>,
    unsynced_bytes: usize,
    /// For the lines of one file and batch.
    buffer: Vec<u8>,
    /// Counts uses, to tell which file was used longest ago.
    uses: u64,
}

impl Files {
    pub(super) fn new(directory: &Path, open_files: usize) -> Result<Self, JsonlError> {
        Ok(Self {
            directory: directory.to_owned(),
            open_files: open_files.max(1),
            file_system: FileSystem::of(directory)?,
            known: BTreeMap::new(),
            open: Vec::new(),
            dirty: Vec::new(),
            new_names: BTreeSet::new(),
            unsynced_bytes: 0,
            buffer: Vec::new(),
            uses: 0,
        })
    }

    /// Writes the lines of a batch, one write per file unless they are many. After a failure the batch is to come again.
    pub(super) fn write(&mut self, batch: &[JournaledEvent], durable: Position) -> Result<(), JsonlError> {
        let of = |item: &JournaledEvent| names::day(item.event.at);
        let same_file =
            |a: &JournaledEvent, b: &JournaledEvent| a.event.session == b.event.session && of(a) == of(b);
        let mut runs: Vec<&[JournaledEvent]> = batch.chunk_by(same_file).collect();
        // Stable: the events of a file stay in their order.
        runs.sort_by_key(|run| run.first().map(|first| (of(first), &first.event.session)));
        for runs in runs.chunk_by(|a, b| a.first().zip(b.first()).is_some_and(|(a, b)| same_file(a, b))) {
            if let Some(first) = runs.first().and_then(|run| run.first()) {
                let key = Key { day: of(first), session: first.event.session.clone() };
                self.write_file(key, runs, durable)?;
                turn::between();
            }
        }
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        Ok(())
    }

    fn write_file(
        &mut self,
        key: Key,
        runs: &[&[JournaledEvent]],
        durable: Position,
    ) -> Result<(), JsonlError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let file = self.file(&key, durable)?;
        let was_dirty = file.is_dirty();
        let written = file.write(runs.iter().copied().flatten(), &mut buffer);
        let is_dirty = file.is_dirty();
        self.buffer = buffer;
        // What fails half-way has lines in the file, too.
        if is_dirty && !was_dirty {
            self.dirty.push(key);
        }
        self.unsynced_bytes += written?;
        if self.open.len() > self.open_files {
            self.close_oldest();
        }
        Ok(())
    }

    /// The file of a session and day, ready for lines.
    fn file(&mut self, key: &Key, durable: Position) -> Result<&mut SessionFile, JsonlError> {
        self.uses += 1;
        let of_day = self.known.entry(key.day).or_default();
        if !of_day.contains_key(&key.session) {
            let path = names::file(&names::day_directory(&self.directory, key.day), &key.session)?;
            of_day.insert(key.session.clone(), SessionFile::open(path, durable)?);
            self.open.push(key.clone());
            self.new_names.insert(key.day);
        }
        let forgotten = || JsonlError::Forgotten { path: self.directory.clone() };
        let file = of_day.get_mut(&key.session).ok_or_else(forgotten)?;
        if file.reopen()? {
            self.open.push(key.clone());
            self.new_names.insert(key.day);
        }
        file.used = self.uses;
        Ok(file)
    }

    /// Closes the half that was used longest ago. Half, so that a run of new sessions does not look for the oldest one
    /// each time.
    fn close_oldest(&mut self) {
        let known = &mut self.known;
        self.open.sort_unstable_by_key(|key| find(known, key).map_or(0, |file| file.used));
        let closed = self.open.len().div_ceil(2);
        for key in self.open.drain(..closed) {
            if let Some(file) = find(known, &key) {
                file.close();
            }
        }
    }

    /// Whether so much is not durable that it should be made so now.
    pub(super) fn is_full(&self) -> bool {
        self.unsynced_bytes >= UNSYNCED_BYTES || self.dirty.len() >= KNOWN_FILES
    }

    /// How many files have lines that the next sync makes durable.
    #[cfg(test)]
    pub(super) fn unsynced(&self) -> usize {
        self.dirty.len()
    }

    /// Makes all lines durable. After a failure the events since the last success are to come again.
    pub(super) fn sync(&mut self) -> Result<(), JsonlError> {
        let synced = if self.dirty.len() >= MANY_FILES && FileSystem::SYNCS_AT_ONCE {
            self.sync_at_once()
        } else {
            self.sync_each()
        };
        match synced {
            Ok(()) => self.settle(SessionFile::is_durable),
            Err(failure) => {
                self.go_back();
                return Err(failure);
            }
        }
        self.forget_oldest();
        Ok(())
    }

    /// Nothing that is not durable is trusted any more.
    pub(super) fn go_back(&mut self) {
        self.settle(SessionFile::go_back);
    }

    fn settle(&mut self, outcome: fn(&mut SessionFile)) {
        for key in self.dirty.drain(..) {
            if let Some(file) = find(&mut self.known, &key) {
                outcome(file);
            }
        }
        self.unsynced_bytes = 0;
    }

    fn sync_each(&mut self) -> Result<(), JsonlError> {
        for key in &self.dirty {
            if let Some(file) = find(&mut self.known, key) {
                file.sync()?;
            }
        }
        while let Some(day) = self.new_names.first().copied() {
            sync_directory(&names::day_directory(&self.directory, day))?;
            self.new_names.remove(&day);
        }
        Ok(())
    }

    fn sync_at_once(&mut self) -> Result<(), JsonlError> {
        self.file_system.sync()?;
        self.new_names.clear();
        Ok(())
    }

    /// Forgets the files that were used longest ago when they are too many. Everything is durable.
    fn forget_oldest(&mut self) {
        let mut uses: Vec<u64> =
            self.known.values().flat_map(HashMap::values).map(|file| file.used).collect();
        if uses.len() <= KNOWN_FILES {
            return;
        }
        let middle = uses.len() / 2;
        let (_, &mut oldest_kept, _) = uses.select_nth_unstable(middle);
        for files in self.known.values_mut() {
            files.retain(|_, file| file.used >= oldest_kept);
        }
        self.known.retain(|_, files| !files.is_empty());
        let known = &mut self.known;
        self.open.retain(|key| find(known, key).is_some());
    }

    /// Whether the file at this path is being written.
    pub(super) fn is_known(&self, path: &Path) -> bool {
        self.known.values().flat_map(HashMap::values).any(|file| file.path() == path)
    }
}

fn find<'a>(
    known: &'a mut BTreeMap<i64, HashMap<SessionId, SessionFile>>,
    key: &Key,
) -> Option<&'a mut SessionFile> {
    known.get_mut(&key.day)?.get_mut(&key.session)
}
