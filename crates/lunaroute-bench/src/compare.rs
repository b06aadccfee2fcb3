//! Two builds of the gateway, measured in turn.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::Workload;
use crate::figures::{Figures, Reading, Rounds};
use crate::measure::{Bench, Settings, Task};
use crate::report::{FOREIGN, change};
use crate::stand::{Place, Programs, Stand};
use crate::table::{Style, figure};

/// A kind of exchange, how the gateway is loaded with it, and what is read off.
struct Question {
    row: &'static str,
    task: Task,
    unit: &'static str,
    reading: Reading,
    /// Without a recorder there is nothing to read off.
    recording_only: bool,
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
        recording_only: false,
    },
    Question {
        row: "written, small",
        task: Task::saturating(Workload::Small),
        unit: "KiB/request",
        reading: |figures| figures.written_per_request / 1_024.0,
        recording_only: true,
    },
    Question {
        row: "p50, small, 1000/s",
        task: Task::per_second(Workload::Small, 1_000.0, 0),
        unit: "us",
        reading: |figures| figures.p50,
        recording_only: false,
    },
];

impl Question {
    const fn cpu(row: &'static str, workload: Workload) -> Self {
        Self {
            row,
            task: Task::saturating(workload),
            unit: "CPU us/request",
            reading: |figures| figures.cpu_per_request,
            recording_only: false,
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
    /// The median of the ratios within each round.
    times: Option<f64>,
    /// Requests that failed, and measurements after which the recorder was not done, in both builds together.
    failed: u64,
    not_drained: usize,
}

/// What two builds of the gateway cost.
#[derive(Debug, Serialize)]
pub struct Comparison {
    rounds: u32,
    /// Processors that other work used on average while it was measured.
    foreign_processors: f64,
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
        let ways: &[_] = match question.recording_only {
            true => &[(Place::EarlierOn, Place::On)],
            false => &[(Place::EarlierOff, Place::Off), (Place::EarlierOn, Place::On)],
        };
        let places: Vec<Place> = ways.iter().flat_map(|(earlier, now)| [*earlier, *now]).collect();
        let rounds = bench.rounds(question.task, &places)?;
        pairs.extend(ways.iter().map(|(earlier, now)| pair(question, &rounds, *earlier, *now)));
    }
    Ok(Comparison { rounds: settings.rounds, foreign_processors: bench.foreign_processors(), pairs })
}

fn pair(question: &Question, rounds: &Rounds, earlier: Place, now: Place) -> Pair {
    let both = || rounds.of(earlier).iter().chain(rounds.of(now));
    Pair {
        row: question.row,
        unit: question.unit,
        recording: now.records(),
        earlier: rounds.median(earlier, question.reading),
        now: rounds.median(now, question.reading),
        times: rounds.ratio(now, earlier, question.reading),
        failed: both().map(|figures: &Figures| figures.failed).sum(),
        not_drained: both().filter(|figures| figures.left.is_some()).count(),
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

    /// As a table.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let heads = ["row", "recording", "#earlier", "#now", "#now / earlier", "notes"];
        style.table(&heads, self.pairs.iter().map(Pair::cells))
    }

    /// What is to be known about the table.
    #[must_use]
    pub fn remarks(&self) -> String {
        let mut text = format!("medians of {} interleaved rounds", self.rounds);
        if self.foreign_processors > FOREIGN {
            let used = self.foreign_processors;
            text.push_str(&format!(
                "\nwarning: other work used {used:.2} processors meanwhile; measure again"
            ));
        }
        text
    }

    /// Each figure in a line of its own, as a commit message has it.
    #[must_use]
    pub fn changes(&self) -> String {
        let line = |pair: &Pair| {
            let recording = if pair.recording { "on" } else { "off" };
            let name = format!("{}, recording {recording} ({})", pair.row, pair.unit);
            change(&name, pair.earlier, pair.now, pair.times)
        };
        self.pairs.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Pair {
    fn cells(&self) -> [String; 6] {
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
            figure(self.times),
            notes.join(", "),
        ]
    }
}
