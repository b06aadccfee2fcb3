//! Removes what was written of a session.

use std::fs;
use std::io;
use std::path::Path;

use lunaroute_core::SessionId;
use lunaroute_storage::sync_directory;

use super::error::{JsonlError, read_error};
use super::names;
use super::tail::list;

/// Removes the files of a session, of all days and compressed ones too; says how many bytes that frees. Works beside a
/// writer: what it writes of the session afterwards begins a new file, also what happened before ([`remove`](super::remove)
/// keeps that from coming). Days without files are removed.
///
/// # Errors
/// [`JsonlError`] when the directory cannot be read or a file cannot be removed; calling it again goes on.
pub fn delete(directory: &Path, session: &SessionId) -> Result<u64, JsonlError> {
    let mut freed = 0;
    for day in list(directory)?.into_iter().filter(|path| path.is_dir()) {
        let plain = names::file(&day, session)?;
        let packed = plain.with_extension("jsonl.zst");
        let unfinished = plain.with_extension("jsonl.zst-unfinished");
        let mut found = false;
        for path in [plain, packed, unfinished] {
            if let Some(bytes) = remove(&path)? {
                freed += bytes;
                found = true;
            }
        }
        if found {
            sync_directory(&day)?;
            // Refused while other sessions have files of that day.
            if fs::remove_dir(&day).is_ok() {
                sync_directory(directory)?;
            }
        }
    }
    Ok(freed)
}

/// Removes a file; `None` when there is none.
fn remove(path: &Path) -> Result<Option<u64>, JsonlError> {
    let bytes = match fs::symlink_metadata(path) {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(read_error(path))?.len(),
    };
    fs::remove_file(path).map_err(read_error(path))?;
    Ok(Some(bytes))
}
