//! What a projector tells about itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lunaroute_core::Timestamp;
use lunaroute_storage::journal::Position;
use tokio::sync::Notify;

use crate::recorder::figures::{WriterFigures, WriterState};
use crate::writer::{DrainReport, ItemOutcome, JournaledEvent, Upkeep};

#[derive(Default)]
struct Inner {
    figures: WriterFigures,
    reached: Position,
    /// The oldest event that the writer was to write and has not: its place, and when it happened.
    waiting_from: Option<(Position, Timestamp)>,
    /// Known once the writer's own checkpoint was read.
    durable: Option<Position>,
    flushed: u64,
    drained: Option<DrainReport>,
}

/// Figures and progress of one projector, shared with the recorder.
pub(crate) struct ProjectorState {
    inner: Mutex<Inner>,
    notify: Notify,
}

impl ProjectorState {
    pub(crate) fn new(name: &str) -> Self {
        let figures = WriterFigures { name: name.to_owned(), ..WriterFigures::default() };
        Self { inner: Mutex::new(Inner { figures, ..Inner::default() }), notify: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> String {
        self.lock().figures.name.clone()
    }

    pub(crate) fn start(&self, from: Position) {
        let mut inner = self.lock();
        (inner.reached, inner.durable) = (from, Some(from));
    }

    pub(crate) fn reach(&self, position: Position, damaged: u64) {
        let mut inner = self.lock();
        inner.reached = position;
        inner.figures.damaged = damaged;
    }

    /// Takes note of what the writer is to write next, of what was got up to the place reached.
    pub(crate) fn wait_for(&self, pending: &[JournaledEvent]) {
        let mut inner = self.lock();
        inner.figures.waiting = pending.len() as u64;
        inner.waiting_from = pending.first().map(|item| (item.position, item.event.at));
    }

    pub(crate) fn wrote(&self, outcomes: &[ItemOutcome], events: usize, took: Duration) {
        let quarantined =
            outcomes.iter().filter(|outcome| matches!(outcome, ItemOutcome::Quarantined(_))).count();
        let mut inner = self.lock();
        inner.figures.quarantined += quarantined as u64;
        inner.figures.written += events.saturating_sub(quarantined) as u64;
        inner.figures.batches += 1;
        inner.figures.batch_seconds += took.as_secs_f64();
    }

    pub(crate) fn kept_up(&self, upkeep: Upkeep) {
        self.lock().figures.upkeep = upkeep;
    }

    pub(crate) fn written(&self) -> u64 {
        self.lock().figures.written
    }

    pub(crate) fn durable(&self, position: Position) {
        let mut inner = self.lock();
        inner.durable = inner.durable.max(Some(position));
    }

    /// The place up to which the writer needs nothing of the journal any more; `None` while it is not known.
    pub(crate) fn durable_position(&self) -> Option<Position> {
        self.lock().durable
    }

    pub(crate) fn flushed(&self, number: u64) {
        self.lock().flushed = number;
        self.notify.notify_waiters();
    }

    /// Takes note of a failure; says whether the state is another now.
    pub(crate) fn failed(&self, state: WriterState) -> bool {
        let mut inner = self.lock();
        inner.figures.failed += 1;
        let changed = std::mem::discriminant(&inner.figures.state) != std::mem::discriminant(&state);
        inner.figures.state = state;
        changed
    }

    pub(crate) fn retrying(&self) {
        self.lock().figures.retried += 1;
    }

    /// Takes note of a success; says whether it follows a failure.
    pub(crate) fn recovered(&self) -> bool {
        let mut inner = self.lock();
        std::mem::take(&mut inner.figures.state) != WriterState::Healthy
    }

    pub(crate) fn stop(&self, report: DrainReport) {
        let mut inner = self.lock();
        inner.figures.state = WriterState::Stopped;
        inner.drained = Some(report);
        drop(inner);
        self.notify.notify_waiters();
    }

    pub(crate) fn figures(&self, bytes_after: &impl Fn(Position) -> u64) -> WriterFigures {
        let inner = self.lock();
        WriterFigures {
            behind_bytes: bytes_after(inner.waiting_from.map_or(inner.reached, |(place, _)| place)),
            oldest_unwritten: inner
                .waiting_from
                .map_or(Duration::ZERO, |(_, at)| Duration::from_micros(Timestamp::now().micros_since(at))),
            ..inner.figures.clone()
        }
    }

    /// Waits until the flush of this number is done, or the projector has ended.
    pub(crate) async fn until_flushed(&self, number: u64) {
        self.until(|inner| inner.flushed >= number || inner.drained.is_some()).await;
    }

    /// Waits until the projector has ended.
    pub(crate) async fn until_stopped(&self) {
        self.until(|inner| inner.drained.is_some()).await;
    }

    async fn until(&self, condition: impl Fn(&Inner) -> bool) {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Enabled before looking, so that a change in between is not missed.
            notified.as_mut().enable();
            if condition(&self.lock()) {
                return;
            }
            notified.await;
        }
    }
}
