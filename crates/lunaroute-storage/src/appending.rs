//! A text file that only grows, one append at a time, and can be cut back to a length that a checkpoint remembers.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{FileError, FileOperation};
use crate::file_system::sync_directory;
use crate::files;

/// An append-only file, for example of JSON lines.
///
/// A checkpoint that stores [`length`](Self::length) after [`sync`](Self::sync) can, after a crash, cut the file back
/// with [`truncate_to`](Self::truncate_to) and write again from there: no line is torn and none stands twice.
#[derive(Debug)]
pub struct AppendingFile {
    path: PathBuf,
    file: File,
    length: u64,
    in_doubt: bool,
}

impl AppendingFile {
    /// Opens the file at its end, or creates it (readable by the owner alone) with its missing parent directories. Its
    /// name is durable on return.
    ///
    /// # Errors
    /// [`AppendingError::File`] when it cannot be created or opened.
    pub fn open(path: &Path) -> Result<Self, AppendingError> {
        let file = Self::open_unsynced(path)?;
        sync_directory(files::parent_of(path))?;
        Ok(file)
    }

    /// As [`open`](Self::open), for many files at a time: the name of one that had to be created may not survive a loss
    /// of power before its directory is [synced](crate::sync_directory).
    ///
    /// # Errors
    /// [`AppendingError::File`] when it cannot be created or opened.
    pub fn open_unsynced(path: &Path) -> Result<Self, AppendingError> {
        let fail = |operation, path, source| AppendingError::File(FileError::new(operation, path, source));
        let mut options = files::private_options();
        options.append(true).create(true);
        let opened = match options.open(path) {
            Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {
                let directory = files::parent_of(path);
                files::create_private_directory(directory)
                    .map_err(|source| fail(FileOperation::Create, directory, source))?;
                options.open(path)
            }
            opened => opened,
        };
        let file = opened.map_err(|source| fail(FileOperation::Open, path, source))?;
        let length = file.metadata().map_err(|source| fail(FileOperation::Open, path, source))?.len();
        Ok(Self { path: path.to_owned(), file, length, in_doubt: false })
    }

    /// Whether the file still has a name: what is appended to one that somebody removed goes nowhere.
    ///
    /// # Errors
    /// [`AppendingError::File`] when the operating system does not say.
    pub fn has_name(&self) -> Result<bool, AppendingError> {
        let metadata = self.file.metadata().map_err(|source| self.failed(FileOperation::Open, source))?;
        #[cfg(unix)]
        let names = std::os::unix::fs::MetadataExt::nlink(&metadata);
        // An open file cannot be removed here.
        #[cfg(not(unix))]
        let names = u64::from(metadata.is_file());
        Ok(names > 0)
    }

    /// Writes `bytes` at the end and returns the new length. A write that fails half-way is cut off again, so that
    /// the file never holds a part of an append.
    ///
    /// # Errors
    /// [`AppendingError::File`] when the write fails, [`AppendingError::InDoubt`] after an earlier failure that only
    /// [`truncate_to`](Self::truncate_to) can clear.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, AppendingError> {
        self.require_certainty()?;
        if let Err(source) = self.file.write_all(bytes) {
            self.in_doubt = self.file.set_len(self.length).is_err();
            return Err(self.failed(FileOperation::Write, source));
        }
        self.length += bytes.len() as u64;
        Ok(self.length)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// [`AppendingError::File`] when the disk fails. What was appended since the last sync is then in doubt, and a
    /// second sync could report a success that is none: cut the file back to the last synced length and append again.
    pub fn sync(&mut self) -> Result<(), AppendingError> {
        self.require_certainty()?;
        self.file.sync_data().map_err(|source| {
            self.in_doubt = true;
            self.failed(FileOperation::Sync, source)
        })
    }

    /// How many bytes the file holds.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the file to `length` bytes and clears any doubt: what follows is written anew.
    ///
    /// # Errors
    /// [`AppendingError::Shorter`] when the file does not reach `length`, [`AppendingError::File`] when the disk fails.
    pub fn truncate_to(&mut self, length: u64) -> Result<(), AppendingError> {
        if length > self.length {
            return Err(AppendingError::Shorter {
                path: self.path.clone(),
                length: self.length,
                wanted: length,
            });
        }
        self.file.set_len(length).map_err(|source| self.failed(FileOperation::Truncate, source))?;
        self.length = length;
        self.in_doubt = false;
        Ok(())
    }

    fn require_certainty(&self) -> Result<(), AppendingError> {
        if self.in_doubt { Err(AppendingError::InDoubt { path: self.path.clone() }) } else { Ok(()) }
    }

    fn failed(&self, operation: FileOperation, source: std::io::Error) -> AppendingError {
        AppendingError::File(FileError::new(operation, &self.path, source))
    }
}

/// Why an [`AppendingFile`] could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AppendingError {
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// An earlier write or sync failed and left the end of the file in an unknown state.
    #[error("an earlier failure left the end of {} in doubt; cut it back to its last synced length first", path.display())]
    InDoubt {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than the length it should be cut to: bytes that were promised are gone.
    #[error("{} has {length} bytes, fewer than the {wanted} it should be cut to; rebuild it from the journal", path.display())]
    Shorter {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The length that was asked for.
        wanted: u64,
    },
}
