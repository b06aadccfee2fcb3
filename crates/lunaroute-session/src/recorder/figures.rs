//! What the recorder says about itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::writer::Upkeep;

/// State of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum JournalState {
    /// It takes everything.
    #[default]
    Healthy,
    /// The disk is full: only ends and gaps are kept.
    Full,
    /// It cannot be written; what waits is offered again every second.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// The recorder has ended.
    Stopped,
    /// The recorder's thread has failed: nothing is recorded until the gateway is started again.
    Dead,
}

/// State of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriterState {
    /// It takes what it is offered.
    #[default]
    Healthy,
    /// It failed and is tried again soon.
    Degraded {
        /// Why, for people.
        reason: String,
    },
    /// Trying again at once cannot help; it is tried again now and then.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// It was shut down.
    Stopped,
}

/// Figures of one writer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriterFigures {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: WriterState,
    /// Events that it took.
    pub written: u64,
    /// Batches that it refused.
    pub failed: u64,
    /// Batches that it was offered again.
    pub retried: u64,
    /// Events that it put aside.
    pub quarantined: u64,
    /// Events that it is to take next and has not taken. Of what it is further behind, only the bytes are known.
    pub waiting: u64,
    /// How long ago the oldest of them happened.
    pub oldest_unwritten: Duration,
    /// Entries of the journal, or bodies in them, that could not be read for it.
    pub damaged: u64,
    /// Batches that it took.
    pub batches: u64,
    /// Seconds that it spent on them.
    pub batch_seconds: f64,
    /// What it did beside writing.
    pub upkeep: Upkeep,
    /// Bytes of the journal that it has not written yet.
    pub behind_bytes: u64,
}

/// Figures of the recorder since it was started. Notes are what the client's path reports: begins, attempts, heads,
/// frames, ends. At rest `received = written + gaps + left_out`; in between the rest is `waiting_notes`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Notes that the client's path reported.
    pub received: u64,
    /// Notes that are in the journal.
    pub written: u64,
    /// Notes that are lost; the record says so wherever it could be written.
    pub gaps: u64,
    /// Pieces of answers beyond the longest that is kept. A gap in their record tells how long they were, and their hash.
    pub left_out: u64,
    /// Notes on their way.
    pub waiting_notes: u64,
    /// Bytes on their way.
    pub waiting_bytes: u64,
    /// How long the oldest of them has been on its way.
    pub oldest_unwritten: Duration,
    /// Appends and syncs of the journal that failed.
    pub failed: u64,
    /// Appends and syncs that were tried again.
    pub retried: u64,
    /// Requests that are open.
    pub open_requests: u64,
    /// Requests that were never taken, because the queue was full or the recorder had ended.
    pub refused: u64,
    /// Panics of the interpreter, the filter or the observer; each was contained.
    pub contained_panics: u64,
    /// Events that the filter refused.
    pub filtered_out: u64,
    /// Requests of an earlier process that were found open at the start and ended as interrupted.
    pub interrupted: u64,
    /// Syncs of the journal.
    pub syncs: u64,
    /// Seconds spent in them.
    pub sync_seconds: f64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// State of the journal.
    pub journal: JournalState,
    /// The writers.
    pub writers: Vec<WriterFigures>,
}

/// The counters behind [`Figures`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) left_out: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) open_requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) contained_panics: AtomicU64,
    pub(crate) filtered_out: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_micros: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a life fit into the 52 bits")]
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}
