//! What must never be missed, whatever else is: read off the other rows, which are measured first where they were not.

use anyhow::Result;

use super::{honest, lasting, recorder, saturation, time};
use crate::Workload;
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, Fact, Task};
use crate::stand::Place;

pub(super) fn floors(bench: &mut Bench) -> Result<Vec<Line>> {
    let milliseconds = |fact: Option<f64>| fact.map(|microseconds| microseconds / 1e3);
    let added = milliseconds(fact(bench, Fact::AddedP95)?);
    let first = milliseconds(fact(bench, Fact::FirstEventP95)?);
    let sustained = fact(bench, Fact::Sustained)?;
    let report = milliseconds(fact(bench, Fact::ReportP99)?);
    let events = fact(bench, Fact::EventsPerSecond)?;
    let rounds = bench.rounds(Task::per_second(Workload::Small, 500.0, 0), &[Place::On])?;
    let percent = rounds.median(Place::On, |figures| figures.processors * 100.0);
    let memory = lasting::peak_memory(bench)?;
    let floor = |row, unit, value, limit| Line::alone(row, Recording::On, unit, value).limit(limit);
    let busy = floor("floor: CPU at 500 requests/s", "% of one processor", percent, Limit::AtMost(50.0));
    Ok(vec![
        floor("floor: added p95, small, 1000/s", "ms", added, Limit::AtMost(35.0)),
        floor("floor: requests sustained", "requests/s", sustained, Limit::AtLeast(1_000.0)),
        floor("floor: first event p95, 100/s", "ms", first, Limit::AtMost(150.0)),
        floor("floor: memory peak in the rows before", "MiB", memory, Limit::AtMost(953.0)),
        honest(busy, &rounds, Place::On),
        floor("floor: caller's side of one event, p99", "ms", report, Limit::AtMost(1.0)),
        floor("floor: events recorded", "events/s", events, Limit::AtLeast(10_000.0)),
    ])
}

fn fact(bench: &mut Bench, fact: Fact) -> Result<Option<f64>> {
    if !bench.facts.contains_key(&fact) {
        match fact {
            Fact::AddedP95 => time::latency(bench)?,
            Fact::FirstEventP95 => time::first_event(bench)?,
            Fact::Sustained => saturation::small(bench)?,
            Fact::ReportP99 | Fact::EventsPerSecond => recorder::recorder(bench)?,
        };
    }
    Ok(bench.facts.get(&fact).copied())
}
