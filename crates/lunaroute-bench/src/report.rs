//! The table.

use std::thread::available_parallelism;

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::{Serialize, Serializer};

use crate::limits::Limit;

/// Other work than this, in processors, is worth a warning.
const FOREIGN: f64 = 0.1;

/// Whether the gateway records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recording {
    Off,
    On,
    /// It makes no difference.
    Either,
}

/// One figure of the gateway, beside the same of others, with its limit.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub(crate) row: &'static str,
    pub(crate) recording: Recording,
    pub(crate) unit: &'static str,
    /// `None` when it was not measured.
    pub(crate) value: Option<f64>,
    pub(crate) bare: Option<f64>,
    pub(crate) nginx: Option<f64>,
    #[serde(serialize_with = "shown")]
    pub(crate) limit: Option<Limit>,
    #[serde(serialize_with = "shown")]
    pub(crate) stretch: Option<Limit>,
    pub(crate) holds: Option<bool>,
    pub(crate) stretch_holds: Option<bool>,
    /// What a reader must know besides.
    pub(crate) note: String,
}

impl Line {
    /// A figure that is not compared with another way's.
    pub(crate) fn new(
        row: &'static str,
        recording: Recording,
        unit: &'static str,
        value: Option<f64>,
    ) -> Self {
        Self {
            row,
            recording,
            unit,
            value,
            bare: None,
            nginx: None,
            limit: None,
            stretch: None,
            holds: None,
            stretch_holds: None,
            note: String::new(),
        }
    }

    /// A row that stands in the list of limits and has no instrument here, and why.
    pub(crate) fn not_measured(
        row: &'static str,
        recording: Recording,
        unit: &'static str,
        limit: Limit,
        why: &str,
    ) -> Self {
        Self { limit: Some(limit), note: why.to_owned(), ..Self::new(row, recording, unit, None) }
    }

    pub(crate) fn beside(mut self, bare: Option<f64>, nginx: Option<f64>) -> Self {
        self.bare = bare;
        self.nginx = nginx;
        self
    }

    pub(crate) fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self.holds = self.value.and_then(|value| limit.holds(value, self.bare, self.nginx));
        self
    }

    pub(crate) fn stretch(mut self, stretch: Limit) -> Self {
        self.stretch = Some(stretch);
        self.stretch_holds = self.value.and_then(|value| stretch.holds(value, self.bare, self.nginx));
        self
    }

    pub(crate) fn note(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    /// Whatever the figure says: it does not count, for this reason.
    pub(crate) fn spoil(mut self, why: String) -> Self {
        self.holds = Some(false);
        self.stretch_holds = Some(false);
        self.note = why;
        self
    }

    /// In one line, for whoever waits for the table.
    pub(crate) fn brief(&self) -> String {
        let [row, recording, value, bare, _, _, limit, holds, _] = self.cells();
        format!("{row} {recording}: {value} (bare {bare}, limit {limit}) {holds}")
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.value? / self.bare.filter(|bare| *bare > 0.0)?)
    }

    fn cells(&self) -> [String; 9] {
        let recording = match self.recording {
            Recording::Off => "off",
            Recording::On => "on",
            Recording::Either => "",
        };
        let holds = match (self.holds, self.value) {
            (Some(true), _) => "yes",
            (Some(false), _) => "NO",
            (None, None) => "not measured",
            (None, Some(_)) => "",
        };
        let stretch = match (self.stretch, self.stretch_holds) {
            (None, _) => String::new(),
            (Some(stretch), Some(true)) => format!("{stretch} yes"),
            (Some(stretch), Some(false)) => format!("{stretch} no"),
            (Some(stretch), None) => format!("{stretch} ?"),
        };
        [
            format!("{} ({})", self.row, self.unit),
            recording.to_owned(),
            figure(self.value),
            figure(self.bare),
            figure(self.nginx),
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.limit.map_or_else(String::new, |limit| limit.to_string()),
            holds.to_owned(),
            if self.note.is_empty() { stretch } else { format!("{stretch} {}", self.note).trim().to_owned() },
        ]
    }
}

/// All lines of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) processors: usize,
    /// Processors that other work used on average while it was measured.
    pub(crate) foreign_processors: f64,
    pub(crate) nginx: bool,
    /// The first request that failed, and how.
    pub(crate) failure: Option<String>,
    /// In the order of the table.
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether no limit is missed. A figure that was not measured misses none.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lines.iter().all(|line| line.holds != Some(false))
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never in practice: nothing in it can fail to be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// As a table for people, with what is to be known about it below.
    #[must_use]
    pub fn table(&self) -> String {
        let heads =
            ["row", "recording", "#value", "#bare", "#nginx", "#x bare", "limit", "holds", "stretch, notes"];
        let mut text = table(&heads, self.lines.iter().map(Line::cells));
        let (rounds, seconds) = (self.rounds, self.seconds);
        text.push_str(&format!(
            "\nmedians of {rounds} interleaved rounds of {seconds} s; {} processors\n",
            self.processors
        ));
        if !self.nginx {
            text.push_str("nginx is not installed: its column is empty\n");
        }
        if self.foreign_processors > FOREIGN {
            let used = self.foreign_processors;
            text.push_str(&format!(
                "warning: other work used {used:.2} processors meanwhile; measure again\n"
            ));
        }
        if let Some(failure) = &self.failure {
            text.push_str(&format!("first failure: {failure}\n"));
        }
        let missed = self.lines.iter().filter(|line| line.holds == Some(false)).count();
        let unmeasured = self.lines.iter().filter(|line| line.value.is_none()).count();
        text.push_str(&format!("{missed} limits do not hold, {unmeasured} rows were not measured"));
        text
    }
}

/// How many processors there are; 0 when the system does not say.
pub(crate) fn processors() -> usize {
    available_parallelism().map_or(0, usize::from)
}

/// Rows under these heads; a head that begins with `#` holds figures.
pub(crate) fn table<const N: usize>(heads: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.trim_start_matches('#')));
    for row in rows {
        table.add_row(row);
    }
    for (number, head) in heads.iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_padding((0, 2));
            if head.starts_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Three digits that count.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.is_nan() => "unknown".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn shown<S: Serializer>(limit: &Option<Limit>, serializer: S) -> Result<S::Ok, S::Error> {
    limit.map(|limit| limit.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::{Line, Recording, Report};
    use crate::limits::Limit;

    fn report(lines: Vec<Line>) -> Report {
        Report {
            rounds: 5,
            seconds: 2.0,
            processors: 2,
            foreign_processors: 0.5,
            nginx: false,
            failure: None,
            lines,
        }
    }

    #[test]
    fn one_missed_limit_fails_the_run_and_an_unmeasured_row_is_named() {
        let line = |value| {
            Line::new("small", Recording::Off, "us", Some(value))
                .beside(Some(10.0), None)
                .limit(Limit::TimesBare(1.6))
        };
        let unmeasured = Line::not_measured("far", Recording::On, "us", Limit::AtMost(1.0), "no instrument");
        assert!(report(vec![line(16.0), unmeasured.clone()]).holds());
        let missed = report(vec![line(16.0), line(17.0), unmeasured]);
        assert!(!missed.holds());
        let table = missed.table();
        for words in
            ["1.70", "NO", "not measured", "no instrument", "other work used 0.50", "nginx is not installed"]
        {
            assert!(table.contains(words), "{words} is missing in\n{table}");
        }
        assert!(!report(vec![line(1.0).spoil("3 failed".to_owned())]).holds());
    }
}
