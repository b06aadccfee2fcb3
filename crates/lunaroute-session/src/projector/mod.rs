//! Follows the journal for one writer, on a thread of its own.

mod published;
mod repeats;
mod ring;
mod source;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{JournalError, Position};

pub(crate) use self::published::Published;
use self::published::Reader;
use self::repeats::Repeats;
pub(crate) use self::ring::{Chunk, RING_BYTES, bytes_of};
use self::source::Source;
pub(crate) use self::state::ProjectorState;
use crate::recorder::figures::WriterState;
use crate::turn;
use crate::writer::{Batching, DrainReport, JournaledEvent, SessionWriter, WriteError};

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
    reader: Reader,
    directory: PathBuf,
    batching: Batching,
    repeats: Repeats,
    pending: Vec<JournaledEvent>,
    pending_bytes: usize,
    /// When the first event of `pending` was got.
    pending_since: Option<Instant>,
    /// Something was written since the last flush.
    dirty: bool,
    last_write: Instant,
    last_flush: Instant,
    flushed: u64,
    /// The end of the last event that was got, and how far the writer is durable as it says itself.
    got: Position,
    acknowledged: Position,
    /// The writer knows that it was offered everything that earlier processes left.
    reconciled: bool,
}

/// Why a projector does not go on as it did.
enum Halt {
    /// The time of a shutdown is over.
    TimeIsUp,
    /// The writer lost its place.
    Rewind,
}

impl Projector {
    pub(crate) fn new(
        writer: Box<dyn SessionWriter>,
        state: Arc<ProjectorState>,
        published: Arc<Published>,
        directory: PathBuf,
    ) -> Self {
        // Without batching every event is a batch.
        let alone = Batching { events: 1, bytes: 0, wait: Duration::ZERO };
        let batching = writer.batching().unwrap_or(alone);
        Self {
            writer,
            state,
            reader: published.reader(),
            published,
            directory,
            batching,
            repeats: Repeats::default(),
            pending: Vec::new(),
            pending_bytes: 0,
            pending_since: None,
            dirty: false,
            last_write: Instant::now(),
            last_flush: Instant::now(),
            flushed: 0,
            got: Position::default(),
            acknowledged: Position::default(),
            reconciled: false,
        }
    }

