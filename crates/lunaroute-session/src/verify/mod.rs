//! Whether the record is whole: the journal, the JSONL files and the database, each by itself and against each other.
//!
//! Everything is read only and works beside a live gateway. What has not come through yet is counted as pending and is no
//! problem. Memory: one body at a time, and about 60 bytes per request that the journal or the JSONL files hold.

mod blobs;
mod database;
mod journal;
mod jsonl;
mod parity;
mod report;
mod requests;
mod sessions;
mod tools;

use std::path::PathBuf;

pub use report::{Check, DayCount, Problem, Report};

use parity::{Ends, Parity};

/// What to look at; `None` leaves it out.
#[derive(Debug, Clone, Default)]
pub struct VerifyInput {
    /// The SQLite database.
    pub database: Option<PathBuf>,
    /// The journal's directory.
    pub journal_directory: Option<PathBuf>,
    /// The directory of the JSONL files.
    pub jsonl_directory: Option<PathBuf>,
}

/// Looks at everything that `input` names. What cannot be read is a problem in the report.
#[must_use]
pub fn verify(input: &VerifyInput) -> Report {
    let mut report = Report::default();
    // The database first: what reaches the other two afterwards is then pending and not missing.
    let database = input.database.as_deref().and_then(|path| database::Snapshot::open(path, &mut report));
    if let Some(database) = &database {
        database::check(database, &mut report);
    }
    let mut ends = Ends::new();
    if let Some(directory) = &input.journal_directory {
        let mut parity = Parity::new("journal", false, database.as_ref());
        let end = journal::read(directory, &mut parity, &mut report);
        let (requests, over) = parity.finish(&mut report);
        report.requests_in_journal = Some(requests);
        ends = over;
        if let (Some(end), Some(database)) = (end, &database) {
            database::check_position(database, end, &mut report);
        }
    }
    if let Some(directory) = &input.jsonl_directory {
        let mut parity = Parity::new("jsonl", true, database.as_ref());
        jsonl::read(directory, &ends, &mut parity, &mut report);
        report.requests_in_jsonl = Some(parity.finish(&mut report).0);
    }
    report
}
