//! One measurement: load on one way while the kernel counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use crate::account::{Account, Spent};
use crate::figures::{Figures, Rounds};
use crate::probe::{self, Backlog};
use crate::stand::{Place, Stand};
use crate::{Load, Pool, Tally, Template, Workload};

/// The recorder may take this long after the last answer.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);
/// A measurement at saturation sends no more than a recorder, as quick as it was with the warm-up, has done in this time.
const RECORDED: Duration = Duration::from_secs(12);
/// Bytes of request bodies, events and requests of a recording gateway's warm-up: few enough that one which is slower
/// than the walk by far is done with them in time.
const WARM_UP_BYTES: u64 = 64 << 20;
const WARM_UP_EVENTS: u64 = 50_000;
const WARM_UP_REQUESTS: u64 = 2_000;
/// Load before the measurement begins, to open connections and fill caches.
const WARM_UP: Duration = Duration::from_millis(300);
/// Times of answers need more samples than CPU does: so many times the length of a measurement.
const OPEN_LOOP: f64 = 2.0;
/// What a paced event costs depends on how many streams happen to have one at the same moment; so many times the length
/// of a measurement sees enough of that.
const PACED: f64 = 3.0;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Rounds; each measures every way once.
    pub(crate) rounds: u32,
    /// Of one measurement.
    pub(crate) length: Duration,
}

impl Settings {
    /// So many rounds, and so many seconds for each measurement of a round.
    ///
    /// # Errors
    /// When the seconds are no length of time between 0.1 s and an hour.
    pub fn new(rounds: u32, seconds: f64) -> Result<Self> {
        ensure!((0.1..=3_600.0).contains(&seconds), "a measurement takes 0.1 to 3600 seconds, not {seconds}");
        Ok(Self { rounds, length: Duration::from_secs_f64(seconds) })
    }
}

/// What is measured on every way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) workload: Workload,
    pub(crate) load: Load,
    pub(crate) connections: usize,
    /// Milliseconds that the provider waits before it answers.
    pub(crate) pause_ms: u32,
    /// Whether the model is one that only a provider of another dialect has.
    pub(crate) is_foreign: bool,
}

impl Task {
    /// 64 connections at saturation, with a provider that answers at once.
    pub(crate) const fn saturating(workload: Workload) -> Self {
        Self { workload, load: Load::SATURATING, connections: 64, pause_ms: 0, is_foreign: false }
    }

    /// A fixed rate, spread over 64 connections.
    pub(crate) const fn per_second(workload: Workload, rate: f64, pause_ms: u32) -> Self {
        Self { workload, load: Load::PerSecond(rate), connections: 64, pause_ms, is_foreign: false }
    }

    fn length(&self, settings: Settings) -> Duration {
        match (self.load, self.workload) {
            (_, Workload::Paced) => settings.length.mul_f64(PACED),
            (Load::Saturating { .. }, _) => settings.length,
            (Load::PerSecond(_), _) => settings.length.mul_f64(OPEN_LOOP),
        }
    }
}

/// What one row found and another needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Microseconds that recording on adds to 95 of 100 small requests.
    AddedP95,
    /// Small requests answered and recorded in a second.
    Sustained,
    /// Microseconds to the first event of 95 of 100 streams.
    FirstEventP95,
    /// Microseconds that 99 of 100 reports to the recorder take.
    ReportP99,
    /// Events in a second into all writers.
    EventsPerSecond,
}

/// The bench while it measures.
pub(crate) struct Bench {
    pub(crate) stand: Stand,
    pub(crate) settings: Settings,
    /// Time that other work used the processors while measurements ran, and how long these ran.
    foreign: Duration,
    measured: Duration,
    /// Requests that were answered so far, those of the warm-up included.
    pub(crate) answered: u64,
    /// The first request that failed, in words.
    pub(crate) failure: Option<String>,
    pub(crate) facts: BTreeMap<Fact, f64>,
}

impl Bench {
    pub(crate) const fn new(stand: Stand, settings: Settings) -> Self {
        Self {
            stand,
            settings,
            foreign: Duration::ZERO,
            measured: Duration::ZERO,
            answered: 0,
            failure: None,
            facts: BTreeMap::new(),
        }
    }

    /// Notes what another row may need, unless it was not measured.
    pub(crate) fn note(&mut self, fact: Fact, value: Option<f64>) {
        if let Some(value) = value {
            self.facts.insert(fact, value);
        }
    }

    /// Measures the ways in turn, round after round. The gateways among them are started afresh before.
    pub(crate) fn rounds(&mut self, task: Task, places: &[Place]) -> Result<Rounds> {
        self.some_rounds(self.settings.rounds, task, places)
    }

    /// The same with so many rounds.
    pub(crate) fn some_rounds(&mut self, rounds: u32, task: Task, places: &[Place]) -> Result<Rounds> {
        self.stand.renew(places)?;
        let mut found = Rounds::default();
        for _ in 0..rounds {
            for place in places.iter().copied() {
                // nginx may be missing; a gateway whose recorder was not done in time was given up.
                if self.stand.has(place) {
                    found.add(place, self.once(task, place)?);
                }
            }
        }
        Ok(found)
    }

