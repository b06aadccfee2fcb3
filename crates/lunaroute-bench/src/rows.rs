//! The rows of the table: what each measures, and what it may be.

mod floors;
mod growth;
mod lasting;
mod recorder;
mod saturation;
mod session;
mod time;
mod translation;

use anyhow::Result;
use clap::ValueEnum;

use crate::figures::Rounds;
use crate::line::{Line, Recording};
use crate::measure::{Bench, DRAIN, Settings};
use crate::probe::Backlog;
use crate::report::{Report, processors};
use crate::stand::{Place, Programs, Stand};
use crate::table::figure;

/// A part of the table that can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// CPU of a 1 KB chat request with a plain answer.
    Small,
    /// CPU of a 157 KB agent's chat turn with a plain answer.
    Agent,
    /// CPU of a chat stream of 50 events at once, and streams per second.
    Stream50,
    /// CPU of each event of a chat stream of 500 events at once.
    Stream500,
    /// CPU of a 157 KB Messages turn, answered by 50 events at once.
    Msgs50,
    /// CPU that translation adds to the passthrough of the same: a small request, a stream's event, an agent's turn.
    Translate,
    /// Added latency at 1,000 small requests per second.
    Latency,
    /// Added time to the first event at 100 streams per second.
    FirstEvent,
    /// Added gap and CPU of each event with 5 ms between events.
    Paced,
    /// Whether every answered request is on the disk after the drain.
    Disk,
    /// Bytes written to the disk for each small request.
    Written,
    /// The recorder alone: events per second, and what one event costs its caller.
    Recorder,
    /// What a session of 100 turns takes on the disk, and whether every request comes back.
    Session,
    /// Memory when idle, and the most in all rows that were measured.
    Memory,
    /// How CPU grows with connections, with the length of the history, and with the database.
    Growth,
    /// Time from the start of the process until it can serve, also beside a database of 1 GiB.
    ColdStart,
    /// Size of the program.
    Size,
    /// What must never be missed, from the rows that were measured.
    Floors,
}

/// Measures these rows, or all when none is named, in the table's order.
///
/// # Errors
/// When a program cannot be started or measured. Requests that fail are a finding, not an error.
pub fn run(rows: &[Row], programs: &Programs, settings: Settings) -> Result<Report> {
    let wanted = |row: &Row| rows.is_empty() || rows.contains(row);
    let mut bench = Bench::new(Stand::start(programs)?, settings);
    let mut lines = Vec::new();
    for row in Row::value_variants().iter().filter(|row| wanted(row)) {
        let measured = row.measure(&mut bench, programs)?;
        for line in &measured {
            eprintln!("{}", line.brief());
        }
        lines.extend(measured);
    }
    Ok(Report {
        rounds: settings.rounds,
        seconds: settings.length.as_secs_f64(),
        processors: processors(),
        foreign_processors: bench.foreign_processors(),
        nginx: bench.stand.has(Place::Nginx),
        failure: bench.failure.take(),
        lines,
    })
}

impl Row {
    fn measure(self, bench: &mut Bench, programs: &Programs) -> Result<Vec<Line>> {
        match self {
            Self::Small => saturation::small(bench),
            Self::Agent => saturation::agent(bench),
            Self::Stream50 => saturation::stream50(bench),
            Self::Stream500 => saturation::stream500(bench),
            Self::Msgs50 => saturation::messages50(bench),
            Self::Translate => translation::translate(bench),
            Self::Latency => time::latency(bench),
            Self::FirstEvent => time::first_event(bench),
            Self::Paced => time::paced(bench),
            Self::Disk => lasting::disk(bench),
            Self::Written => lasting::written(bench),
            Self::Recorder => recorder::recorder(bench),
            Self::Session => session::session(bench),
            Self::Growth => growth::growth(bench),
            Self::ColdStart => lasting::cold_start(bench),
            Self::Memory => lasting::memory(bench),
            Self::Size => lasting::size(programs),
            Self::Floors => floors::floors(bench),
        }
    }
}

const fn recording(place: Place) -> Recording {
    if place.records() { Recording::On } else { Recording::Off }
}

/// Spoils a line whose requests failed, through the way itself or through one that it is compared with, or whose recorder
/// was not done in time: then its cost is not known.
fn honest(line: Line, rounds: &Rounds, place: Place) -> Line {
    let compared = [Place::Direct, Place::Bare, place];
    let failed: u64 = compared.iter().flat_map(|place| rounds.of(*place)).map(|figures| figures.failed).sum();
    if failed > 0 {
        return line.spoil(&format!("{failed} requests failed"));
    }
    match rounds.of(place).iter().find_map(|figures| figures.left) {
        Some(left) => line.spoil(&not_done(left)),
        None => line,
    }
}

fn not_done(left: Backlog) -> String {
    format!(
        "the recorder was not done {} s after the last answer: {left}; the figure lacks that",
        DRAIN.as_secs()
    )
}

/// The part of the recorder's threads in the CPU of one request, in words; the walk is the rest.
fn cpu_by_thread(rounds: &Rounds, place: Place) -> String {
    let threads = rounds.threads(place, |share| share.cpu);
    let Some(total) = rounds.median(place, |figures| figures.cpu_per_request) else { return String::new() };
    if threads.is_empty() {
        return String::new();
    }
    let mut words = vec![format!("walk {}", figure(Some((total - threads.values().sum::<f64>()).max(0.0))))];
    words.extend(threads.iter().map(|(name, cpu)| format!("{name} {}", figure(Some(*cpu)))));
    format!("us/request: {}", words.join(", "))
}
