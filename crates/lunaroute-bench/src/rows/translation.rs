//! What it costs when client and provider speak different dialects, beyond the passthrough of the same request.
//!
//! The client speaks Messages both times. One model is at a provider of Messages, the other at one of Chat Completions;
//! both are the same simulated provider, and one gateway serves them in turn, so that nothing but the translation differs.

use anyhow::Result;

use crate::Workload;
use crate::figures::{Figures, median};
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, Task};
use crate::stand::Place;
use crate::table::figure;

pub(super) fn translate(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.stand.renew(&[Place::OffForeign])?;
    let line = |bench: &mut Bench, row, unit, workload, per: u64, most| {
        added(bench, workload).map(|added| added.line(row, unit, per as f64).limit(Limit::AtMost(most)))
    };
    let events = Workload::MessagesStream500.events();
    Ok(vec![
        line(bench, "translated: added, small", "CPU us/request", Workload::MessagesSmall, 1, 60.0)?,
        line(
            bench,
            "translated: added, stream of 500",
            "CPU us/event",
            Workload::MessagesStream500,
            events,
            4.0,
        )?,
        line(bench, "translated: added, agent", "CPU us/request", Workload::Messages50, 1, 1_500.0)?,
    ])
}

/// One exchange both ways, round by round, in microseconds of CPU for a request.
struct Added {
    passed: Vec<f64>,
    translated: Vec<f64>,
    failed: u64,
}

fn added(bench: &mut Bench, workload: Workload) -> Result<Added> {
    let own = Task::saturating(workload);
    let foreign = Task { is_foreign: true, ..own };
    let mut added = Added { passed: Vec::new(), translated: Vec::new(), failed: 0 };
    for _ in 0..bench.settings.rounds {
        let Figures { cpu_per_request, failed, .. } = bench.once(own, Place::OffForeign)?;
        added.passed.push(cpu_per_request);
        added.failed += failed;
        let Figures { cpu_per_request, failed, .. } = bench.once(foreign, Place::OffForeign)?;
        added.translated.push(cpu_per_request);
        added.failed += failed;
    }
    Ok(added)
}

impl Added {
    /// The median of the differences within each round, and both levels beside it.
    fn line(self, row: &'static str, unit: &'static str, per: f64) -> Line {
        let differences = self.translated.iter().zip(&self.passed).map(|(one, other)| (one - other) / per);
        let line = Line::alone(row, Recording::Off, unit, median(differences.collect()));
        let level = |levels: Vec<f64>| figure(median(levels).map(|level| level / per));
        let line = line.note(&format!(
            "passed through {}, translated {}",
            level(self.passed),
            level(self.translated)
        ));
        if self.failed > 0 { line.spoil(&format!("{} requests failed", self.failed)) } else { line }
    }
}
