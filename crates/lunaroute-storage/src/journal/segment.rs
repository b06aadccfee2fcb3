//! Names and listing of segment files.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use crate::failure::{FileError, FileOperation};

const SUFFIX: &str = ".journal";
const DIGITS: usize = 20;

/// The highest number a segment may have: sequence numbers hold it in their upper half.
pub(crate) const MAX_SEGMENT: u64 = u32::MAX as u64;

/// One segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:0DIGITS$}{SUFFIX}"))
}

/// The segments in `directory`, by rising number. Files of other names are none of the journal's business.
pub(crate) fn list(directory: &Path) -> Result<Vec<SegmentInfo>, JournalError> {
    let fail = |source| FileError::new(FileOperation::List, directory, source);
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Some(number) = entry.file_name().to_str().and_then(number_of) else { continue };
        match entry.metadata() {
            Ok(metadata) => segments.push(SegmentInfo { number, bytes: metadata.len() }),
            // Pruned by the writer while this process was listing.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(fail(source).into()),
        }
    }
    segments.sort_unstable_by_key(|segment| segment.number);
    Ok(segments)
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}
