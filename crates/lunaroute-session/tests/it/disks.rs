//! A disk that fails, fills up or hangs when a test says so.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use lunaroute_storage::journal::disk::{Disk, DiskFile, LocalDisk};

#[derive(Default)]
pub(crate) struct Faults {
    /// Every write and creation fails.
    pub(crate) broken: AtomicBool,
    /// Writes longer than this fail as on a full disk; 0 lets all through.
    pub(crate) room: AtomicU64,
    /// So many syncs fail.
    pub(crate) failing_syncs: AtomicU64,
    /// Syncs that succeeded.
    pub(crate) synced: AtomicU64,
    /// Milliseconds that each sync takes.
    pub(crate) sync_takes: AtomicU64,
    /// Asked before each write, on the thread that writes.
    pub(crate) before_write: OnceLock<Box<dyn Fn() -> io::Result<()> + Send + Sync>>,
    hanging: Mutex<Hanging>,
    released: Condvar,
}

#[derive(Default, Clone, Copy)]
struct Hanging {
    writes: bool,
    syncs: bool,
}

impl Faults {
    pub(crate) fn hang_writes(&self, writes: bool) {
        self.hanging.lock().expect("unpoisoned").writes = writes;
        self.released.notify_all();
    }

    pub(crate) fn hang_syncs(&self, syncs: bool) {
        self.hanging.lock().expect("unpoisoned").syncs = syncs;
        self.released.notify_all();
    }

    fn wait(&self, hangs: impl Fn(&Hanging) -> bool) {
        let hanging = self.hanging.lock().expect("unpoisoned");
        drop(self.released.wait_while(hanging, |hanging| hangs(hanging)).expect("unpoisoned"));
    }

    /// Lets the time of a sync pass, on the disk's thread.
    fn take_time(&self) {
        let takes = Duration::from_millis(self.sync_takes.load(Ordering::SeqCst));
        let begun = Instant::now();
        let mut hanging = self.hanging.lock().expect("unpoisoned");
        while let Some(left) = takes.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            hanging = self.released.wait_timeout(hanging, left).expect("unpoisoned").0;
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

pub(crate) struct FaultyDisk(pub(crate) Arc<Faults>);

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.check()?;
        Ok(Box::new(FaultyFile { faults: Arc::clone(&self.0), file: LocalDisk.create(path)? }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }

    fn sync_existing(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_existing(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        LocalDisk.sync_directory(directory)
    }
}

struct FaultyFile {
    faults: Arc<Faults>,
    file: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.faults.before_write.get().map_or(Ok(()), |before| before())?;
        self.faults.wait(|hanging| hanging.writes);
        self.faults.check()?;
        let room = self.faults.room.load(Ordering::SeqCst);
        if room > 0 && bytes.len() as u64 > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.wait(|hanging| hanging.syncs);
        self.faults.take_time();
        let left = self.faults.failing_syncs.load(Ordering::SeqCst);
        if left > 0 {
            self.faults.failing_syncs.store(left - 1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync()?;
        self.faults.synced.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
}
