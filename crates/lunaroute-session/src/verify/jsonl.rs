//! The JSONL files: every line an event.

use std::path::Path;

use super::parity::Parity;
use super::report::Report;
use crate::jsonl::{JsonlError, entries};

/// Reads every line of every file, the days in order.
pub(super) fn read(directory: &Path, parity: &mut Parity<'_>, report: &mut Report) {
    for entry in entries(directory) {
        match entry {
            Ok(entry) => {
                let place = format!("{}:{}", entry.path.display(), entry.line);
                parity.event(&place, entry.position, &entry.event, report);
            }
            // A live gateway may be in the middle of this line.
            Err(JsonlError::Torn { bytes, .. }) => parity.torn(bytes),
            Err(JsonlError::Line { path, line, problem }) => {
                parity.damage(format!("{}:{line}", path.display()), "a line is no event", problem);
            }
            Err(JsonlError::Read { path, source }) => {
                parity.damage(path.display().to_string(), "it cannot be read to its end", source);
            }
            Err(error) => parity.damage(directory.display().to_string(), "it cannot be read", error),
        }
    }
}
