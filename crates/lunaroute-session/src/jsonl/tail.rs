//! The ends of files: torn lines are cut off, the last whole line says how far a file came.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lunaroute_storage::journal::Position;
use lunaroute_storage::{AppendingError, AppendingFile, FileError, FileNameError};

use super::line;

const CHUNK_BYTES: u64 = 64 * 1024;

/// Days whose files are looked at when the writer is opened: a run of yesterday may still go on.
const RECENT_DAYS: usize = 2;

/// What can go wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// A file or directory cannot be read.
    #[error("could not read {}: {source}; check that this user may", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Append(#[from] AppendingError),
    /// A file cannot be replaced.
    #[error(transparent)]
    Replace(#[from] FileError),
    /// A session id gave no file name.
    #[error("no file can be named after the session: {0}")]
    Name(#[from] FileNameError),
    /// A compressed file does not unpack to what was packed.
    #[error("{} does not unpack to what was packed; the original is kept", path.display())]
    Unequal {
        /// The compressed file.
        path: PathBuf,
    },
    /// A file that was just opened is not there.
    #[error("{} was closed while it was needed", path.display())]
    Forgotten {
        /// The file.
        path: PathBuf,
    },
}

pub(super) fn read_error(path: &Path) -> impl FnOnce(io::Error) -> JsonlError {
    let path = path.to_owned();
    move |source| JsonlError::Read { path, source }
}

/// Where the whole lines of a file end, and the place in the journal that the last of them names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tail {
    pub(super) whole_bytes: u64,
    pub(super) last: Option<Position>,
}

impl Tail {
    pub(super) fn of(path: &Path) -> Result<Self, JsonlError> {
        let fail = || read_error(path);
        let mut file = File::open(path).map_err(fail())?;
        let length = file.metadata().map_err(fail())?.len();
        let mut whole = Self::default();
        let mut line_end = None;
        // Read from the end on; `held` is what was read of the line that is not begun yet.
        let mut held: Vec<u8> = Vec::new();
        let mut at = length;
        while at > 0 {
            let start = at.saturating_sub(CHUNK_BYTES);
            let mut chunk = vec![0; usize::try_from(at - start).unwrap_or(0)];
            file.seek(SeekFrom::Start(start)).map_err(fail())?;
            file.read_exact(&mut chunk).map_err(fail())?;
            chunk.extend_from_slice(&held);
            while let Some(newline) = chunk.iter().rposition(|&byte| byte == b'\n') {
                if line_end.is_some()
                    && let Some(position) = line::position(&chunk[newline + 1..])
                {
                    whole.last = Some(position);
                    return Ok(whole);
                }
                if line_end.is_none() {
                    whole.whole_bytes = start + newline as u64 + 1;
                }
                line_end = Some(newline);
                chunk.truncate(newline);
            }
            held = chunk;
            at = start;
        }
        if line_end.is_some() {
            whole.last = line::position(&held);
        }
        Ok(whole)
    }
}

/// Cuts torn lines off the files of the last days, so that nobody who reads them meets one.
pub(super) fn repair_recent(directory: &Path) -> Result<(), JsonlError> {
    if !directory.exists() {
        return Ok(());
    }
    let mut days: Vec<PathBuf> = list(directory)?.into_iter().filter(|path| path.is_dir()).collect();
    days.sort_unstable();
    for day in days.into_iter().rev().take(RECENT_DAYS) {
        for path in list(&day)?.into_iter().filter(|path| has_ending(path, "jsonl")) {
            if is_torn(&path)? {
                let tail = Tail::of(&path)?;
                AppendingFile::open(&path)?.truncate_to(tail.whole_bytes)?;
            }
        }
    }
    Ok(())
}

fn is_torn(path: &Path) -> Result<bool, JsonlError> {
    let fail = || read_error(path);
    let mut file = File::open(path).map_err(fail())?;
    if file.metadata().map_err(fail())?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1)).map_err(fail())?;
    file.read_exact(&mut last).map_err(fail())?;
    Ok(last != *b"\n")
}

pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, JsonlError> {
    let entries = fs::read_dir(directory).map_err(read_error(directory))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(read_error(directory))).collect()
}

pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}
