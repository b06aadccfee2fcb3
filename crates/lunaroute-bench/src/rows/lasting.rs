//! What stays: records, bytes on the disk, memory, and the program itself.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{honest, recording};
use crate::Workload;
use crate::figures::median;
use crate::limits::Limit;
use crate::measure::{Bench, Task};
use crate::report::{Line, Recording};
use crate::stand::{Life, Place, Programs};

const MEBIBYTE: f64 = 1_048_576.0;

/// Loads a fresh gateway, plain and with streams, stops it, and lets it compare its own records: each answered request
/// must be in the database.
pub(super) fn disk(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.stand.renew(&[Place::On])?;
    let before = bench.answered;
    let mut measured = Vec::new();
    for workload in [Workload::Small, Workload::Stream50] {
        if bench.stand.has(Place::On) {
            measured.push(bench.once(Task::saturating(workload), Place::On)?);
        }
    }
    if !bench.stand.has(Place::On) {
        let line = Line::new("answered requests on disk", Recording::On, "%", Some(f64::NAN));
        return Ok(vec![honest(line.limit(Limit::AtLeast(100.0)), &measured)]);
    }
    let answered = bench.answered - before;
    let (verdict, sound) = bench.stand.verify(Place::On)?;
    let recorded = verdict["requests_in_database"].as_u64().context("verify does not tell the requests")?;
    let share = recorded.min(answered) as f64 / answered.max(1) as f64 * 100.0;
    let line = Line::new("answered requests on disk", Recording::On, "%", Some(share))
        .limit(Limit::AtLeast(100.0))
        .note(format!("{answered} answered, {recorded} recorded"));
    if sound {
        return Ok(vec![honest(line, &measured)]);
    }
    let problems = problems(&verdict);
    Ok(vec![
        line.spoil(format!("{answered} answered, {recorded} recorded, verify found {problems} problems")),
    ])
}

fn problems(verdict: &Value) -> u64 {
    let checks = verdict["checks"].as_array();
    checks.into_iter().flatten().filter_map(|check| check["problem_count"].as_u64()).sum()
}

/// All writers together, until the recorder was done.
pub(super) fn written(bench: &mut Bench) -> Result<Vec<Line>> {
    let rounds = bench.rounds(Task::saturating(Workload::Small), &[Place::On])?;
    let kibibytes = rounds.median(Place::On, |figures| figures.written_per_request / 1_024.0);
    let line = Line::new("written per 1 KB request", Recording::On, "KiB", kibibytes)
        .limit(Limit::AtMost(8.0))
        .stretch(Limit::AtMost(4.0));
    Ok(vec![honest(line, rounds.of(Place::On))])
}

pub(super) fn memory(bench: &mut Bench) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (place, idle_most, peak_most) in [(Place::Off, 16.0, 48.0), (Place::On, 24.0, 96.0)] {
        let lives = lives(bench, place)?;
        let idle = median(lives.iter().map(|life| life.idle as f64 / MEBIBYTE).collect());
        let peak = lives.iter().map(|life| life.peak as f64 / MEBIBYTE).max_by(f64::total_cmp);
        let of = |row, value, most| Line::new(row, recording(place), "MiB", value).limit(Limit::AtMost(most));
        lines.push(of("memory idle", idle, idle_most));
        lines.push(of("memory peak in the rows before", peak, peak_most));
    }
    Ok(lines)
}

pub(super) fn cold_start(bench: &mut Bench) -> Result<Vec<Line>> {
    let start =
        |lives: &[Life]| median(lives.iter().map(|life| life.cold_start.as_secs_f64() * 1e3).collect());
    let off = start(&lives(bench, Place::Off)?);
    let on = start(&lives(bench, Place::On)?);
    Ok(vec![
        Line::new("cold start to ready", Recording::Off, "ms", off).limit(Limit::AtMost(50.0)),
        Line::new("cold start to ready, nothing recorded", Recording::On, "ms", on),
        Line::not_measured(
            "cold start to ready, 1 GiB database",
            Recording::On,
            "ms",
            Limit::AtMost(150.0),
            "no database of that size is made",
        ),
    ])
}

pub(super) fn size(programs: &Programs) -> Result<Vec<Line>> {
    let program = &programs.gateway;
    let bytes = fs::metadata(program).with_context(|| format!("cannot read {}", program.display()))?.len();
    let line = Line::new("size of the program", Recording::Either, "MiB", Some(bytes as f64 / MEBIBYTE))
        .limit(Limit::AtMost(25.0));
    Ok(vec![line])
}

/// They need the recorder without the gateway around it, or a database grown over days.
pub(super) fn others() -> Vec<Line> {
    let alone = "needs the recorder alone";
    let line = |row, unit, limit, why| Line::not_measured(row, Recording::On, unit, limit, why);
    vec![
        line("events into journal, SQLite and JSON Lines", "events/s", Limit::AtLeast(40_000.0), alone),
        line("caller's side of one event, p50", "us", Limit::AtMost(5.0), alone),
        line("caller's side of one event, p99", "us", Limit::AtMost(20.0), alone),
        line(
            "stored / raw bytes, 100-turn agent session",
            "share",
            Limit::AtMost(0.05),
            "needs a session that grows",
        ),
    ]
}

/// Of the gateways that have run; when none has, of ones that are started and serve some small requests.
fn lives(bench: &mut Bench, place: Place) -> Result<Vec<Life>> {
    if bench.stand.lives(place).is_empty() {
        bench.rounds(Task::saturating(Workload::Small), &[place])?;
    }
    bench.stand.dismiss()?;
    Ok(bench.stand.lives(place))
}
