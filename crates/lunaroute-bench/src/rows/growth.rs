//! How the cost of a request grows with what should not matter: connections, turns before it, records beside it.
//!
//! Each figure is divided by the bare proxy's at the same size in the same round. That takes out what the machine costs
//! (a wake-up for each request when there is one connection) and what the bytes cost (a longer body is read and written
//! by both), and leaves what the gateway itself adds with the size.

use anyhow::Result;

use super::{honest, recording};
use crate::Workload;
use crate::figures::{Figures, Reading, Standing};
use crate::limits::Limit;
use crate::line::{Line, Point};
use crate::measure::{Bench, Task};
use crate::stand::Place;

/// Rounds at most: a ratio within a round needs fewer of them than a level.
const ROUNDS: u32 = 3;
const MOST: Limit = Limit::AtMost(1.3);
const UNIT: &str = "CPU us/request";
const PER_REQUEST: Reading = |figures| figures.cpu_per_request;
const WAYS: &[Place] = &[Place::Bare, Place::Off, Place::On];

/// The points of one way, and what they were measured by.
#[derive(Default)]
struct Way {
    points: Vec<Point>,
    figures: Vec<Figures>,
}

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
    let (mut off, mut on) = (Way::default(), Way::default());
    for (size, task) in tasks {
        let rounds = bench.some_rounds(bench.settings.rounds.min(ROUNDS), *task, WAYS)?;
        for (place, way) in [(Place::Off, &mut off), (Place::On, &mut on)] {
            way.take(size, rounds.standing(place, PER_REQUEST), rounds.of(place));
        }
    }
    Ok(vec![off.line(row, Place::Off), on.line(row, Place::On)])
}

/// An empty database and a large one, in the same rounds.
fn database(bench: &mut Bench) -> Result<Line> {
    let large = bench.stand.fill()?.is_large();
    let task = Task::saturating(Workload::Small);
    let ways = [Place::Bare, Place::On, Place::OnFilled];
    let rounds = bench.some_rounds(bench.settings.rounds.min(ROUNDS), task, &ways)?;
    let mut way = Way::default();
    for (size, place) in [("empty", Place::On), ("1 GiB", Place::OnFilled)] {
        way.take(size, rounds.standing(place, PER_REQUEST), rounds.of(place));
    }
    let line = way.line("database, small", Place::On);
    Ok(if large { line } else { line.spoil("the large database is too small") })
}

impl Way {
    fn take(&mut self, size: &'static str, standing: Standing, figures: &[Figures]) {
        self.points.push(Point { size, standing });
        self.figures.extend_from_slice(figures);
    }

    fn line(self, row: &'static str, place: Place) -> Line {
        honest(Line::growing(row, recording(place), UNIT, self.points).limit(MOST), &self.figures)
    }
}
