//! One measurement: load on one way while the kernel counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use crate::figures::{Figures, Rounds};
use crate::stand::{Place, Stand};
use crate::{Load, Pool, Tally, Template, Workload, kernel, probe};

/// The recorder may take this long after the last answer.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);
/// Bytes of request bodies, and events, that a recording gateway gets in one measurement at saturation: enough for a
/// figure, and few enough that a recorder slower than the walk is done with them in time.
const RECORDED_BYTES: u64 = 128 << 20;
const RECORDED_EVENTS: u64 = 100_000;
const RECORDED_REQUESTS: u64 = 4_000;
/// Load before the measurement begins, to open connections and fill caches.
const WARM_UP: Duration = Duration::from_millis(400);

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
}

impl Task {
    /// 64 connections at saturation, with a provider that answers at once.
    pub(crate) const fn saturating(workload: Workload) -> Self {
        Self { workload, load: Load::SATURATING, connections: 64, pause_ms: 0 }
    }

    /// A fixed rate, spread over 64 connections.
    pub(crate) const fn per_second(workload: Workload, rate: f64, pause_ms: u32) -> Self {
        Self { workload, load: Load::PerSecond(rate), connections: 64, pause_ms }
    }
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
        }
    }

    /// Measures the ways in turn, round after round. The gateways among them are started afresh before.
    pub(crate) fn rounds(&mut self, task: Task, places: &[Place]) -> Result<Rounds> {
        self.stand.renew(places)?;
        let mut rounds = Rounds::default();
        for _ in 0..self.settings.rounds {
            for place in places.iter().copied() {
                // nginx may be missing; a gateway whose recorder was not done in time was given up.
                if self.stand.has(place) {
                    let figures = self.once(task, place)?;
                    rounds.add(place, figures);
                }
            }
        }
        Ok(rounds)
    }

    /// One measurement of one way.
    pub(crate) fn once(&mut self, task: Task, place: Place) -> Result<Figures> {
        let at = self.stand.address(place)?;
        let process = self.stand.id(place)?;
        let template = Arc::new(Template::new(task.workload, task.pause_ms));
        let load = if place.records() { recorded(task.load, &template) } else { task.load };
        let runtime = self.stand.runtime();
        let mut pool = runtime.block_on(Pool::open(at, task.connections))?;
        let warm_up = runtime.block_on(pool.run(&template, load, WARM_UP.min(self.settings.length)))?;
        self.answered += warm_up.answered;
        if place.records() && !runtime.block_on(probe::drained(at, DRAIN))? {
            // What follows would be measured together with what is left of the warm-up.
            self.stand.give_up(place)?;
            return Ok(Figures::unknown(warm_up.failed));
        }
        let before = Account::read(&self.stand, process)?;
        let tally = runtime.block_on(pool.run(&template, load, self.settings.length))?;
        let drained = !place.records() || runtime.block_on(probe::drained(at, DRAIN))?;
        let spent = Account::read(&self.stand, process)?.since(&before);
        if !drained {
            self.stand.give_up(place)?;
        }
        self.foreign += spent.machine.saturating_sub(spent.bench);
        self.measured += spent.time;
        self.answered += tally.answered;
        if self.failure.is_none() {
            self.failure = warm_up
                .failure
                .as_ref()
                .or(tally.failure.as_ref())
                .map(|why| format!("{:?} through {place:?}: {why}", task.workload));
        }
        let mut figures = figures(&task, &tally, &spent, drained);
        figures.failed += warm_up.failed;
        Ok(figures)
    }

    /// Processors that other work used on average while measurements ran.
    pub(crate) fn foreign_processors(&self) -> f64 {
        if self.measured.is_zero() { 0.0 } else { self.foreign.as_secs_f64() / self.measured.as_secs_f64() }
    }
}

/// The kernel's account at a moment, or between two.
struct Account {
    at: Instant,
    time: Duration,
    process: Duration,
    bench: Duration,
    machine: Duration,
    written: u64,
}

impl Account {
    fn read(stand: &Stand, process: u32) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            time: Duration::ZERO,
            process: kernel::cpu_of_tree(process)?,
            bench: stand.own_cpu()?,
            machine: kernel::busy()?,
            // A process of another user tells only its owner what it wrote; nginx may be one.
            written: kernel::written(process).unwrap_or(0),
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            at: self.at,
            time: self.at - before.at,
            process: self.process.saturating_sub(before.process),
            bench: self.bench.saturating_sub(before.bench),
            machine: self.machine.saturating_sub(before.machine),
            written: self.written.saturating_sub(before.written),
        }
    }
}

fn figures(task: &Task, tally: &Tally, spent: &Account, drained: bool) -> Figures {
    let times = match task.workload {
        Workload::Small | Workload::Agent => &tally.whole,
        Workload::Paced => &tally.gaps,
        Workload::Stream50 | Workload::Stream500 | Workload::Messages50 => &tally.first,
    };
    let microseconds = spent.process.as_secs_f64() * 1e6;
    Figures {
        cpu_per_request: share(microseconds, tally.answered),
        cpu_per_event: share(microseconds, tally.events),
        per_second: tally.answered as f64 / tally.elapsed.as_secs_f64(),
        p50: quantile(times, 0.5),
        p99: quantile(times, 0.99),
        written_per_request: share(spent.written as f64, tally.answered),
        failed: tally.failed,
        drained,
    }
}

/// The same load, bounded for a gateway that records.
fn recorded(load: Load, template: &Template) -> Load {
    match load {
        Load::Saturating { .. } => {
            let by_bytes = RECORDED_BYTES / template.body_bytes().max(1);
            let by_events = RECORDED_EVENTS / template.workload().events().max(1);
            Load::Saturating { at_most: RECORDED_REQUESTS.min(by_bytes).min(by_events) }
        }
        Load::PerSecond(_) => load,
    }
}

fn share(of: f64, among: u64) -> f64 {
    if among == 0 { f64::NAN } else { of / among as f64 }
}

/// In microseconds.
fn quantile(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1e3
}