    /// Works until the recorder stops and everything is written, or until the time for that is over.
    pub(crate) fn run(mut self) {
        let followed = catch_unwind(AssertUnwindSafe(|| self.follow()));
        let drained = matches!(followed, Ok(Ok(())));
        if followed.is_err() {
            tracing::error!(
                writer = self.writer.name(),
                "the writer's thread failed; its backlog stays in the journal"
            );
        }
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

    fn follow(&mut self) -> Result<(), Halt> {
        loop {
            match self.follow_from_checkpoint() {
                Err(Halt::Rewind) => {
                    tracing::warn!(writer = self.writer.name(), "writer goes back to its checkpoint");
                    self.take_back();
                }
                settled => return settled,
            }
        }
    }

    /// Forgets what the writer has not stored and will be offered again.
    fn take_back(&mut self) {
        self.repeats = Repeats::default();
        self.pending = Vec::new();
        (self.pending_bytes, self.pending_since) = (0, None);
        (self.dirty, self.reconciled) = (false, false);
    }

    fn follow_from_checkpoint(&mut self) -> Result<(), Halt> {
        let from = self.insist(|projector| projector.writer.checkpoint())?;
        self.state.start(from);
        (self.got, self.acknowledged) = (from, from);
        let mut source = self.insist(|projector| {
            Source::open(projector.directory.clone(), from)
                .map_err(|failure| projector.journal_failure(&failure))
        })?;
        loop {
            let target = self.published.target();
            let full = self.insist(|projector| {
                projector
                    .collect(&mut source, target.end)
                    .map_err(|failure| projector.journal_failure(&failure))
            })?;
            self.state.reach(source.position(), source.damaged());
            self.state.wait_for(&self.pending);
            if self.pending.is_empty() && self.acknowledged >= self.got {
                // What follows the last event is none that the writer could need.
                self.state.durable(source.position());
            }
            let hurried = target.stop_by.is_some() || target.flush > self.flushed;
            let due = self.pending_since.is_some_and(|since| since.elapsed() >= self.batching.wait);
            if !self.pending.is_empty() && (full || due || hurried) {
                turn::begin(full || hurried);
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
            if self.pending.is_empty()
                && (hurried || self.flush_due().is_some_and(|due| due <= Instant::now()))
            {
                self.flush()?;
                self.flushed = target.flush;
                self.state.flushed(target.flush);
            }
            if target.stop_by.is_some() {
                return Ok(());
            }
            self.published.wait(target, self.next_look(), !self.pending.is_empty());
        }
    }

    /// When what was written is to be flushed: when nothing follows it for as long as a batch may wait, so that there is no
    /// better use for the disk, and now and then.
    fn flush_due(&self) -> Option<Instant> {
        let quiet = self.last_write + self.batching.wait;
        self.dirty.then(|| quiet.min(self.last_flush + FLUSH_EVERY))
    }

    fn next_look(&self) -> Option<Instant> {
        self.pending_since.map(|since| since + self.batching.wait).or_else(|| self.flush_due())
    }

    /// Gets events up to `end` into `pending`; says whether the batch is full.
    fn collect(&mut self, source: &mut Source, end: Position) -> Result<bool, JournalError> {
        let Self { reader, batching, repeats, pending, pending_bytes, pending_since, got, .. } = self;
        let is_full = |events: usize, bytes: usize| {
            events >= batching.events.max(1) || (events > 0 && bytes >= batching.bytes)
        };
        while !is_full(pending.len(), *pending_bytes) {
            let found = source.next(reader, end, |item| {
                *got = item.next;
                if repeats.is_new(&item.event) {
                    *pending_bytes += bytes_of(&item);
                    pending_since.get_or_insert_with(Instant::now);
                    pending.push(item);
                }
                !is_full(pending.len(), *pending_bytes)
            })?;
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&mut self) -> Result<(), Halt> {
        let batch = std::mem::take(&mut self.pending);
        let started = Instant::now();
        let outcomes = self.insist(|projector| projector.writer.write(&batch))?;
        self.state.wrote(&outcomes, batch.len(), started.elapsed());
        self.state.kept_up(self.writer.upkeep());
        self.pending = batch;
        self.pending.clear();
        (self.pending_bytes, self.pending_since, self.dirty) = (0, None, true);
        self.last_write = Instant::now();
        self.state.wait_for(&self.pending);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Halt> {
        let ack = self.insist(|projector| projector.writer.flush())?;
        self.state.durable(ack.position);
        self.state.kept_up(self.writer.upkeep());
        self.acknowledged = ack.position;
        self.dirty = false;
        self.last_flush = Instant::now();
        Ok(())
    }

    /// Tries until it succeeds, with pauses that grow, or until the time of a shutdown is over.
    fn insist<T>(&mut self, mut action: impl FnMut(&mut Self) -> Result<T, WriteError>) -> Result<T, Halt> {
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
            let rewinds = failure.rewind;
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
                return Err(Halt::TimeIsUp);
            }
            if rewinds {
                return Err(Halt::Rewind);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::{Ack, ItemOutcome};

    struct TakesAll;

    impl SessionWriter for TakesAll {
        fn name(&self) -> &str {
            "takes all"
        }

        fn checkpoint(&mut self) -> Result<Position, WriteError> {
            Ok(Position::default())
        }

        fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
            Ok(vec![ItemOutcome::Written; batch.len()])
        }

        fn flush(&mut self) -> Result<Ack, WriteError> {
            Ok(Ack { position: Position::default() })
        }

        fn shutdown(&mut self, _: Instant) -> DrainReport {
            DrainReport { written: 0, lost: 0 }
        }
    }

    #[test]
    fn batches_that_follow_each_other_share_a_flush() {
        let (state, published) = (Arc::new(ProjectorState::new("takes all")), Arc::default());
        let mut projector = Projector::new(Box::new(TakesAll), state, published, PathBuf::new());
        let wait = projector.batching.wait;
        let earlier = |by: Duration| Instant::now().checked_sub(by).expect("the machine runs for longer");
        projector.last_flush = earlier(wait * 2);
        assert_eq!(projector.flush_due(), None, "nothing was written");
        assert!(projector.write().is_ok());
        let due = projector.flush_due().expect("something was written");
        assert_eq!(
            due,
            projector.last_write + wait,
            "another batch may follow, however old the last flush is"
        );
        assert_eq!(projector.next_look(), Some(due));
        projector.last_flush = earlier(FLUSH_EVERY);
        assert!(projector.flush_due() <= Some(Instant::now()), "now and then, whatever follows");
        assert!(projector.flush().is_ok());
        assert_eq!(projector.flush_due(), None);
    }
}
