//! A disk that fails once, and what would be left on it after a loss of power.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lunaroute_storage::journal::disk::{Disk, DiskFile, LocalDisk};

/// What the journal asks of a disk and may fail. It renames nothing, and it cuts a file only after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Write,
    Sync,
    Remove,
    SyncDirectory,
}

impl Operation {
    pub(super) const ALL: [Self; 5] =
        [Self::Write, Self::Sync, Self::Create, Self::Remove, Self::SyncDirectory];
}

/// Which operation fails, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) operation: Operation,
    /// How many of them succeed first.
    pub(super) after: usize,
    /// For lack of room; otherwise because the device is broken.
    pub(super) full: bool,
}

/// The disk; copies are the same disk.
#[derive(Clone)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>);

struct State {
    fault: Fault,
    met: bool,
    files: HashMap<PathBuf, Extent>,
}

/// How far a file reaches, and how far of that is durable.
#[derive(Default, Clone, Copy)]
struct Extent {
    written: u64,
    durable: u64,
}

impl FaultyDisk {
    pub(super) fn new(fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(State { fault, met: false, files: HashMap::new() })))
    }

    /// Whether the failure has happened.
    pub(super) fn met(&self) -> bool {
        self.lock().met
    }

    /// Cuts every file to what is durable.
    pub(super) fn lose_power(&self) -> io::Result<()> {
        for (path, extent) in &self.lock().files {
            OpenOptions::new().write(true).open(path)?.set_len(extent.durable)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failure, if this operation is the one.
    fn ask(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.lock();
        if state.met || state.fault.operation != operation {
            return Ok(());
        }
        if state.fault.after > 0 {
            state.fault.after -= 1;
            return Ok(());
        }
        state.met = true;
        // What Linux answers: no space left on device, or an input/output error.
        Err(io::Error::from_raw_os_error(if state.fault.full { 28 } else { 5 }))
    }

    fn extent(&self, path: &Path, change: impl FnOnce(&mut Extent)) {
        change(self.lock().files.entry(path.to_owned()).or_default());
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Operation::Create)?;
        let file = LocalDisk.create(path)?;
        self.extent(path, |_| {});
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Remove)?;
        LocalDisk.remove(path)?;
        self.lock().files.remove(path);
        Ok(())
    }

    fn sync_existing(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Sync)?;
        LocalDisk.sync_existing(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.ask(Operation::SyncDirectory)?;
        LocalDisk.sync_directory(directory)
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let asked = self.disk.ask(Operation::Write);
        // A write that fails has put a part of its bytes into the file.
        let written = self.file.write(if asked.is_ok() { bytes } else { &bytes[..bytes.len() / 2] })?;
        self.disk.extent(&self.path, |extent| extent.written += written as u64);
        asked.map(|()| written)
    }

    fn sync(&self) -> io::Result<()> {
        let asked = self.disk.ask(Operation::Sync);
        let mut lost = 0;
        self.disk.extent(&self.path, |extent| match &asked {
            Ok(()) => extent.durable = extent.written,
            Err(_) => lost = extent.written - extent.durable,
        });
        if lost > 0 {
            // The system forgets what it could not write, and says so once only.
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            let length = file.metadata()?.len();
            io::Seek::seek(&mut file, io::SeekFrom::Start(length - lost))?;
            file.write_all(&vec![0; usize::try_from(lost).unwrap_or(0)])?;
        }
        asked
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)?;
        self.disk.extent(&self.path, |extent| {
            *extent = Extent { written: length, durable: extent.durable.min(length) };
        });
        Ok(())
    }
}
