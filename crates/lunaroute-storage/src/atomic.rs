//! Replacing a whole file so that a reader, or a crash, finds the old content or the new and nothing between.

use std::io::Write;
use std::path::Path;

use crate::failure::{FileError, FileOperation};
use crate::files;

/// Writes `bytes` to `path`, readable by the owner alone, in place of whatever is there.
///
/// The bytes go to a file of a random name in the same directory, are synced, and take the final name in one step;
/// then the directory is synced. Missing parent directories are created. Two writers at once cannot mix: one of them
/// wins as a whole.
///
/// # Errors
/// [`FileError`]; the old content is then still in place, unless the last step, the sync of the directory, was the one
/// that failed: then the new content is in place but may not survive a loss of power.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let directory = files::parent_of(path);
    let fail = |operation| move |source| FileError::new(operation, path, source);
    files::create_private_directory(directory)
        .map_err(|source| FileError::new(FileOperation::Create, directory, source))?;
    // The library creates temporary files with mode 0600 and removes them when they are dropped unfinished.
    let mut file = tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempfile_in(directory)
        .map_err(fail(FileOperation::Create))?;
    file.write_all(bytes).map_err(fail(FileOperation::Write))?;
    file.as_file().sync_all().map_err(fail(FileOperation::Sync))?;
    file.persist(path).map_err(|failure| FileError::new(FileOperation::Replace, path, failure.error))?;
    files::sync_directory(directory).map_err(|source| FileError::new(FileOperation::Sync, directory, source))
}
