//! Which file an event goes to.

use std::path::{Path, PathBuf};

use lunaroute_core::{SessionId, Timestamp};
use lunaroute_storage::FileName;

use super::error::JsonlError;
use super::line::civil;

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// Longest file name of a session without its ending: room for `.jsonl.zst-unfinished` within 255 bytes.
const STEM_BYTES: usize = 230;

/// All days that no clock tells are one, because they share a folder.
const UNKNOWN_DAY: i64 = i64::MAX;

/// The day of a moment in UTC, counted from 1970.
pub(super) fn day(at: Timestamp) -> i64 {
    let day = at.as_micros().div_euclid(MICROS_OF_A_DAY);
    if civil(day).is_some() { day } else { UNKNOWN_DAY }
}

/// The folder of a day.
pub(super) fn day_directory(directory: &Path, day: i64) -> PathBuf {
    directory.join(match civil(day) {
        Some((year, month, day)) => format!("{year:04}-{month:02}-{day:02}"),
        None => "unknown-day".to_owned(),
    })
}

/// The file of a session in the folder of a day.
///
/// # Errors
/// [`JsonlError::Name`] when the session can name no file.
pub(super) fn file(day_directory: &Path, session: &SessionId) -> Result<PathBuf, JsonlError> {
    // A session too long for a file name is cut and made unique by a hash.
    let session = session.as_str();
    let name = if session.len() <= STEM_BYTES {
        format!("{session}.jsonl")
    } else {
        let hash = blake3::hash(session.as_bytes()).to_hex();
        format!("{}-{}.jsonl", &session[..STEM_BYTES - 33], &hash[..32])
    };
    Ok(FileName::new(name)?.inside(day_directory))
}
