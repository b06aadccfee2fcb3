//! The journal in the pen's hands: appending, what is done when the disk is full or fails, and pruning.

mod sync;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{Journal, JournalError, Position, Record};

use super::batch::Batch;
use super::bodies::Bodies;
use super::config::SyncPolicy;
use super::figures::{JournalState, add};
use super::opening::{Opening, Stage};
use super::shared::Shared;
use super::syncer::Syncer;
use super::unpublished::Unpublished;
use crate::codec::{self, Compressor, EncodedRun};

/// Pause before a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A disk that takes longer for a sync may be about to hold up whoever writes.
const QUICK_SYNC: Duration = Duration::from_millis(5);

/// More than what a guest brings takes in the journal beside bodies.
const GUEST_BYTES: usize = 1024 * 1024;

/// A segment with less than this is not worth a new one.
const REST_BYTES: u64 = 64 * 1024;

/// How often it is looked whether segments can go and whether a full disk has room again.
const HOUSEKEEPING: Duration = Duration::from_secs(3);

pub(crate) struct Ledger {
    journal: Journal,
    shared: Arc<Shared>,
    syncer: Arc<Syncer>,
    /// Starts that are appended and not durable yet.
    unsynced: Vec<Arc<Opening>>,
    unpublished: Unpublished,
    compressor: Compressor,
    /// Since when something is appended that no sync speaks of.
    dirty_since: Option<Instant>,
    /// When the sync began whose outcome is not taken back.
    syncing_since: Option<Instant>,
    retry_at: Option<Instant>,
    /// When the disk was found full. A small entry may fit although it is, so that state lasts for a while.
    full_at: Option<Instant>,
    /// The segment of the last roll call.
    roll_called: u64,
    kept_house: Instant,
    /// When events were appended last.
    appended_at: Instant,
    rest_after: Duration,
}

/// The time of a shutdown is over and the disk still does not take what there is.
pub(crate) struct Abandoned;

impl Ledger {
    pub(crate) fn new(journal: Journal, shared: Arc<Shared>, rest_after: Duration) -> Self {
        let kept_house = Instant::now();
        let unpublished = Unpublished::from(journal.end());
        Self {
            journal,
            syncer: Arc::clone(&shared.syncer),
            shared,
            unsynced: Vec::new(),
            unpublished,
            compressor: Compressor::default(),
            dirty_since: None,
            syncing_since: None,
            retry_at: None,
            full_at: None,
            roll_called: 0,
            kept_house,
            appended_at: kept_house,
            rest_after,
        }
    }

    /// Appends the batch and tells its openings; the batch is left with what is still to be told. Tries for as long as
    /// it takes: nothing that was accepted is given up before the time of a shutdown is over.
    pub(crate) fn append(&mut self, batch: &mut Batch, bodies: &mut Bodies) -> Result<(), Abandoned> {
        let mut reduced = None;
        let (entries, end) = loop {
            match self.try_append(batch, bodies, reduced.is_some()) {
                Ok(appended) => break appended,
                Err(JournalError::StorageFull { .. }) if reduced.is_none() => {
                    self.change_state(JournalState::Full);
                    reduced = Some(batch.reduce());
                }
                Err(failure) => self.wait_after(&failure, &batch.openings)?,
            }
        };
        if reduced.is_some() {
            self.full_at = Some(Instant::now());
        } else if self.full_at.is_none() && self.retry_at.is_none() {
            self.change_state(JournalState::Healthy);
        }
        self.appended((batch, bodies), reduced, &entries, end);
        Ok(())
    }

    /// Whether nothing is known that would hold up who appends now.
    pub(crate) fn is_quick(&mut self) -> bool {
        self.take_synced();
        let disk = self.syncing_since.is_none_or(|since| since.elapsed() < QUICK_SYNC);
        let sound = self.retry_at.is_none() && self.full_at.is_none() && !self.syncer.has_failed();
        disk && sound && !self.wants_roll_call() && self.has_room(0)
    }

