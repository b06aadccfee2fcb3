//! A disk that fails on demand and remembers what would survive a loss of power.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use lunaroute_storage::journal::disk::{Disk, DiskFile, LocalDisk};

/// What the disk is told to do and what it has seen.
#[derive(Default)]
pub(crate) struct Script {
    /// Fail when this many more writes have been asked for; the failing write puts half of its bytes on the disk.
    pub(crate) fail_write_in: Option<usize>,
    /// How many writes in a row fail then; 0 counts as 1.
    pub(crate) writes_failing: usize,
    /// Fail when this many more syncs of files have been asked for.
    pub(crate) fail_sync_in: Option<usize>,
    /// How many syncs in a row fail then; 0 counts as 1.
    pub(crate) syncs_failing: usize,
    /// Fail when this many more files have been asked for.
    pub(crate) fail_create_in: Option<usize>,
    /// A failed sync also wipes what it should have written.
    pub(crate) wipe_on_failed_sync: bool,
    /// The most bytes that one write takes.
    pub(crate) longest_write: Option<usize>,
    /// The bytes that all files together may have.
    pub(crate) capacity: Option<u64>,
    /// Writes and syncs asked of a file after one of them failed there for another reason than lack of room.
    pub(crate) touched_after_failure: u64,
    files: BTreeMap<PathBuf, FileState>,
}

#[derive(Default, Clone)]
struct FileState {
    bytes: u64,
    synced: u64,
    named: bool,
    failed: bool,
}

impl Script {
    pub(crate) fn used(&self) -> u64 {
        self.files.values().map(|state| state.bytes).sum()
    }

    fn due(counter: &mut Option<usize>, remaining: &mut usize) -> bool {
        match counter {
            Some(0) => {
                *remaining = remaining.saturating_sub(1);
                if *remaining == 0 {
                    *counter = None;
                }
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Cuts every file to what a loss of power leaves: all that was synced and `keep` per cent of the rest, of which
    /// the middle may read as zeros. Files whose names were not synced are gone.
    pub(crate) fn cut_power(&mut self, keep: u64, zero_middle: bool) {
        for (path, state) in std::mem::take(&mut self.files) {
            if !state.named {
                let _ = std::fs::remove_file(&path);
                continue;
            }
            let kept = (state.bytes - state.synced) * keep / 100;
            if let Ok(file) = OpenOptions::new().write(true).open(&path) {
                file.set_len(state.synced + kept).expect("a test file can be cut");
            }
            if zero_middle {
                wipe(&path, state.synced + kept / 3, state.synced + kept * 2 / 3);
            }
        }
    }
}

fn wipe(path: &Path, from: u64, to: u64) {
    let mut file = OpenOptions::new().write(true).open(path).expect("a test file can be opened");
    file.seek(SeekFrom::Start(from)).expect("a test file can be sought in");
    file.write_all(&vec![0; usize::try_from(to - from).expect("small")]).expect("a test file can be written");
}

#[derive(Clone, Default)]
pub(crate) struct FaultyDisk {
    script: Arc<Mutex<Script>>,
}

impl FaultyDisk {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no test thread panics while it holds the script")
    }
}

fn broken() -> io::Error {
    // What Linux answers for EIO.
    io::Error::from_raw_os_error(5)
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut script = self.script();
        if Script::due(&mut script.fail_create_in, &mut 1) {
            return Err(broken());
        }
        let file = LocalDisk.create(path)?;
        script.files.insert(path.to_owned(), FileState::default());
        Ok(Box::new(FaultyFile { path: path.to_owned(), file, script: Arc::clone(&self.script) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.script().files.remove(path);
        LocalDisk.remove(path)
    }

    fn sync_existing(&self, path: &Path) -> io::Result<()> {
        if let Some(state) = self.script().files.get_mut(path) {
            state.synced = state.bytes;
        }
        LocalDisk.sync_existing(path)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.script().files.values_mut().for_each(|state| state.named = true);
        Ok(())
    }
}

struct FaultyFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    script: Arc<Mutex<Script>>,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut FileState) -> T) -> T {
        let mut script = self.script.lock().expect("as above");
        act(script.files.entry(self.path.clone()).or_default())
    }

    fn note_touch(&self) {
        if self.with(|state| state.failed) {
            self.script.lock().expect("as above").touched_after_failure += 1;
        }
    }
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.note_touch();
        let (fails, room, longest) = {
            let mut script = self.script.lock().expect("as above");
            let script = &mut *script;
            let fails = Script::due(&mut script.fail_write_in, &mut script.writes_failing);
            let room = script.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(script.used()));
            (fails, room, script.longest_write.unwrap_or(usize::MAX))
        };
        let length = bytes.len().min(longest).min(usize::try_from(room).unwrap_or(usize::MAX));
        if length == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&bytes[..if fails { length / 2 } else { length }])?;
        self.with(|state| state.bytes += written as u64);
        if fails {
            self.with(|state| state.failed = true);
            return Err(broken());
        }
        Ok(written)
    }

    fn sync(&self) -> io::Result<()> {
        self.note_touch();
        let (fails, wipes) = {
            let mut script = self.script.lock().expect("as above");
            let script = &mut *script;
            (Script::due(&mut script.fail_sync_in, &mut script.syncs_failing), script.wipe_on_failed_sync)
        };
        let state = self.with(|state| {
            if fails {
                state.failed = true;
            } else {
                state.synced = state.bytes;
            }
            state.clone()
        });
        if fails && wipes {
            wipe(&self.path, state.synced, state.bytes);
        }
        if fails { Err(broken()) } else { Ok(()) }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.note_touch();
        self.with(|state| state.bytes = length);
        self.file.truncate(length)
    }
}
