//! Two builds of the gateway, measured in turn.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::Workload;
use crate::figures::{Figures, Reading, Rounds};
use crate::measure::{Bench, Settings, Task};
use crate::report::{figure, table};
use crate::stand::{Place, Programs, Stand};

/// A kind of exchange, how the gateway is loaded with it, and what is read off.
struct Question {
    row: &'static str,
    task: Task,
    unit: &'static str,
    reading: Reading,
}

const QUESTIONS: &[Question] = &[
    Question::cpu("small", Workload::Small),
    Question::cpu("agent", Workload::Agent),
    Question::cpu("stream50", Workload::Stream50),
    Question::cpu("msgs50", Workload::Messages50),
    Question {
        row: "stream500",
        task: Task::saturating(Workload::Stream500),
        unit: "CPU us/event",
        reading: |figures| figures.cpu_per_event,
    },
    Question {
        row: "p50, small, 1000/s",
        task: Task::per_second(Workload::Small, 1_000.0, 0),
        unit: "us",
        reading: |figures| figures.p50,
    },
];

impl Question {
    const fn cpu(row: &'static str, workload: Workload) -> Self {
        Self {
            row,
            task: Task::saturating(workload),
            unit: "CPU us/request",
            reading: |figures| figures.cpu_per_request,
        }
    }
}

/// One figure of both builds.
#[derive(Debug, Serialize)]
struct Pair {
    row: &'static str,
    unit: &'static str,
    recording: bool,
    earlier: Option<f64>,
    now: Option<f64>,
    /// Requests that failed, and measurements after which the recorder was not done, in both builds together.
    failed: u64,
    not_drained: usize,
}

/// What two builds of the gateway cost.
#[derive(Debug, Serialize)]
pub struct Comparison {
    rounds: u32,
    pairs: Vec<Pair>,
}

/// Measures both builds on the same load, in interleaved rounds.
///
/// # Errors
/// When a program cannot be started or measured, or no earlier build is named.
pub fn compare(programs: &Programs, settings: Settings) -> Result<Comparison> {
    ensure!(programs.earlier.is_some(), "there is no earlier build to compare with");
    let mut bench = Bench::new(Stand::start(programs)?, settings);
    let mut pairs = Vec::new();
    for question in QUESTIONS {
        eprintln!("comparing {}", question.row);
        let places = [Place::EarlierOff, Place::Off, Place::EarlierOn, Place::On];
        let rounds = bench.rounds(question.task, &places)?;
        pairs.push(pair(question, &rounds, Place::EarlierOff, Place::Off));
        pairs.push(pair(question, &rounds, Place::EarlierOn, Place::On));
    }
    Ok(Comparison { rounds: settings.rounds, pairs })
}

fn pair(question: &Question, rounds: &Rounds, earlier: Place, now: Place) -> Pair {
    let both = || rounds.of(earlier).iter().chain(rounds.of(now));
    Pair {
        row: question.row,
        unit: question.unit,
        recording: now.records(),
        earlier: rounds.median(earlier, question.reading),
        now: rounds.median(now, question.reading),
        failed: both().map(|figures: &Figures| figures.failed).sum(),
        not_drained: both().filter(|figures| !figures.drained).count(),
    }
}

impl Comparison {
    /// As JSON.
    ///
    /// # Errors
    /// Never in practice: nothing in it can fail to be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// As a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let heads = ["row", "recording", "#earlier", "#now", "#now / earlier", "notes"];
        let mut text = table(&heads, self.pairs.iter().map(Pair::cells));
        text.push_str(&format!("\nmedians of {} interleaved rounds", self.rounds));
        text
    }
}

impl Pair {
    fn cells(&self) -> [String; 6] {
        let ratio = self.earlier.zip(self.now).map(|(earlier, now)| now / earlier);
        let mut notes = Vec::new();
        if self.failed > 0 {
            notes.push(format!("{} requests failed", self.failed));
        }
        if self.not_drained > 0 {
            notes.push(format!("the recorder was not done in {} measurements", self.not_drained));
        }
        [
            format!("{} ({})", self.row, self.unit),
            (if self.recording { "on" } else { "off" }).to_owned(),
            figure(self.earlier),
            figure(self.now),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            notes.join(", "),
        ]
    }
}
