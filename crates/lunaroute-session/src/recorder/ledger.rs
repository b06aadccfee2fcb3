//! The journal in the pen's hands: appending, syncing, what is done when the disk is full or fails, and pruning.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{Journal, JournalError, MAX_PAYLOAD_BYTES, Position, Record};

use super::batch::Batch;
use super::config::SyncPolicy;
use super::figures::{JournalState, add};
use super::opening::{Opening, Stage};
use super::shared::{Shared, micros};
use crate::codec::{self, EncodedEvent};

/// What no request waits for is made durable this often under the policy of groups.
const GROUP_REST: Duration = Duration::from_millis(200);

/// Pause before a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is looked whether segments can go and whether a full disk has room again.
const HOUSEKEEPING: Duration = Duration::from_secs(3);

pub(crate) struct Ledger {
    journal: Journal,
    shared: Arc<Shared>,
    /// Starts that are appended and not durable yet.
    unsynced: Vec<Arc<Opening>>,
    /// Since when something is appended and not durable.
    dirty_since: Option<Instant>,
    retry_at: Option<Instant>,
    /// When the disk was found full. A small entry may fit although it is, so that state lasts for a while.
    full_at: Option<Instant>,
    /// The segment of the last roll call.
    roll_called: u64,
    kept_house: Instant,
}

/// The time of a shutdown is over and the disk still does not take what there is.
pub(crate) struct Abandoned;

impl Ledger {
    pub(crate) fn new(journal: Journal, shared: Arc<Shared>) -> Self {
        let kept_house = Instant::now();
        Self {
            journal,
            shared,
            unsynced: Vec::new(),
            dirty_since: None,
            retry_at: None,
            full_at: None,
            roll_called: 0,
            kept_house,
        }
    }

    /// Appends the batch and tells its openings; the batch is left with what is still to be told. Tries for as long as
    /// it takes: nothing that was accepted is given up before the time of a shutdown is over.
    pub(crate) fn append(&mut self, batch: &mut Batch) -> Result<(), Abandoned> {
        let encoded = batch.encode(MAX_PAYLOAD_BYTES);
        let mut reduced = None;
        let mut encoded = encoded;
        loop {
            match self.try_append(&encoded, reduced.is_some()) {
                Ok(_) => break,
                Err(JournalError::StorageFull { .. }) if reduced.is_none() => {
                    self.change_state(JournalState::Full);
                    reduced = Some(batch.reduce());
                    encoded = batch.encode(MAX_PAYLOAD_BYTES);
                }
                Err(failure) => self.wait_after(&failure, &batch.openings)?,
            }
        }
        if reduced.is_some() {
            self.full_at = Some(Instant::now());
        } else if self.full_at.is_none() {
            self.change_state(JournalState::Healthy);
        }
        self.dirty_since.get_or_insert_with(Instant::now);
        let lost = reduced.unwrap_or(0);
        let counters = &self.shared.counters;
        add(&counters.gaps, lost);
        add(&counters.written, batch.notes.saturating_sub(lost));
        self.shared.queue.release(batch.notes, batch.charge);
        self.shared.grow_segment(self.journal.end());
        for opening in batch.openings.drain(..) {
            opening.advance(if reduced.is_some() { Stage::Bare } else { Stage::Written });
            self.unsynced.push(opening);
        }
        if self.shared.sync != SyncPolicy::Group {
            self.unsynced.clear();
        }
        Ok(())
    }

    fn try_append(&mut self, encoded: &[EncodedEvent], essential: bool) -> Result<Position, JournalError> {
        let parts: Vec<[&[u8]; 2]> = encoded.iter().map(EncodedEvent::parts).collect();
        let records: Vec<Record<'_>> =
            parts.iter().map(|parts| Record { kind: codec::EVENT, parts: parts.as_slice() }).collect();
        if essential { self.journal.append_essential(&records) } else { self.journal.append(&records) }
    }

    /// Remembers the failure and pauses; fails when the time of a shutdown is over. `openings` are the starts that the
    /// append was to write.
    fn wait_after(&self, failure: &JournalError, openings: &[Arc<Opening>]) -> Result<(), Abandoned> {
        self.report(failure);
        // Whoever waits for a start in hand is told at once; the start itself stays in hand.
        self.unsynced.iter().chain(openings).for_each(|opening| opening.advance(Stage::Failed));
        self.shared.queue.pause(Instant::now() + RETRY);
        if self.shared.queue.stop_by().is_some_and(|stop_by| stop_by <= Instant::now()) {
            return Err(Abandoned);
        }
        add(&self.shared.counters.retried, 1);
        Ok(())
    }

    fn report(&self, failure: &JournalError) {
        add(&self.shared.counters.failed, 1);
        let state = match failure {
            JournalError::StorageFull { .. } => JournalState::Full,
            other => JournalState::Down { reason: other.to_string() },
        };
        self.change_state(state);
    }

    fn change_state(&self, state: JournalState) {
        let told = format!("{state:?}");
        let healthy = state == JournalState::Healthy;
        if !self.shared.set_journal_state(state) {
            return;
        }
        if healthy {
            tracing::info!("the journal takes everything again");
        } else {
            tracing::error!(state = told, "the journal is not healthy");
        }
    }

