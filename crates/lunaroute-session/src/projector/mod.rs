//! Follows the journal for one writer, on a thread of its own.

mod published;
mod repeats;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{JournalError, JournalReader, Position};

pub(crate) use self::published::Published;
use self::repeats::Repeats;
pub(crate) use self::state::ProjectorState;
use crate::codec;
use crate::recorder::figures::WriterState;
use crate::writer::{Batching, DrainReport, JournaledEvent, SessionWriter, WriteError};

/// A batch never holds more than this, so that large bodies do not add up.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Under steady load a writer is flushed this often, so that its checkpoint moves and segments can go.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// First and longest pause after a failure that may pass by itself.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Pause after a failure that somebody has to mend.
const DOWN_PAUSE: Duration = Duration::from_secs(30);

pub(crate) struct Projector {
    writer: Box<dyn SessionWriter>,
    state: Arc<ProjectorState>,
    published: Arc<Published>,
    directory: PathBuf,
    batching: Batching,
    repeats: Repeats,
    pending: Vec<JournaledEvent>,
    pending_bytes: usize,
    /// When the first event of `pending` was read.
    pending_since: Option<Instant>,
    /// Something was written since the last flush.
    dirty: bool,
    last_flush: Instant,
    flushed: u64,
    /// The writer knows that it was offered everything that earlier processes left.
    reconciled: bool,
}

/// The time of a shutdown is over.
struct TimeIsUp;

impl Projector {
    pub(crate) fn new(
        writer: Box<dyn SessionWriter>,
        state: Arc<ProjectorState>,
        published: Arc<Published>,
        directory: PathBuf,
    ) -> Self {
        // Without batching every event is a batch.
        let batching = writer.batching().unwrap_or(Batching { events: 1, wait: Duration::ZERO });
        Self {
            writer,
            state,
            published,
            directory,
            batching,
            repeats: Repeats::default(),
            pending: Vec::new(),
            pending_bytes: 0,
            pending_since: None,
            dirty: false,
            last_flush: Instant::now(),
            flushed: 0,
            reconciled: false,
        }
    }

    /// Works until the recorder stops and everything is written, or until the time for that is over.
    pub(crate) fn run(mut self) {
        let drained = self.follow().is_ok();
        let deadline = self.published.target().stop_by.unwrap_or_else(Instant::now);
        let report = catch_unwind(AssertUnwindSafe(|| self.writer.shutdown(deadline)));
        let report = report.unwrap_or(DrainReport { written: self.state.written(), lost: 0 });
        if drained {
            tracing::info!(
                writer = self.writer.name(),
                written = report.written,
                lost = report.lost,
                "writer stopped"
            );
        } else {
            tracing::warn!(
                writer = self.writer.name(),
                "writer stopped with a backlog; it stays in the journal"
            );
        }
        self.state.stop(report);
    }

    fn follow(&mut self) -> Result<(), TimeIsUp> {
        let from = self.insist(|projector| projector.writer.checkpoint())?;
        self.state.start(from);
        let directory = self.directory.clone();
        let mut reader = self.insist(|projector| {
            JournalReader::open(&directory, from).map_err(|failure| projector.journal_failure(&failure))
        })?;
        loop {
            let target = self.published.target();
            let full = self.insist(|projector| {
                projector
                    .collect(&mut reader, target.end)
                    .map_err(|failure| projector.journal_failure(&failure))
            })?;
            self.state.reach(reader.position(), reader.damage().damaged_frames);
            let hurried = target.stop_by.is_some() || target.flush > self.flushed;
            let due = self.pending_since.is_some_and(|since| since.elapsed() >= self.batching.wait);
            if !self.pending.is_empty() && (full || due || hurried) {
                self.write()?;
                if self.last_flush.elapsed() >= FLUSH_EVERY {
                    self.flush()?;
                }
                continue;
            }
            // The first that is published has the ends of everything that was left open, so nothing is to come of what
            // the writer has not met by then.
            if !self.reconciled && self.pending.is_empty() && target.end > Position::default() {
                self.insist(|projector| projector.writer.reconcile())?;
                self.reconciled = true;
            }
            if self.pending.is_empty() && (self.dirty || hurried) && self.idle_or(hurried) {
                self.flush()?;
                self.flushed = target.flush;
                self.state.flushed(target.flush);
            }
            if target.stop_by.is_some() {
                return Ok(());
            }
            self.published.wait(target, self.next_look());
        }
    }

