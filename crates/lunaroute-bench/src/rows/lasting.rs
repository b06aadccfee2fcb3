//! What stays: records, bytes on the disk, memory, and the program itself.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{honest, recording};
use crate::Workload;
use crate::figures::{Rounds, median};
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, DRAIN, Task};
use crate::probe;
use crate::stand::{Life, Place, Programs};
use crate::table::figure;

const KIBIBYTE: f64 = 1_024.0;
pub(super) const MEBIBYTE: f64 = 1_048_576.0;

/// Loads a fresh gateway, plain and with streams, stops it, and lets it compare its own records: each answered request
/// must be in the database.
pub(super) fn disk(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.stand.renew(&[Place::On])?;
    let before = bench.answered;
    let mut measured = Rounds::default();
    for workload in [Workload::Small, Workload::Stream50] {
        if bench.stand.has(Place::On) {
            measured.add(Place::On, bench.once(Task::saturating(workload), Place::On)?);
        }
    }
    let line = |share| {
        Line::alone("answered requests on disk", Recording::On, "%", Some(share)).limit(Limit::AtLeast(100.0))
    };
    if !bench.stand.has(Place::On) {
        return Ok(vec![honest(line(f64::NAN), &measured, Place::On)]);
    }
    let answered = bench.answered - before;
    let home = bench.stand.retire(Place::On)?;
    let (verdict, sound) = home.json(bench.stand.program(Place::On), &["verify"])?;
    let recorded = verdict["requests_in_database"].as_u64().context("verify does not tell the requests")?;
    let line = line(recorded.min(answered) as f64 / answered.max(1) as f64 * 100.0)
        .note(&format!("{answered} answered, {recorded} recorded"));
    if sound {
        return Ok(vec![honest(line, &measured, Place::On)]);
    }
    Ok(vec![line.spoil(&format!("verify found {} problems", problems(&verdict)))])
}

fn problems(verdict: &Value) -> u64 {
    let checks = verdict["checks"].as_array();
    checks.into_iter().flatten().filter_map(|check| check["problem_count"].as_u64()).sum()
}

/// All writers together, until the recorder was done.
pub(super) fn written(bench: &mut Bench) -> Result<Vec<Line>> {
    let rounds = bench.rounds(Task::saturating(Workload::Small), &[Place::On])?;
    let kibibytes = rounds.median(Place::On, |figures| figures.written_per_request / KIBIBYTE);
    let by_thread = rounds.threads(Place::On, |share| share.written / KIBIBYTE);
    let words: Vec<_> =
        by_thread.iter().map(|(name, written)| format!("{name} {}", figure(Some(*written)))).collect();
    let line = Line::alone("written per 1 KB request", Recording::On, "KiB", kibibytes)
        .limit(Limit::AtMost(8.0))
        .stretch(Limit::AtMost(4.0))
        .note(&words.join(", "));
    Ok(vec![honest(line, &rounds, Place::On)])
}

pub(super) fn memory(bench: &mut Bench) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (place, idle_most, peak_most) in [(Place::Off, 16.0, 48.0), (Place::On, 24.0, 96.0)] {
        let lives = lives(bench, place)?;
        let idle = median(lives.iter().map(|life| life.idle as f64 / MEBIBYTE).collect());
        let of =
            |row, value, most| Line::alone(row, recording(place), "MiB", value).limit(Limit::AtMost(most));
        lines.push(of("memory idle", idle, idle_most));
        lines.push(of("memory peak in the rows before", peak(&lives), peak_most));
    }
    Ok(lines)
}

/// The most memory of these in MiB.
fn peak(lives: &[Life]) -> Option<f64> {
    lives.iter().map(|life| life.peak as f64 / MEBIBYTE).max_by(f64::total_cmp)
}

/// The most memory in MiB that any recording gateway had so far.
pub(super) fn peak_memory(bench: &mut Bench) -> Result<Option<f64>> {
    Ok(peak(&lives(bench, Place::On)?))
}

pub(super) fn cold_start(bench: &mut Bench) -> Result<Vec<Line>> {
    let start =
        |lives: &[Life]| median(lives.iter().map(|life| life.cold_start.as_secs_f64() * 1e3).collect());
    let off = start(&lives(bench, Place::Off)?);
    let on = start(&lives(bench, Place::On)?);
    let filled = bench.stand.fill()?;
    let (large, words) = (filled.is_large(), filled.words());
    // The first one brings its files up to the database.
    bench.stand.renew(&[Place::OnFilled])?;
    let at = bench.stand.address(Place::OnFilled)?;
    let left = bench.stand.runtime().block_on(probe::drain(at, DRAIN))?;
    bench.stand.dismiss()?;
    let before = bench.stand.lives(Place::OnFilled).len();
    for _ in 0..bench.settings.rounds {
        bench.stand.renew(&[Place::OnFilled])?;
    }
    bench.stand.dismiss()?;
    let beside = start(&bench.stand.lives(Place::OnFilled)[before..]);
    let line = Line::alone("cold start to ready, 1 GiB database", Recording::On, "ms", beside)
        .limit(Limit::AtMost(150.0))
        .note(&words);
    let line = match left {
        _ if !large => line.spoil("too small"),
        Some(left) => line.spoil(&format!("the first start was not done with its files: {left}")),
        None => line,
    };
    Ok(vec![
        Line::alone("cold start to ready", Recording::Off, "ms", off).limit(Limit::AtMost(50.0)),
        Line::alone("cold start to ready, empty database", Recording::On, "ms", on),
        line,
    ])
}

pub(super) fn size(programs: &Programs) -> Result<Vec<Line>> {
    let program = &programs.gateway;
    let bytes = fs::metadata(program).with_context(|| format!("cannot read {}", program.display()))?.len();
    let line = Line::alone("size of the program", Recording::Either, "MiB", Some(bytes as f64 / MEBIBYTE))
        .limit(Limit::AtMost(25.0));
    Ok(vec![line])
}

/// Of the gateways that have run; when none has, of ones that are started and serve some small requests.
fn lives(bench: &mut Bench, place: Place) -> Result<Vec<Life>> {
    if bench.stand.lives(place).is_empty() {
        bench.rounds(Task::saturating(Workload::Small), &[place])?;
    }
    bench.stand.dismiss()?;
    Ok(bench.stand.lives(place))
}
