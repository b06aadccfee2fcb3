//! All lines of a run, as tables and as JSON.

use std::collections::HashMap;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::line::Line;
use crate::table::{Style, figure};

/// Other work than this, in processors, is worth a warning.
pub(crate) const FOREIGN: f64 = 0.1;

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
    /// In the order of the tables.
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether no limit is missed. A figure that was not measured, or is unclear, misses none.
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

    /// The tables, without what is to be known about them.
    #[must_use]
    pub fn tables(&self, style: Style) -> String {
        let plain = self.lines.iter().filter(|line| line.points.is_empty());
        let mut tables = Vec::new();
        if plain.clone().next().is_some() {
            tables.push(style.table(&Line::HEADS, plain.map(Line::cells)));
        }
        let growing = self.lines.iter().filter(|line| !line.points.is_empty());
        if growing.clone().next().is_some() {
            tables.push(style.table(&Line::GROWTH_HEADS, growing.map(Line::growth_cells)));
        }
        tables.join("\n")
    }

    /// What is to be known about the tables.
    #[must_use]
    pub fn remarks(&self) -> String {
        let mut remarks = vec![format!(
            "medians of {} interleaved rounds of {} s; {} processors",
            self.rounds, self.seconds, self.processors
        )];
        if !self.nginx {
            remarks.push("nginx is not installed: its column is empty".to_owned());
        }
        if self.foreign_processors > FOREIGN {
            let used = self.foreign_processors;
            remarks.push(format!("warning: other work used {used:.2} processors meanwhile; measure again"));
        }
        if let Some(failure) = &self.failure {
            remarks.push(format!("first failure: {failure}"));
        }
        let missed = self.lines.iter().filter(|line| line.holds == Some(false)).count();
        let unclear =
            |line: &&Line| line.limit.is_some() && line.holds.is_none() && line.standing.value.is_some();
        let unclear = self.lines.iter().filter(unclear).count();
        let unmeasured = self.lines.iter().filter(|line| line.standing.value.is_none()).count();
        remarks.push(format!(
            "{missed} limits do not hold, {unclear} are unclear, {unmeasured} rows were not measured"
        ));
        remarks.join("\n")
    }

    /// Each figure that an earlier report has too, in one line: `row: before -> after`.
    ///
    /// # Errors
    /// When the text is not what [`json`](Self::json) gives.
    pub fn since(&self, earlier: &str) -> Result<String> {
        let earlier: Value = serde_json::from_str(earlier).context("the earlier report is not JSON")?;
        let lines = earlier["lines"].as_array().context("the earlier report has no lines")?;
        let key = |line: &Value| {
            Some((
                line["row"].as_str()?.to_owned(),
                line["recording"].as_str()?.to_owned(),
                line["unit"].as_str()?.to_owned(),
            ))
        };
        let known: HashMap<_, _> =
            lines.iter().filter_map(|line| Some((key(line)?, line["value"].as_f64()?))).collect();
        let mut text = String::new();
        for line in &self.lines {
            let as_json = serde_json::to_value(line)?;
            let before = key(&as_json).and_then(|key| known.get(&key).copied());
            if let (Some(before), Some(after)) = (before, line.standing.value) {
                let changed = change(&line.name(), Some(before), Some(after), Some(after / before));
                text.push_str(&format!("{changed}\n"));
            }
        }
        Ok(text)
    }
}

/// A figure before and after, and how many times the one the other is, as a commit message has it.
pub(crate) fn change(name: &str, before: Option<f64>, after: Option<f64>, times: Option<f64>) -> String {
    let times = times.map(|times| format!(" ({times:.2} x)")).unwrap_or_default();
    format!("{name}: {} -> {}{times}", figure(before), figure(after))
}

/// How many processors there are; 0 when the system does not say.
pub(crate) fn processors() -> usize {
    available_parallelism().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::figures::Standing;
    use crate::limits::Limit;
    use crate::line::{Line, Point, Recording};
    use crate::table::Style;

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

    fn small(value: f64) -> Line {
        let standing = Standing {
            value: Some(value),
            bare: Some(10.0),
            times_bare: Some(value / 10.0),
            ..Standing::default()
        };
        Line::new("small", Recording::Off, "us", standing).limit(Limit::TimesBare(1.6))
    }

    #[test]
    fn one_missed_limit_fails_the_run_and_an_unmeasured_row_is_named() {
        let unmeasured =
            Line::alone("far", Recording::On, "us", None).limit(Limit::AtMost(1.0)).note("no instrument");
        assert!(report(vec![small(16.0), unmeasured.clone()]).holds());
        let missed = report(vec![small(16.0), small(17.0), unmeasured]);
        assert!(!missed.holds());
        let text = missed.tables(Style::Plain) + &missed.remarks();
        for words in [
            "1.70",
            "NO",
            "not measured",
            "no instrument",
            "other work used 0.50",
            "nginx is not installed",
            "1 limits do not hold, 0 are unclear, 1 rows",
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        assert!(!report(vec![small(1.0).spoil("3 failed")]).holds());
        let unclear = report(vec![small(17.0).unclear("noise")]);
        assert!(unclear.holds() && unclear.remarks().contains("0 limits do not hold, 1 are unclear"));
    }

    #[test]
    fn growth_has_a_table_of_its_own() {
        let point = |size, times| Point {
            size,
            standing: Standing { value: Some(times), times_bare: Some(times), ..Standing::default() },
        };
        let growing =
            Line::growing("connections", Recording::On, "us", vec![point("1", 2.0), point("64", 3.0)]);
        let report = report(vec![small(16.0), growing.limit(Limit::AtMost(1.3))]);
        assert!(!report.holds());
        let text = report.tables(Style::Markdown);
        assert!(text.contains("| 1: 2.00, 64: 3.00 | 2.00, 3.00 | 1.50 | 1.50 | <= 1.3 | NO |"), "{text}");
    }

    #[test]
    fn an_earlier_report_gives_figures_before_and_after() {
        let earlier = report(vec![small(32.0), Line::alone("gone", Recording::On, "us", Some(1.0))]);
        let new = Line::alone("new", Recording::On, "us", Some(1.0));
        let text = report(vec![small(16.0), new]).since(&earlier.json().unwrap()).unwrap();
        assert_eq!(text, "small, recording off (us): 32.0 -> 16.0 (0.50 x)\n");
        assert!(report(vec![]).since("[").is_err());
    }
}
