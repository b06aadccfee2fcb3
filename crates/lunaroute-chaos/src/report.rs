//! What a run measured, beside what is promised.

use std::fmt;

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::{Serialize, Serializer};

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
    /// This and nothing else.
    Exactly(f64),
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Nothing is promised: it tells how large the run was.
    Told,
}

impl Promise {
    /// Whether a figure keeps it.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Exactly(promised) => (value - promised).abs() < f64::EPSILON,
            Self::AtMost(promised) => value <= promised,
            Self::AtLeast(promised) => value >= promised,
            Self::Told => true,
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(promised) => write!(out, "{}", figure(*promised)),
            Self::AtMost(promised) => write!(out, "<= {}", figure(*promised)),
            Self::AtLeast(promised) => write!(out, ">= {}", figure(*promised)),
            Self::Told => Ok(()),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What was measured, and in which unit.
    pub what: String,
    /// What came out. One that could not be measured is not a number, and keeps no promise.
    pub value: f64,
    /// What is promised.
    #[serde(serialize_with = "shown")]
    pub promise: Promise,
    /// Whether the figure keeps it.
    pub holds: bool,
}

/// The table of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What was done, in a few words for each part.
    pub title: String,
    /// The figures, in the order of the table.
    pub lines: Vec<Line>,
    /// What a reader must know besides, and examples of what was not as promised.
    pub notes: Vec<String>,
}

impl Report {
    /// An empty table.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a figure.
    pub fn line(&mut self, what: impl Into<String>, value: f64, promise: Promise) {
        self.lines.push(Line { what: what.into(), value, promise, holds: promise.holds(value) });
    }

    /// Adds a count.
    pub fn count(&mut self, what: impl Into<String>, count: usize, promise: Promise) {
        #[expect(clippy::cast_precision_loss, reason = "no run counts beyond the 52 bits")]
        self.line(what, count as f64, promise);
    }

    /// Adds a remark.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Takes over the figures and remarks of a part of the run, under the part's title.
    pub fn take_over(&mut self, part: Report) {
        let titled = |text: String| format!("{}: {text}", part.title);
        self.lines
            .extend(part.lines.into_iter().map(|line| Line { what: titled(line.what.clone()), ..line }));
        self.notes.extend(part.notes.into_iter().map(titled));
    }

    /// Whether every promise is kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lines.iter().all(|line| line.holds)
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never in practice: nothing in it can fail to be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// As a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["measured", "figure", "promised", "holds"]);
        for line in &self.lines {
            let holds = match (line.promise, line.holds) {
                (Promise::Told, _) => "",
                (_, true) => "yes",
                (_, false) => "NO",
            };
            table.add_row([
                line.what.clone(),
                figure(line.value),
                line.promise.to_string(),
                holds.to_owned(),
            ]);
        }
        for (number, right) in [false, true, true, false].into_iter().enumerate() {
            if let Some(column) = table.column_mut(number) {
                column.set_padding((0, 2));
                if right {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let rows: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let missed = self.lines.iter().filter(|line| !line.holds).count();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        format!("{}\n{rows}{notes}{missed} promises are not kept", self.title)
    }
}

/// Three digits that count; whole numbers whole.
fn figure(value: f64) -> String {
    match value {
        _ if value.is_nan() => "unknown".to_owned(),
        _ if value.fract() == 0.0 || value.abs() >= 100.0 => format!("{value:.0}"),
        _ if value.abs() >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn shown<S: Serializer>(promise: &Promise, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(promise)
}

#[cfg(test)]
mod tests {
    use super::{Promise, Report};

    #[test]
    fn one_promise_that_is_not_kept_fails_the_run_and_is_told() {
        let mut report = Report::new("two kills");
        report.count("lost requests", 0, Promise::Exactly(0.0));
        report.line("longest start, s", 1.25, Promise::AtMost(2.0));
        report.count("requests", 1_200, Promise::Told);
        assert!(report.holds());
        let mut part = Report::new("with a large journal");
        part.line("longest start, s", f64::NAN, Promise::AtMost(2.0));
        part.note("it did not start");
        report.take_over(part);
        assert!(!report.holds(), "what could not be measured keeps nothing");
        let table = report.table();
        for words in ["two kills", "1200", "1.25", "<= 2", "unknown", "NO", "1 promises are not kept"] {
            assert!(table.contains(words), "{words} is missing in\n{table}");
        }
        assert!(table.contains("with a large journal: it did not start"), "{table}");
    }
}
