//! Making many files durable with one call.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::failure::{FileError, FileOperation};
use crate::files;

/// The file system that a directory is in.
///
/// It is to be held open from before the first write that it shall make durable: the operating system tells a failure to
/// those that had it open when the failure happened.
#[derive(Debug)]
pub struct FileSystem {
    path: PathBuf,
    directory: File,
}

impl FileSystem {
    /// Whether this operating system can make a whole file system durable and say whether that worked. Where it cannot,
    /// each file is to be synced by itself.
    pub const SYNCS_AT_ONCE: bool = cfg!(target_os = "linux");

    /// The file system of `directory`.
    ///
    /// # Errors
    /// [`FileError`] when the directory cannot be opened.
    pub fn of(directory: &Path) -> Result<Self, FileError> {
        let opened = File::open(directory);
        let opened = opened.map_err(|source| FileError::new(FileOperation::Open, directory, source))?;
        Ok(Self { path: directory.to_owned(), directory: opened })
    }

    /// Makes everything durable that was written to any file of the file system, with the names of the files. What other
    /// programs have written is made durable, too, and waited for: for a few files it is the slower way.
    ///
    /// # Errors
    /// [`FileError`] when the disk fails, or where [`SYNCS_AT_ONCE`](Self::SYNCS_AT_ONCE) is false. Every file written
    /// since the last success is then in doubt.
    pub fn sync(&self) -> Result<(), FileError> {
        self.sync_at_once().map_err(|source| FileError::new(FileOperation::Sync, &self.path, source))
    }

    #[cfg(target_os = "linux")]
    fn sync_at_once(&self) -> std::io::Result<()> {
        Ok(rustix::fs::syncfs(&self.directory)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_at_once(&self) -> std::io::Result<()> {
        self.directory.metadata()?;
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Makes the entries of `directory` durable: a new file is safe only once its name is, a removed one gone only then.
///
/// # Errors
/// [`FileError`] when the directory cannot be opened or the disk fails.
pub fn sync_directory(directory: &Path) -> Result<(), FileError> {
    files::sync_directory(directory).map_err(|source| FileError::new(FileOperation::Sync, directory, source))
}
