//! Space kept aside for a full disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk};
use super::error::JournalError;
use crate::failure::{FileError, FileOperation};

const FILE_NAME: &str = "ballast";
const CHUNK_BYTES: usize = 256 * 1024;

/// Where the space kept aside is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BallastState {
    /// The configuration asks for none.
    Off,
    /// The space is kept aside.
    Held,
    /// The disk was full: the space has been given back, or could not be taken. Only essential records are written.
    Released,
}

pub(crate) struct Ballast {
    directory: PathBuf,
    path: PathBuf,
    bytes: u64,
    state: BallastState,
}

impl Ballast {
    /// Takes over the ballast of an earlier process or fills a new one. A disk that is full already starts as released.
    pub(crate) fn prepare(disk: &dyn Disk, directory: &Path, bytes: u64) -> Result<Self, JournalError> {
        let path = directory.join(FILE_NAME);
        let mut ballast =
            Self { directory: directory.to_owned(), path, bytes, state: BallastState::Released };
        if bytes == 0 {
            ballast.remove(disk)?;
            ballast.state = BallastState::Off;
        } else if fs::metadata(&ballast.path).is_ok_and(|metadata| metadata.len() == bytes) {
            ballast.state = BallastState::Held;
        } else {
            match ballast.restore(disk) {
                Ok(()) | Err(JournalError::StorageFull { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(ballast)
    }

    pub(crate) fn state(&self) -> BallastState {
        self.state
    }

    /// Gives the space back; `false` when there was none to give.
    pub(crate) fn release(&mut self, disk: &dyn Disk) -> Result<bool, JournalError> {
        if self.state != BallastState::Held {
            return Ok(false);
        }
        self.remove(disk)?;
        self.state = BallastState::Released;
        Ok(true)
    }

    /// Keeps the space aside again.
    pub(crate) fn restore(&mut self, disk: &dyn Disk) -> Result<(), JournalError> {
        if self.state != BallastState::Released {
            return Ok(());
        }
        self.remove(disk)?;
        if let Err(failure) = self.fill(disk) {
            // What was taken so far goes back at once: a full disk needs every block.
            self.remove(disk)?;
            if failure.is_storage_full() {
                return Err(JournalError::StorageFull { directory: self.directory.clone() });
            }
            return Err(failure.into());
        }
        self.state = BallastState::Held;
        Ok(())
    }

    /// Writes real zeros: a file that is only long has no blocks to give back.
    fn fill(&self, disk: &dyn Disk) -> Result<(), FileError> {
        let fail = |operation| move |source| FileError::new(operation, &self.path, source);
        let file = disk.create(&self.path).map_err(fail(FileOperation::Create))?;
        let zeros = vec![0; CHUNK_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let part = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            disk::write_all(file.as_ref(), &zeros[..part]).map_err(fail(FileOperation::Write))?;
            left -= part as u64;
        }
        file.sync().map_err(fail(FileOperation::Sync))
    }

    fn remove(&self, disk: &dyn Disk) -> Result<(), JournalError> {
        match disk.remove(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new(FileOperation::Remove, &self.path, source).into())
            }
            _ => Ok(()),
        }
    }
}
