//! The files that are being written: found by day and session, few of them open at a time, all of them durable together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use lunaroute_core::SessionId;
use lunaroute_storage::journal::Position;
use lunaroute_storage::{FileSystem, sync_directory};

use super::error::JsonlError;
use super::names;
use super::session_file::SessionFile;
use crate::writer::JournaledEvent;

/// Files that are remembered, open or not: what they end with need not be read again.
const KNOWN_FILES: usize = 1_024;

/// From so many files on the whole file system is made durable at once: each file by itself costs the disk as much.
const MANY_FILES: usize = 8;

/// What may be written and not durable: it is held in memory as well, in case the disk fails to make it durable.
const UNSYNCED_BYTES: usize = 8 * 1024 * 1024;

#[derive(Clone)]
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
            uses: 0,
        })
    }

    /// Writes the lines of a batch, one write per file. After a failure the batch comes again.
    pub(super) fn write(&mut self, batch: &[JournaledEvent], durable: Position) -> Result<(), JsonlError> {
        let written = self.take(batch, durable);
        if written.is_err() {
            self.known.values_mut().flat_map(HashMap::values_mut).for_each(SessionFile::take_back);
        }
        written
    }

    fn take(&mut self, batch: &[JournaledEvent], durable: Position) -> Result<(), JsonlError> {
        let day_of = |item: &JournaledEvent| names::day(item.event.at);
        let mut touched = Vec::new();
        for run in batch.chunk_by(|a, b| a.event.session == b.event.session && day_of(a) == day_of(b)) {
            let Some(first) = run.first() else { continue };
            let (day, session) = (day_of(first), &first.event.session);
            let file = self.file(day, session, durable)?;
            let taken = run.iter().filter(|item| file.take(item)).count();
            if taken > 0 {
                touched.push(Key { day, session: session.clone() });
            }
            if self.open.len() > self.open_files {
                self.write_out(&mut touched)?;
                self.close_oldest();
            }
        }
        self.write_out(&mut touched)
    }

    /// The file of a session and day, ready for lines.
    fn file(
        &mut self,
        day: i64,
        session: &SessionId,
        durable: Position,
    ) -> Result<&mut SessionFile, JsonlError> {
        self.uses += 1;
        let of_day = self.known.entry(day).or_default();
        let key = || Key { day, session: session.clone() };
        if !of_day.contains_key(session) {
            let path = names::file(&names::day_directory(&self.directory, day), session)?;
            of_day.insert(session.clone(), SessionFile::open(path, durable)?);
            self.open.push(key());
            self.new_names.insert(day);
        }
        let path = || names::day_directory(&self.directory, day);
        let file = of_day.get_mut(session).ok_or_else(|| JsonlError::Forgotten { path: path() })?;
        if file.reopen()? {
            self.open.push(key());
            self.new_names.insert(day);
        }
        file.used = self.uses;
        Ok(file)
    }

    fn write_out(&mut self, touched: &mut Vec<Key>) -> Result<(), JsonlError> {
        for key in touched.drain(..) {
            let Some(file) = find(&mut self.known, &key) else { continue };
            let was_dirty = file.is_dirty();
            self.unsynced_bytes += file.write()?;
            if !was_dirty && file.is_dirty() {
                self.dirty.push(key);
            }
        }
        Ok(())
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

    /// Makes all lines durable.
    pub(super) fn sync(&mut self) -> Result<(), JsonlError> {
        let synced = if self.dirty.len() >= MANY_FILES && FileSystem::SYNCS_AT_ONCE {
            self.sync_at_once()
        } else {
            self.sync_each()
        };
        let known = &mut self.known;
        self.dirty.retain(|key| find(known, key).is_some_and(|file| file.is_dirty()));
        synced?;
        self.unsynced_bytes = 0;
        self.forget_oldest();
        Ok(())
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
        for key in &self.dirty {
            if let Some(file) = find(&mut self.known, key) {
                file.clear_doubt()?;
            }
        }
        let synced = self.file_system.sync();
        for key in &self.dirty {
            if let Some(file) = find(&mut self.known, key) {
                if synced.is_ok() { file.is_durable() } else { file.doubt() }
            }
        }
        synced?;
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