    /// Whether bodies of so many bytes, and what goes with them, find room without a new segment and without a sync.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.journal.has_room(bytes + GUEST_BYTES)
    }

    /// As [`append`](Self::append), but does not try again; the batch stays as it is when the disk does not take it.
    pub(crate) fn append_quickly(&mut self, batch: &mut Batch, bodies: &mut Bodies) -> bool {
        match self.try_append(batch, bodies, false) {
            Ok((entries, end)) => {
                self.appended((batch, bodies), None, &entries, end);
                true
            }
            Err(failure) => {
                self.report(&failure);
                false
            }
        }
    }

    /// Tells what was appended. `reduced` says how many notes are lost because only what is essential was.
    fn appended(
        &mut self,
        (batch, bodies): (&mut Batch, &Bodies),
        reduced: Option<u64>,
        entries: &[EncodedRun],
        end: Position,
    ) {
        self.appended_at = Instant::now();
        self.dirty_since.get_or_insert(self.appended_at);
        let (notes, charge) = batch.settled();
        let lost = reduced.unwrap_or(0);
        let counters = &self.shared.counters;
        add(&counters.gaps, lost);
        add(&counters.written, notes.saturating_sub(lost));
        self.shared.queue.release(notes, charge);
        self.shared.grow_segment(end);
        if !self.shared.projectors.is_empty() {
            self.unpublished.add(batch.take_journaled(entries, end, bodies));
        }
        for opening in batch.openings.drain(..) {
            opening.advance(if reduced.is_some() { Stage::Bare } else { Stage::Written });
            self.unsynced.push(opening);
        }
        if self.shared.sync != SyncPolicy::Group {
            self.unsynced.clear();
        }
    }

    /// Gives the entries of the batch and where the last of them ends.
    fn try_append(
        &mut self,
        batch: &mut Batch,
        bodies: &mut Bodies,
        essential: bool,
    ) -> Result<(Vec<EncodedRun>, Position), JournalError> {
        let mut start = self.journal.end();
        let mut entries = batch.encode(start, (bodies, &mut self.compressor));
        // What leans must stand in the segment of what it leans on. Where a new segment cannot be had, that shows below.
        if let Ok(place) = self.journal.make_room(bytes_of(&entries))
            && place != start
        {
            start = place;
            entries = batch.encode(start, (bodies, &mut self.compressor));
        }
        let parts: Vec<Vec<&[u8]>> = entries.iter().map(EncodedRun::parts).collect();
        let records: Vec<Record<'_>> =
            parts.iter().map(|parts| Record { kind: codec::EVENT, parts }).collect();
        let appended =
            if essential { self.journal.append_essential(&records) } else { self.journal.append(&records) };
        let expected = Position { offset: start.offset + bytes_of(&entries) as u64, ..start };
        if appended.as_ref().ok() != Some(&expected) {
            // A failure has moved what was not durable: nothing stands where it was said to.
            bodies.forget_places();
            self.unpublished.give_up();
        }
        appended.map(|end| (entries, end))
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
        // Also while no writer has said yet how far it is: nobody calls when one does.
        let full_segments = !self.shared.projectors.is_empty() && self.shared.has_closed_segments();
        let house = (self.full_at.is_some() || full_segments).then(|| self.kept_house + HOUSEKEEPING);
        let rest = self
            .is_worth_a_rest()
            .then(|| (self.appended_at + self.rest_after).max(self.kept_house + HOUSEKEEPING));
        [house, rest].into_iter().flatten().min()
    }

    fn is_worth_a_rest(&self) -> bool {
        !self.shared.projectors.is_empty() && self.journal.end().offset >= REST_BYTES
    }

    /// Whether nothing has come for a while and every writer has everything: a new segment lets the old one go.
    pub(crate) fn may_rest(&self) -> bool {
        let end = self.journal.end();
        self.is_worth_a_rest()
            && self.appended_at.elapsed() >= self.rest_after
            && self.dirty_since.is_none()
            && !self.syncer.is_busy()
            && self.shared.projectors.iter().all(|projector| projector.durable_position() >= Some(end))
    }

    /// Begins a new segment; the roll call is to follow. That failing is no harm: the old one is gone on with.
    pub(crate) fn begin_segment(&mut self) {
        if let Err(failure) = self.journal.begin_segment() {
            tracing::warn!(%failure, "the journal cannot begin a new segment while nothing happens");
        }
        self.appended_at = Instant::now();
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
        let (notes, charge) = batch.settled();
        add(&self.shared.counters.gaps, notes);
        self.shared.queue.release(notes, charge);
        batch.openings.drain(..).for_each(|opening| opening.advance(Stage::Failed));
    }

    pub(crate) fn count_open(&self, open: usize) {
        self.shared.counters.open_requests.store(open as u64, Ordering::Relaxed);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.syncer.close();
    }
}

fn bytes_of(entries: &[EncodedRun]) -> usize {
    entries.iter().map(EncodedRun::frame_bytes).sum()
}
