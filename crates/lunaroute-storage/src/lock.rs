//! A lock that processes, and the threads of one, take in turn.

use std::fs::File;
use std::path::Path;

use crate::failure::{FileError, FileOperation};
use crate::files;

/// Held until it is dropped; the operating system drops it with its process.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits until nobody else holds the lock of this file, which is made when it is missing and never removed.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be made or the file system has no locks.
    pub fn wait(path: &Path) -> Result<Self, FileError> {
        let file = files::private_options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| FileError::new(FileOperation::Create, path, source))?;
        file.lock().map_err(|source| FileError::new(FileOperation::Lock, path, source))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _held = FileLock::wait(&path).expect("locks");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 200);
    }
}
