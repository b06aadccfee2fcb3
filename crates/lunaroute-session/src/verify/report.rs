//! What `verify` found.

use std::collections::BTreeMap;

use serde::Serialize;

/// Problems that are told one by one; further ones of the same check are only counted.
const TOLD: usize = 100;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: a table and key, a file and line, a place in the journal.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// One kind of check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How many things were looked at.
    pub checked: u64,
    /// How many could not be judged yet, because they are still going on.
    pub pending: u64,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
}

/// Requests of one day (UTC) by where they are found. A difference alone is no problem: writers may have been switched
/// on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DayCount {
    /// In the database.
    pub database: u64,
    /// In the JSONL files.
    pub jsonl: u64,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Requests in the database; `None` when it was not looked at.
    pub requests_in_database: Option<u64>,
    /// Requests in the part of the journal that still exists.
    pub requests_in_journal: Option<u64>,
    /// Requests in the JSONL files.
    pub requests_in_jsonl: Option<u64>,
    /// Requests by the day on which they began.
    pub days: BTreeMap<String, DayCount>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count() == 0
    }

    /// How many problems there are in all.
    #[must_use]
    pub fn problem_count(&self) -> u64 {
        self.checks.iter().map(|check| check.problem_count).sum()
    }

    /// How many things are still going on.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.checks.iter().map(|check| check.pending).sum()
    }

    /// The check of that name, begun when it is not there yet.
    pub(super) fn check(&mut self, name: &'static str) -> &mut Check {
        let place = self.checks.iter().position(|check| check.name == name).unwrap_or_else(|| {
            self.checks.push(Check { name, checked: 0, pending: 0, problem_count: 0, problems: Vec::new() });
            self.checks.len() - 1
        });
        &mut self.checks[place]
    }
}

impl Check {
    pub(super) fn problem(
        &mut self,
        place: impl Into<String>,
        what: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.problem_count += 1;
        if self.problems.len() < TOLD {
            self.problems.push(Problem {
                place: place.into(),
                what: what.into(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }

    /// A problem unless both are the same.
    pub(super) fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        place: &str,
        what: &str,
        expected: &T,
        found: &T,
    ) {
        if expected != found {
            self.problem(place, what, format!("{expected:?}"), format!("{found:?}"));
        }
    }

    /// A check that could not be finished is a problem too.
    pub(super) fn finish<E: std::fmt::Display>(&mut self, place: &str, result: Result<(), E>) {
        if let Err(error) = result {
            self.problem(place, "could not be read", "readable content", error);
        }
    }
}
