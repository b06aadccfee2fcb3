//! CPU of each request while 64 connections ask as fast as they can.

use anyhow::Result;

use super::{cpu_by_thread, honest, recording};
use crate::Workload;
use crate::figures::{Reading, Rounds};
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, Fact, Task};
use crate::stand::Place;

const WAYS: &[Place] = &[Place::Bare, Place::Nginx, Place::Off, Place::On];
const PER_REQUEST: Reading = |figures| figures.cpu_per_request;
const PER_EVENT: Reading = |figures| figures.cpu_per_event;

/// A limit and a stretch, for recording off and on.
type Bounds = [(Limit, Option<Limit>); 2];

pub(super) fn small(bench: &mut Bench) -> Result<Vec<Line>> {
    let bounds = [
        (Limit::TimesBare(1.6), Some(Limit::TimesBare(1.3))),
        (Limit::TimesBare(6.0), Some(Limit::AtMost(42.0))),
    ];
    let rounds = bench.rounds(Task::saturating(Workload::Small), WAYS)?;
    bench.note(Fact::Sustained, rounds.median(Place::On, |figures| figures.sustained));
    Ok(lines(&rounds, "small", "CPU us/request", PER_REQUEST, bounds))
}

pub(super) fn agent(bench: &mut Bench) -> Result<Vec<Line>> {
    let bounds = [
        (Limit::TimesBare(1.6), Some(Limit::TimesBare(1.3))),
        (Limit::AtMost(400.0), Some(Limit::AtMost(200.0))),
    ];
    let rounds = bench.rounds(Task::saturating(Workload::Agent), WAYS)?;
    Ok(lines(&rounds, "agent", "CPU us/request", PER_REQUEST, bounds))
}

pub(super) fn messages50(bench: &mut Bench) -> Result<Vec<Line>> {
    let bounds = [(Limit::TimesBare(0.7), None), (Limit::AtMost(500.0), Some(Limit::AtMost(250.0)))];
    let rounds = bench.rounds(Task::saturating(Workload::Messages50), WAYS)?;
    Ok(lines(&rounds, "msgs50", "CPU us/request", PER_REQUEST, bounds))
}

pub(super) fn stream50(bench: &mut Bench) -> Result<Vec<Line>> {
    let bounds = [
        (Limit::TimesBare(0.6), Some(Limit::TimesNginx(2.0))),
        (Limit::TimesBare(1.0), Some(Limit::TimesBare(0.6))),
    ];
    let rounds = bench.rounds(Task::saturating(Workload::Stream50), WAYS)?;
    let mut lines = lines(&rounds, "stream50", "CPU us/request", PER_REQUEST, bounds);
    let standing = rounds.standing(Place::On, |figures| figures.per_second);
    let streams = Line::new("stream50", Recording::On, "streams/s", standing).limit(Limit::AtLeast(6_000.0));
    lines.push(honest(streams, &rounds, Place::On));
    Ok(lines)
}

pub(super) fn stream500(bench: &mut Bench) -> Result<Vec<Line>> {
    let bounds =
        [(Limit::AtMost(2.0), Some(Limit::AtMost(1.0))), (Limit::AtMost(3.0), Some(Limit::AtMost(2.0)))];
    let rounds = bench.rounds(Task::saturating(Workload::Stream500), WAYS)?;
    Ok(lines(&rounds, "stream500", "CPU us/event", PER_EVENT, bounds))
}

fn lines(
    rounds: &Rounds,
    row: &'static str,
    unit: &'static str,
    reading: Reading,
    bounds: Bounds,
) -> Vec<Line> {
    let of_place = |(place, (limit, stretch)): (Place, (Limit, Option<Limit>))| {
        let line = Line::new(row, recording(place), unit, rounds.standing(place, reading)).limit(limit);
        let line = match stretch {
            Some(stretch) => line.stretch(stretch),
            None => line,
        };
        honest(line.note(&cpu_by_thread(rounds, place)), rounds, place)
    };
    [Place::Off, Place::On].into_iter().zip(bounds).map(of_place).collect()
}
