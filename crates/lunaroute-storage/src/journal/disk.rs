//! The few operations through which the journal changes a disk. A test that wants a disk to fail implements these.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::files;

/// A disk that segments and the ballast are written to. Reading does not go through it.
pub trait Disk: Send {
    /// Creates a file that must not exist yet, readable by the owner alone, to be written from its start.
    ///
    /// # Errors
    /// What the operating system answers.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Deletes a file.
    ///
    /// # Errors
    /// What the operating system answers.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the content of a file that an earlier process wrote durable.
    ///
    /// # Errors
    /// What the operating system answers.
    fn sync_existing(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the operating system answers.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// One open file of a [`Disk`]. One thread at a time writes to it; another may make it durable meanwhile.
pub trait DiskFile: Send + Sync {
    /// Writes a first part of `bytes` at the end of the file and says how long that part was.
    ///
    /// # Errors
    /// What the operating system answers.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes everything written before the call durable.
    ///
    /// # Errors
    /// What the operating system answers; what was written since the last sync is then in doubt.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `length` bytes; what is written next follows there.
    ///
    /// # Errors
    /// What the operating system answers.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// Writes all of `bytes`, in as many parts as the file needs.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // Append mode, so that after a truncation the next write follows the cut and leaves no hole.
        Ok(Box::new(LocalFile(files::private_options().append(true).create_new(true).open(path)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_existing(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        files::sync_directory(directory)
    }
}

struct LocalFile(File);

impl DiskFile for LocalFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
