//! How the cost of a request grows with what should not matter: connections, turns before it, records beside it.
//!
//! Each figure is divided by the bare proxy's at the same size in the same round. That takes out what the machine costs
//! (a wake-up for each request when there is one connection) and what the bytes cost (a longer body is read and written
//! by both), and leaves what the gateway itself adds with the size.

use anyhow::Result;

use super::{honest, recording};
use crate::Workload;
use crate::figures::{Reading, Rounds};
use crate::limits::Limit;
use crate::line::{Line, Point, Recording};
use crate::measure::{Bench, Task};
use crate::stand::Place;

/// Rounds at most: a ratio within a round needs fewer of them than a level.
const ROUNDS: u32 = 3;
const MOST: Limit = Limit::AtMost(1.3);
const UNIT: &str = "CPU us/request";
const PER_REQUEST: Reading = |figures| figures.cpu_per_request;
const WAYS: &[Place] = &[Place::Bare, Place::Off, Place::On];

pub(super) fn growth(bench: &mut Bench) -> Result<Vec<Line>> {
    let mut lines = connections(bench)?;
    lines.extend(history(bench)?);
    lines.push(database(bench)?);
    Ok(lines)
}

fn connections(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = [("1", 1), ("64", 64), ("512", 512)];
    over(
        bench,
        "connections, small",
        &sizes.map(|(size, connections)| (size, Task { connections, ..Task::saturating(Workload::Small) })),
    )
}

fn history(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = [("10 turns", 10), ("100 turns", 100), ("400 turns", 400)];
    over(
        bench,
        "length of the history",
        &sizes.map(|(size, turns)| (size, Task::saturating(Workload::History { turns }))),
    )
}

fn over(bench: &mut Bench, row: &'static str, tasks: &[(&'static str, Task)]) -> Result<Vec<Line>> {
    let mut measured = Vec::new();
    for (size, task) in tasks {
        measured.push((*size, bench.some_rounds(bench.settings.rounds.min(ROUNDS), *task, WAYS)?));
    }
    let line = |place| {
        let ways: Vec<_> = measured.iter().map(|(size, rounds)| (*size, rounds, place)).collect();
        line(row, &ways)
    };
    Ok([Place::Off, Place::On].map(line).into())
}

/// An empty database and a large one, in the same rounds.
fn database(bench: &mut Bench) -> Result<Line> {
    let large = bench.stand.fill()?.is_large();
    let task = Task::saturating(Workload::Small);
    let ways = [Place::Bare, Place::On, Place::OnFilled];
    let rounds = bench.some_rounds(bench.settings.rounds.min(ROUNDS), task, &ways)?;
    let line = line("database, small", &[("empty", &rounds, Place::On), ("1 GiB", &rounds, Place::OnFilled)]);
    Ok(if large { line } else { line.spoil("the large database is too small") })
}

fn line(row: &'static str, ways: &[(&'static str, &Rounds, Place)]) -> Line {
    let point = |(size, rounds, place): &(&'static str, &Rounds, Place)| Point {
        size,
        standing: rounds.standing(*place, PER_REQUEST),
    };
    let recorded = ways.last().map_or(Recording::Either, |(_, _, place)| recording(*place));
    let line = Line::growing(row, recorded, UNIT, ways.iter().map(point).collect()).limit(MOST);
    ways.iter().fold(line, |line, (_, rounds, place)| honest(line, rounds, *place))
}