    /// Whether it is time to flush: asked for, or quiet long enough to have no better use for the disk.
    fn idle_or(&self, hurried: bool) -> bool {
        hurried || self.last_flush.elapsed() >= self.batching.wait
    }

    fn next_look(&self) -> Option<Instant> {
        match self.pending_since {
            Some(since) => Some(since + self.batching.wait),
            None if self.dirty => Some(self.last_flush + self.batching.wait),
            None => None,
        }
    }

    /// Reads events up to `end` into `pending`; says whether the batch is full.
    fn collect(&mut self, reader: &mut JournalReader, end: Position) -> Result<bool, JournalError> {
        while self.pending.len() < self.batching.events.max(1) && self.pending_bytes < BATCH_BYTES {
            let Some(frame) = reader.next(end)? else { return Ok(false) };
            if frame.kind != codec::EVENT {
                continue;
            }
            match codec::decode(&frame.payload) {
                Ok(event) if self.repeats.is_new(&event) => {
                    self.pending_bytes += frame.payload.len();
                    self.pending_since.get_or_insert_with(Instant::now);
                    self.pending.push(JournaledEvent { position: frame.position, next: frame.next, event });
                }
                Ok(_) => {}
                Err(failure) => {
                    tracing::error!(position = %frame.position, %failure, "an entry of the journal cannot be read");
                    self.state.unreadable();
                }
            }
        }
        Ok(true)
    }

    fn write(&mut self) -> Result<(), TimeIsUp> {
        let batch = std::mem::take(&mut self.pending);
        let started = Instant::now();
        let outcomes = self.insist(|projector| projector.writer.write(&batch))?;
        self.state.wrote(&outcomes, batch.len(), started.elapsed());
        (self.pending_bytes, self.pending_since, self.dirty) = (0, None, true);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TimeIsUp> {
        let ack = self.insist(|projector| projector.writer.flush())?;
        self.state.durable(ack.position);
        self.dirty = false;
        self.last_flush = Instant::now();
        Ok(())
    }

    /// Tries until it succeeds, with pauses that grow, or until the time of a shutdown is over.
    fn insist<T>(
        &mut self,
        mut action: impl FnMut(&mut Self) -> Result<T, WriteError>,
    ) -> Result<T, TimeIsUp> {
        let mut pause = BACKOFF.0;
        loop {
            let failure = match catch_unwind(AssertUnwindSafe(|| action(self))) {
                Ok(Ok(value)) => {
                    if self.state.recovered() {
                        tracing::info!(writer = self.writer.name(), "writer works again");
                    }
                    return Ok(value);
                }
                Ok(Err(failure)) => failure,
                Err(_) => WriteError {
                    writer: self.writer.name().to_owned(),
                    message: "it panicked; see the log, and report this".to_owned(),
                    transient: false,
                    rewind: false,
                },
            };
            let until = Instant::now() + if failure.transient { pause } else { DOWN_PAUSE };
            let reason = failure.message.clone();
            let state = if failure.transient {
                WriterState::Degraded { reason }
            } else {
                WriterState::Down { reason }
            };
            if self.state.failed(state) {
                tracing::warn!(writer = self.writer.name(), transient = failure.transient, %failure, "writer failed");
            }
            if !self.published.pause(until) {
                return Err(TimeIsUp);
            }
            self.state.retrying();
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn journal_failure(&self, failure: &JournalError) -> WriteError {
        WriteError {
            writer: self.writer.name().to_owned(),
            message: format!("it cannot read the journal: {failure}"),
            transient: matches!(failure, JournalError::File(_)),
            rewind: false,
        }
    }
}
