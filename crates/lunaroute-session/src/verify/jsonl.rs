//! The JSONL files: every line an event.

use std::path::Path;

use super::parity::{Ends, Parity};
use super::report::Report;
use crate::jsonl::{JsonlError, entries, reached};

/// Reads every line of every file, the days in order, and looks for what the database has besides. `journal` are the
/// requests that the journal still holds.
pub(super) fn read(directory: &Path, journal: &Ends, parity: &mut Parity<'_>, report: &mut Report) {
    // Before the lines: what is written meanwhile is found all the same.
    let reached = reached(directory);
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
    let looked = reached
        .map_err(|error| error.to_string())
        .and_then(|reached| parity.look_for_missing(journal, reached).map_err(|error| error.to_string()));
    if let Err(error) = looked {
        parity.damage(directory.display().to_string(), "it cannot be compared with the database", error);
    }
}
