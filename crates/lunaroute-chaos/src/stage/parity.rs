//! The first rows of every table: the union of what clients and provider saw, beside what was written down.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use lunaroute_core::RequestId;
use lunaroute_session::query::{Page, SessionQuery};
use lunaroute_sim::Ledger;
use serde_json::Value;

use super::client::Seen;
use super::gateway::Plan;
use super::record::{self, Keeper};
use crate::report::{Promise, Report};

/// Examples of what is not as promised; more are counted only.
const EXAMPLES: usize = 5;

/// Who keeps the record in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepers {
    pub(crate) database: bool,
    pub(crate) files: bool,
    /// The journal holds every request, because nothing lets it be shortened.
    pub(crate) whole_journal: bool,
}

impl Keepers {
    pub(crate) const USUAL: Self = Self { database: true, files: true, whole_journal: false };
}

/// Marks that were sent and accepted; small enough to be kept over a whole run.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    sent: HashSet<String>,
    accepted: HashSet<String>,
    ids: HashMap<String, RequestId>,
}

impl Sent {
    pub(crate) fn add<'a>(&mut self, seen: impl IntoIterator<Item = &'a Seen>) {
        for seen in seen {
            self.sent.insert(seen.mark.clone());
            // Whoever is told at once that the gateway cannot serve has the whole account; a record may be there or not.
            if seen.status.is_some() && !seen.refused() {
                self.accepted.insert(seen.mark.clone());
            }
            if let Some(id) = seen.id {
                self.ids.insert(seen.mark.clone(), id);
            }
        }
    }

    pub(crate) fn add_ledger(&mut self, ledger: &Ledger) {
        self.accepted.extend(ledger.entries.iter().filter_map(|entry| entry.test_id.clone()));
    }
}

/// What the comparison found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Parity {
    /// Requests that a client or the provider knows.
    pub(crate) accepted: usize,
    /// Of them, those that a keeper has not.
    pub(crate) lost: usize,
    /// Requests, ends and events that a keeper has more than once.
    pub(crate) duplicated: usize,
    /// Requests and sessions that are not over, though nothing runs.
    pub(crate) stuck: usize,
    /// Recorded requests that nobody sent.
    pub(crate) unaccounted: usize,
    /// Frames of the journal that cannot be read.
    pub(crate) unreadable: usize,
    /// Requests whose record names a gap.
    pub(crate) with_gaps: usize,
    /// What `lunaroute verify` finds wrong, or unfinished.
    pub(crate) problems: usize,
    /// Some of what is not as promised, in words.
    pub(crate) examples: Vec<String>,
}

impl Parity {
    /// Reads the record of a gateway that has ended and lays it beside what was sent.
    pub(crate) fn read(plan: &Plan, sent: &Sent, keepers: Keepers) -> Result<Self> {
        let home = &plan.home;
        let mut parity = Self { accepted: sent.accepted.len(), ..Self::default() };
        if keepers.database {
            let query = record::query(home)?;
            parity.take("the database", &record::in_database(&query)?, sent, true);
            let running = query.active_sessions(Page::new(1_000, 0))?.items.len();
            parity.stuck += running;
            parity.example(running > 0, || format!("{running} sessions are still running in the database"));
        }
        if keepers.files {
            parity.take("the files", &record::in_files(home)?, sent, true);
        }
        let (journal, unreadable) = record::in_journal(home)?;
        parity.take("the journal", &journal, sent, keepers.whole_journal);
        parity.unreadable = unreadable;
        parity.verify(plan)?;
        Ok(parity)
    }

    /// Whether everything is as promised.
    pub(crate) fn holds(&self) -> bool {
        let Self { lost, duplicated, stuck, unaccounted, unreadable, problems, .. } = self;
        lost + duplicated + stuck + unaccounted + unreadable + problems == 0
    }

    /// Adds what another part of the run found.
    pub(crate) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.stuck += other.stuck;
        self.unaccounted += other.unaccounted;
        self.unreadable += other.unreadable;
        self.with_gaps += other.with_gaps;
        self.problems += other.problems;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    /// The first rows of a table.
    pub(crate) fn tell(&self, report: &mut Report) {
        let none = Promise::Exactly(0.0);
        report.count("accepted requests", self.accepted, Promise::Told);
        report.count("lost", self.lost, none);
        report.count("duplicated", self.duplicated, none);
        report.count("stuck", self.stuck, none);
        report.count("recorded that nobody sent", self.unaccounted, none);
        report.count("unreadable journal frames", self.unreadable, none);
        report.count("problems that verify finds", self.problems, none);
        self.examples.iter().for_each(|example| report.note(example.clone()));
    }

    fn take(&mut self, whose: &str, keeper: &Keeper, sent: &Sent, whole: bool) {
        let by_mark: HashMap<&str, Vec<RequestId>> =
            keeper.iter().fold(HashMap::new(), |mut by_mark, (id, kept)| {
                if let Some(mark) = kept.mark.as_deref() {
                    by_mark.entry(mark).or_default().push(*id);
                }
                by_mark
            });
        if whole {
            for mark in &sent.accepted {
                let found = by_mark.contains_key(mark.as_str())
                    || sent.ids.get(mark).is_some_and(|id| keeper.contains_key(id));
                self.lost += usize::from(!found);
                self.example(!found, || format!("{mark} is not in {whose}"));
            }
        }
        for (mark, ids) in by_mark {
            self.duplicated += ids.len() - 1;
            self.example(ids.len() > 1, || format!("{mark} is {} times in {whose}", ids.len()));
            let unknown = !sent.sent.contains(mark);
            self.unaccounted += usize::from(unknown);
            self.example(unknown, || format!("{mark} is in {whose} and nobody sent it"));
        }
        for (id, kept) in keeper {
            // A request is told once: what begins, ends or says the same twice is too much.
            let extra = kept.repeats + kept.ends.saturating_sub(1);
            self.duplicated += extra;
            self.example(extra > 0, || format!("request {id} repeats itself in {whose}: {kept:?}"));
            let open = kept.ends == 0;
            self.stuck += usize::from(open);
            self.example(open, || format!("request {id} has no end in {whose}: {kept:?}"));
        }
        if whole {
            self.with_gaps = self.with_gaps.max(keeper.values().filter(|kept| kept.gaps > 0).count());
        }
    }

    fn verify(&mut self, plan: &Plan) -> Result<()> {
        let output = plan.run(&["--json", "verify"])?;
        let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("verify printed no JSON: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        let mut problems = usize::from(!output.status.success());
        for check in report["checks"].as_array().into_iter().flatten() {
            let figure = |name: &str| check[name].as_u64().unwrap_or(0);
            let wrong = figure("problem_count") + figure("pending");
            problems += usize::try_from(wrong).unwrap_or(usize::MAX);
            self.example(wrong > 0, || {
                let told: String = check.to_string().chars().take(600).collect();
                format!("verify: {told}")
            });
        }
        self.problems = problems;
        Ok(())
    }

    fn example(&mut self, wrong: bool, tell: impl FnOnce() -> String) {
        if wrong && self.examples.len() < EXAMPLES {
            self.examples.push(tell());
        }
    }
}