    /// When something is to be made durable; `None` while there is nothing.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        let since = self.dirty_since?;
        let due = match self.shared.sync {
            SyncPolicy::Group if !self.unsynced.is_empty() => since,
            SyncPolicy::Group => since + GROUP_REST,
            SyncPolicy::Interval(interval) => since + interval,
        };
        Some(self.retry_at.map_or(due, |retry_at| due.max(retry_at)))
    }

    pub(crate) fn sync_if_due(&mut self) {
        if self.sync_due().is_some_and(|due| due <= Instant::now()) {
            self.sync();
        }
    }

    /// Makes everything appended durable and lets the projectors have it; says whether that is done.
    pub(crate) fn sync(&mut self) -> bool {
        let started = Instant::now();
        let synced = self.journal.sync();
        let counters = &self.shared.counters;
        add(&counters.syncs, 1);
        add(&counters.sync_micros, micros(started.elapsed()));
        match synced {
            Ok(end) => {
                if self.retry_at.take().is_some() {
                    self.change_state(JournalState::Healthy);
                }
                self.dirty_since = None;
                self.unsynced.drain(..).for_each(|opening| opening.advance(Stage::Durable));
                self.shared.grow_segment(end);
                self.shared.published.publish(end);
                true
            }
            Err(failure) => {
                self.report(&failure);
                add(&counters.retried, 1);
                self.unsynced.drain(..).for_each(|opening| opening.advance(Stage::Failed));
                self.retry_at = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// Syncs until it is done, or the time of a shutdown is over.
    pub(crate) fn sync_at_last(&mut self) -> Result<(), Abandoned> {
        while !self.sync() {
            self.shared.queue.pause(Instant::now() + RETRY);
            if self.shared.queue.stop_by().is_some_and(|stop_by| stop_by <= Instant::now()) {
                return Err(Abandoned);
            }
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Position {
        self.journal.end()
    }

    /// Whether the segment being written has no roll call yet.
    pub(crate) fn wants_roll_call(&self) -> bool {
        self.journal.end().segment != self.roll_called
    }

    /// Writes the roll call. When that fails the next append is followed by another try.
    pub(crate) fn call_roll(&mut self, payload: &[u8]) {
        let record = Record { kind: codec::ROLL_CALL, parts: &[payload] };
        match self.journal.append(&[record]) {
            Ok(end) => {
                self.roll_called = end.segment;
                self.dirty_since.get_or_insert_with(Instant::now);
                self.shared.grow_segment(end);
            }
            Err(failure) => self.report(&failure),
        }
    }

    /// Removes segments that nobody needs and looks whether a full disk has room again, now and then.
    pub(crate) fn keep_house(&mut self) {
        if self.kept_house.elapsed() < HOUSEKEEPING {
            return;
        }
        self.kept_house = Instant::now();
        let over = self.full_at.is_some_and(|full_at| full_at.elapsed() >= HOUSEKEEPING);
        // Under load too: while the ballast is away every append finds the disk full, whatever room there is by now.
        // Restoring does nothing when the ballast was not needed.
        let restored = self.full_at.is_some() && self.journal.restore_ballast().is_ok();
        if restored && over {
            self.full_at = None;
            self.change_state(JournalState::Healthy);
        }
        self.prune();
    }

    /// When [`keep_house`](Self::keep_house) has something to do although nothing happens.
    pub(crate) fn house_due(&self) -> Option<Instant> {
        let full_segments =
            self.shared.projectors.iter().any(|projector| projector.durable_position().is_some())
                && self.shared.has_closed_segments();
        (self.full_at.is_some() || full_segments).then(|| self.kept_house + HOUSEKEEPING)
    }

    fn prune(&mut self) {
        let durable: Option<Vec<Position>> =
            self.shared.projectors.iter().map(|projector| projector.durable_position()).collect();
        // A writer whose checkpoint is not known may need anything; without a writer the journal is all there is.
        let Some(least) = durable.and_then(|positions| positions.into_iter().min()) else { return };
        let before = Position { segment: least.segment.min(self.roll_called), offset: 0 };
        match self.journal.prune(before) {
            Ok(pruned) if pruned.segments > 0 => {
                self.shared.drop_segments_before(before.segment);
                tracing::debug!(segments = pruned.segments, bytes = pruned.bytes, "journal segments removed");
            }
            Ok(_) => {}
            Err(failure) => {
                tracing::warn!(%failure, "journal segments that nobody needs could not be removed")
            }
        }
    }

    /// Counts what a batch held that was given up.
    pub(crate) fn give_up(&self, batch: &mut Batch) {
        add(&self.shared.counters.gaps, batch.notes);
        self.shared.queue.release(batch.notes, batch.charge);
        batch.openings.drain(..).for_each(|opening| opening.advance(Stage::Failed));
    }

    pub(crate) fn count_open(&self, open: usize) {
        self.shared.counters.open_requests.store(open as u64, Ordering::Relaxed);
    }
}
