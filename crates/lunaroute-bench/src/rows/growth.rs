//! How the cost of a request grows with what should not matter: connections, turns before it, records beside it.
//!
//! Each figure is also divided by the bare proxy's at the same size in the same round. That takes out what the machine
//! costs (more connections are more memory to walk through) and what the bytes cost (a longer body is read and written by
//! both). A history is also counted by the kilobyte of body, so that only what grows faster than the body is growth.
//! Growth is what a larger size costs beyond a smaller one by both measures.

use anyhow::Result;

use super::{honest, recording};
use crate::figures::{Reading, Rounds};
use crate::limits::Limit;
use crate::line::{Line, Point, Recording};
use crate::measure::{Bench, Task};
use crate::stand::Place;
use crate::{Template, Workload};

/// Rounds at most: a ratio within a round needs fewer of them than a level.
const ROUNDS: u32 = 3;
const MOST: Limit = Limit::AtMost(1.3);
const PER_REQUEST: Reading = |figures| figures.cpu_per_request;
const KILOBYTE: f64 = 1_000.0;
const WAYS: &[Place] = &[Place::Bare, Place::Off, Place::On];

pub(super) fn growth(bench: &mut Bench) -> Result<Vec<Line>> {
    let mut lines = connections(bench)?;
    lines.extend(history(bench)?);
    lines.push(database(bench)?);
    Ok(lines)
}

/// A size by name, what is measured there, and what one unit of the figure is.
type Size = (&'static str, Task, f64);

fn connections(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = [("1", 1), ("64", 64), ("512", 512)].map(|(size, connections)| -> Size {
        (size, Task { connections, ..Task::saturating(Workload::Small) }, 1.0)
    });
    over(bench, "connections, small", "CPU us/request", &sizes)
}

fn history(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = [("10 turns", 10), ("100 turns", 100), ("400 turns", 400)].map(|(size, turns)| -> Size {
        let workload = Workload::History { turns };
        let kilobytes = Template::new(workload, 0).body_bytes() as f64 / KILOBYTE;
        (size, Task::saturating(workload), kilobytes)
    });
    over(bench, "length of the history", "CPU us/KB of body", &sizes)
}

fn over(bench: &mut Bench, row: &'static str, unit: &'static str, sizes: &[Size]) -> Result<Vec<Line>> {
    let mut measured = Vec::new();
    for (size, task, per) in sizes {
        measured.push((*size, bench.some_rounds(bench.settings.rounds.min(ROUNDS), *task, WAYS)?, *per));
    }
    let of_place = |place| {
        let ways: Vec<_> = measured.iter().map(|(size, rounds, per)| (*size, rounds, place, *per)).collect();
        line(row, unit, &ways)
    };
    Ok([Place::Off, Place::On].map(of_place).into())
}

/// An empty database and a large one, in the same rounds.
fn database(bench: &mut Bench) -> Result<Line> {
    let large = bench.stand.fill()?.is_large();
    let task = Task::saturating(Workload::Small);
    let ways = [Place::Bare, Place::On, Place::OnFilled];
    let rounds = bench.some_rounds(bench.settings.rounds.min(ROUNDS), task, &ways)?;
    let ways = [("empty", &rounds, Place::On, 1.0), ("1 GiB", &rounds, Place::OnFilled, 1.0)];
    let line = line("database, small", "CPU us/request", &ways);
    Ok(if large { line } else { line.spoil("the large database is too small") })
}

/// A size by name, the rounds there, the way that is looked at, and what one unit of the figure is.
type Way<'a> = (&'static str, &'a Rounds, Place, f64);

fn line(row: &'static str, unit: &'static str, ways: &[Way<'_>]) -> Line {
    let point = |(size, rounds, place, per): &Way<'_>| Point {
        size,
        standing: rounds.standing(*place, PER_REQUEST).per(*per),
    };
    let recorded = ways.last().map_or(Recording::Either, |(_, _, place, _)| recording(*place));
    let line = Line::growing(row, recorded, unit, ways.iter().map(point).collect()).limit(MOST);
    ways.iter().fold(line, |line, (_, rounds, place, _)| honest(line, rounds, *place))
}
