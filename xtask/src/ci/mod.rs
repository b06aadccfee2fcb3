//! `cargo xtask ci`: all that a change must pass, step by step.
//!
//! Quick steps come first, so that a slip is known soon; the tests come last, so that their closing lines stand just
//! above the table.

mod step;
mod tally;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::step::Step;
use self::tally::Tally;
use crate::workspace::Workspace;

/// Which steps to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step; may be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave this step out; may be given more than once.
    #[arg(long, value_name = "STEP")]
    skip: Vec<Step>,
}

/// Runs the chosen steps in order and prints a table of them; the first failure stops the run.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let steps = options.steps();
    if steps.is_empty() {
        bail!("no step is left to run");
    }
    let mut report = Report::default();
    for (position, step) in steps.iter().enumerate() {
        println!("\n== {}: {} ==", step.name(), step.title());
        let started = Instant::now();
        let done = step.run(workspace);
        report.add(*step, started.elapsed(), done.as_ref().copied().ok());
        if let Err(error) = done {
            report.print(&steps[position + 1..]);
            let name = step.name();
            bail!("step `{name}` failed: {error:#}\nrun it again with `cargo xtask ci --only {name}`");
        }
    }
    report.print(&[]);
    Ok(())
}

impl Options {
    fn steps(&self) -> Vec<Step> {
        let wanted =
            |step: &Step| (self.only.is_empty() || self.only.contains(step)) && !self.skip.contains(step);
        Step::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// What the steps have come to.
#[derive(Default)]
struct Report {
    rows: Vec<(Step, Duration, &'static str)>,
    tests: Tally,
}

impl Report {
    /// Without a tally the step failed.
    fn add(&mut self, step: Step, took: Duration, tally: Option<Tally>) {
        self.rows.push((step, took, if tally.is_some() { "ok" } else { "FAILED" }));
        self.tests += tally.unwrap_or_default();
    }

    fn print(&self, left: &[Step]) {
        println!("\n{:<10}{:>9}  result", "step", "time");
        for (step, took, result) in &self.rows {
            println!("{:<10}{:>7.1} s  {result}", step.name(), took.as_secs_f64());
        }
        for step in left {
            println!("{:<10}{:>9}  not run", step.name(), "");
        }
        let total: Duration = self.rows.iter().map(|(_, took, _)| took).sum();
        println!("{:<10}{:>7.1} s", "total", total.as_secs_f64());
        if !self.tests.is_empty() {
            println!("tests: {}", self.tests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use super::step::Step;

    #[test]
    fn only_and_skip_choose_steps_in_their_own_order() {
        let all = Options { only: vec![], skip: vec![] }.steps();
        assert_eq!((all.first(), all.last(), all.len()), (Some(&Step::Fmt), Some(&Step::Test), 8));
        let chosen = Options { only: vec![Step::Test, Step::Fmt, Step::Doc], skip: vec![Step::Doc] }.steps();
        assert_eq!(chosen, [Step::Fmt, Step::Test]);
    }
}
