//! What the gateway adds to the time that the client waits, at rates far below saturation.

use anyhow::Result;

use super::{cpu_by_thread, honest, recording};
use crate::Workload;
use crate::figures::{Reading, Rounds};
use crate::limits::Limit;
use crate::line::Line;
use crate::measure::{Bench, Fact, Task};
use crate::stand::Place;

const P50: Reading = |figures| figures.p50;
const P95: Reading = |figures| figures.p95;
const P99: Reading = |figures| figures.p99;

/// Milliseconds of a provider that takes its time, as all real ones do: long enough to hide a synchronisation.
const PAUSE_MS: u32 = 20;

pub(super) fn latency(bench: &mut Bench) -> Result<Vec<Line>> {
    let instant = Task::per_second(Workload::Small, 1_000.0, 0);
    let ways = [Place::Direct, Place::Bare, Place::Nginx, Place::Off, Place::On, Place::OnInterval];
    let rounds = bench.rounds(instant, &ways)?;
    bench.note(Fact::AddedP95, rounds.added(Place::On, P95));
    let mut lines = vec![
        added(&rounds, Place::Off, "added p50, small, 1000/s", P50, 80.0),
        added(&rounds, Place::Off, "added p99, small, 1000/s", P99, 500.0),
        added(&rounds, Place::On, "added p50, small, 1000/s", P50, 350.0),
        added(&rounds, Place::On, "added p99, small, 1000/s", P99, 2_000.0),
        added(&rounds, Place::OnInterval, "added p50, small, 1000/s, interval sync", P50, 120.0),
    ];
    let paused = Task::per_second(Workload::Small, 1_000.0, PAUSE_MS);
    let rounds = bench.rounds(paused, &[Place::Direct, Place::Bare, Place::On])?;
    lines.push(added(&rounds, Place::On, "added p50, small, 1000/s, provider 20 ms", P50, 100.0));
    lines.push(added(&rounds, Place::On, "added p99, small, 1000/s, provider 20 ms", P99, 800.0));
    Ok(lines)
}

pub(super) fn first_event(bench: &mut Bench) -> Result<Vec<Line>> {
    let instant = Task::per_second(Workload::Stream50, 100.0, 0);
    let ways = [Place::Direct, Place::Bare, Place::Nginx, Place::Off, Place::On];
    let rounds = bench.rounds(instant, &ways)?;
    bench.note(Fact::FirstEventP95, rounds.median(Place::On, P95));
    let mut lines = vec![
        added(&rounds, Place::Off, "added p50 to first event, 100/s", P50, 120.0),
        added(&rounds, Place::Off, "added p99 to first event, 100/s", P99, 500.0),
        added(&rounds, Place::On, "added p50 to first event, 100/s", P50, 400.0),
        added(&rounds, Place::On, "added p99 to first event, 100/s", P99, 2_000.0),
    ];
    let paused = Task::per_second(Workload::Stream50, 100.0, PAUSE_MS);
    let rounds = bench.rounds(paused, &[Place::Direct, Place::Bare, Place::On])?;
    lines.push(added(&rounds, Place::On, "added p50 to first event, 100/s, provider 20 ms", P50, 150.0));
    lines.push(added(&rounds, Place::On, "added p99 to first event, 100/s, provider 20 ms", P99, 800.0));
    Ok(lines)
}

/// Twenty streams at once, each with 5 ms between its events.
pub(super) fn paced(bench: &mut Bench) -> Result<Vec<Line>> {
    let task = Task { connections: 20, ..Task::saturating(Workload::Paced) };
    let ways = [Place::Direct, Place::Bare, Place::Nginx, Place::Off, Place::On];
    let rounds = bench.rounds(task, &ways)?;
    let per_event: Reading = |figures| figures.cpu_per_event;
    let mut lines = Vec::new();
    for (place, times) in [(Place::Off, 1.3), (Place::On, 1.6)] {
        lines.push(added(&rounds, place, "added p99 gap, paced stream", P99, 500.0));
        let standing = rounds.standing(place, per_event);
        let cost = Line::new("paced stream", recording(place), "CPU us/event", standing)
            .limit(Limit::TimesBare(times))
            .note(&cpu_by_thread(&rounds, place));
        lines.push(honest(cost, &rounds, place));
    }
    Ok(lines)
}

fn added(rounds: &Rounds, place: Place, row: &'static str, reading: Reading, most: f64) -> Line {
    let line = Line::new(row, recording(place), "us", rounds.added_standing(place, reading))
        .limit(Limit::AtMost(most));
    // Nothing makes an answer so much quicker: something else held the direct way up, and may have hidden as much.
    let line = match line.standing.value {
        Some(value) if value < -most => line.unclear("the direct way was held up by more than the limit"),
        _ => line,
    };
    honest(line, rounds, place)
}