    /// One measurement of one way. What the way does for the warm-up does not count; what its recorder does after the
    /// last answer does.
    pub(crate) fn once(&mut self, task: Task, place: Place) -> Result<Figures> {
        let at = self.stand.address(place)?;
        let process = self.stand.id(place)?;
        let made: fn(Workload, u32) -> Template =
            if task.is_foreign { Template::foreign } else { Template::new };
        let template = Arc::new(made(task.workload, task.pause_ms));
        let runtime = self.stand.runtime();
        let mut pool = runtime.block_on(Pool::open(at, task.connections))?;
        let (warm_up, load) = self.warm_up(&mut pool, &template, task.load, place)?;
        self.take(&warm_up, task, place);
        let load = match load {
            Ok(load) => load,
            Err(left) => {
                // What follows would be measured together with what is left of the warm-up.
                self.stand.give_up(place)?;
                return Ok(Figures::unknown(warm_up.failed, left));
            }
        };
        let runtime = self.stand.runtime();
        let before = Account::read(&self.stand, process)?;
        let tally = runtime.block_on(pool.run(&template, load, task.length(self.settings)))?;
        let left = if place.records() { runtime.block_on(probe::drain(at, DRAIN))? } else { None };
        let spent = Account::read(&self.stand, process)?.since(&before);
        if left.is_some() {
            self.stand.give_up(place)?;
        }
        self.foreign += spent.foreign;
        self.measured += spent.time;
        self.take(&tally, task, place);
        let mut figures = figures(&task, &tally, &spent, left);
        figures.failed += warm_up.failed;
        Ok(figures)
    }

    /// Loads the way for a while. Gives the load for the measurement, or what the recorder had left of the warm-up.
    fn warm_up(
        &self,
        pool: &mut Pool,
        template: &Arc<Template>,
        load: Load,
        place: Place,
    ) -> Result<(Tally, Result<Load, Backlog>)> {
        let runtime = self.stand.runtime();
        let length = WARM_UP.min(self.settings.length);
        if !place.records() {
            return Ok((runtime.block_on(pool.run(template, load, length))?, Ok(load)));
        }
        let by_bytes = WARM_UP_BYTES / template.body_bytes().max(1);
        let by_events = WARM_UP_EVENTS / template.events().max(1);
        let started = Instant::now();
        let bounded = load.at_most(WARM_UP_REQUESTS.min(by_bytes).min(by_events));
        let tally = runtime.block_on(pool.run(template, bounded, length))?;
        if let Some(left) = runtime.block_on(probe::drain(pool.at(), DRAIN))? {
            return Ok((tally, Err(left)));
        }
        let pace = tally.answered as f64 / started.elapsed().as_secs_f64();
        Ok((tally, Ok(load.at_most((pace * RECORDED.as_secs_f64()).max(1.0) as u64))))
    }

    fn take(&mut self, tally: &Tally, task: Task, place: Place) {
        self.answered += tally.answered;
        if let (None, Some(why)) = (&self.failure, &tally.failure) {
            self.failure = Some(format!("{:?} through {place:?}: {why}", task.workload));
        }
    }

    /// Processors that other work used on average while measurements ran.
    pub(crate) fn foreign_processors(&self) -> f64 {
        if self.measured.is_zero() { 0.0 } else { self.foreign.as_secs_f64() / self.measured.as_secs_f64() }
    }
}

fn figures(task: &Task, tally: &Tally, spent: &Spent, left: Option<Backlog>) -> Figures {
    let times = match task.workload {
        Workload::Paced => &tally.gaps,
        plain if plain.events() == 0 => &tally.whole,
        _ => &tally.first,
    };
    let microseconds = spent.process.as_secs_f64() * 1e6;
    // A temporary folder in memory has no disk to be written to: then nothing is known.
    let written = if spent.written == 0 { f64::NAN } else { spent.written as f64 };
    Figures {
        cpu_per_request: share(microseconds, tally.answered),
        cpu_per_event: share(microseconds, tally.events),
        per_second: tally.answered as f64 / tally.elapsed.as_secs_f64(),
        sustained: tally.answered as f64 / spent.time.as_secs_f64(),
        processors: spent.process.as_secs_f64() / spent.time.as_secs_f64(),
        p50: quantile(times, 0.5),
        p95: quantile(times, 0.95),
        p99: quantile(times, 0.99),
        written_per_request: share(written, tally.answered),
        threads: spent.shares(tally.answered),
        failed: tally.failed,
        left,
    }
}

fn share(of: f64, among: u64) -> f64 {
    if among == 0 { f64::NAN } else { of / among as f64 }
}

/// In microseconds; no number when there is no sample.
fn quantile(times: &Histogram<u64>, quantile: f64) -> f64 {
    if times.is_empty() { f64::NAN } else { times.value_at_quantile(quantile) as f64 / 1e3 }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::{quantile, share};

    #[test]
    fn what_has_no_sample_is_unknown_and_not_nothing() {
        assert!(share(5.0, 0).is_nan());
        assert_eq!(share(6.0, 3), 2.0);
        let mut times = Histogram::<u64>::new_with_bounds(1, 1_000_000, 3).unwrap();
        assert!(quantile(&times, 0.5).is_nan());
        times.record(2_000).unwrap();
        assert_eq!(quantile(&times, 0.5), 2.0);
    }
}
