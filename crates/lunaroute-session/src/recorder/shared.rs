//! What the handles, the recordings, the pen and the projectors share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lunaroute_storage::journal::Position;
use tokio::sync::Notify;

use super::config::{RecorderConfig, SyncPolicy};
use super::error::NotRecorded;
use super::figures::{Counters, Figures, JournalState, read, seconds};
use super::queue::Queue;
use super::seat::Seat;
use super::syncer::Syncer;
use crate::event::GapCause;
use crate::projector::{ProjectorState, Published};

/// A moment that is none.
const NEVER: u64 = u64::MAX;

pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) seat: Seat,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) counters: Counters,
    pub(crate) published: Arc<Published>,
    pub(crate) projectors: Vec<Arc<ProjectorState>>,
    pub(crate) journal_directory: PathBuf,
    pub(crate) sync: SyncPolicy,
    pub(crate) begin_wait: Duration,
    pub(crate) durable_wait: Duration,
    pub(crate) frame_wait: Duration,
    journal: Mutex<JournalState>,
    /// Length of each segment of the journal, by number.
    segments: Mutex<BTreeMap<u64, u64>>,
    started: Instant,
    /// Microseconds from `started` to the oldest note in the pen's hands.
    oldest_held: AtomicU64,
    ended: AtomicBool,
    ended_notify: Notify,
}

impl Shared {
    pub(crate) fn new(
        config: &RecorderConfig,
        published: Arc<Published>,
        projectors: Vec<Arc<ProjectorState>>,
    ) -> Self {
        Self {
            queue: Queue::new(config.queue_bytes),
            seat: Seat::default(),
            syncer: Arc::default(),
            counters: Counters::default(),
            published,
            projectors,
            journal_directory: config.directory.join("journal"),
            sync: config.sync,
            begin_wait: config.begin_wait,
            durable_wait: config.durable_wait,
            frame_wait: config.frame_wait,
            journal: Mutex::default(),
            segments: Mutex::default(),
            started: Instant::now(),
            oldest_held: AtomicU64::new(NEVER),
            ended: AtomicBool::new(false),
            ended_notify: Notify::new(),
        }
    }

    fn journal(&self) -> MutexGuard<'_, JournalState> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal_state(&self) -> JournalState {
        self.journal().clone()
    }

    /// Sets the state; says whether that is a change, so that only changes are logged.
    pub(crate) fn set_journal_state(&self, state: JournalState) -> bool {
        let mut current = self.journal();
        let changed = std::mem::discriminant(&*current) != std::mem::discriminant(&state);
        *current = state;
        changed
    }

    /// Why a request cannot be recorded as promised, judged by the state of the journal.
    pub(crate) fn not_recorded(&self, waited: Duration) -> NotRecorded {
        match self.journal_state() {
            JournalState::Healthy if self.queue.has_room() => NotRecorded::TooSlow { waited },
            JournalState::Healthy => NotRecorded::QueueFull,
            JournalState::Full => NotRecorded::DiskFull { directory: self.journal_directory.clone() },
            JournalState::Down { reason } => NotRecorded::JournalDown { reason },
            JournalState::Stopped => NotRecorded::Stopped,
            JournalState::Dead => NotRecorded::Dead,
        }
    }

    /// Why frames cannot be kept just now.
    pub(crate) fn gap_cause(&self) -> GapCause {
        match self.journal_state() {
            JournalState::Healthy => GapCause::QueueFull,
            JournalState::Full => GapCause::DiskFull,
            JournalState::Down { .. } | JournalState::Stopped | JournalState::Dead => GapCause::JournalFailed,
        }
    }

    pub(crate) fn hold_since(&self, oldest: Option<Instant>) {
        let micros = oldest.map_or(NEVER, |oldest| micros(oldest.saturating_duration_since(self.started)));
        self.oldest_held.store(micros, Ordering::Relaxed);
    }

    fn oldest_unwritten(&self) -> Duration {
        let held = self.oldest_held.load(Ordering::Relaxed);
        let held = (held != NEVER).then(|| self.started + Duration::from_micros(held));
        [held, self.queue.oldest()]
            .into_iter()
            .flatten()
            .min()
            .map_or(Duration::ZERO, |oldest| oldest.elapsed())
    }

    pub(crate) fn set_segments(&self, segments: BTreeMap<u64, u64>) {
        *self.segments.lock().unwrap_or_else(PoisonError::into_inner) = segments;
    }

    pub(crate) fn grow_segment(&self, end: Position) {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).insert(end.segment, end.offset);
    }

    pub(crate) fn drop_segments_before(&self, number: u64) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        *segments = segments.split_off(&number);
    }

    pub(crate) fn has_closed_segments(&self) -> bool {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).len() > 1
    }

    pub(crate) fn pen_ended(&self) {
        self.ended.store(true, Ordering::Release);
        self.ended_notify.notify_waiters();
    }

    pub(crate) async fn until_pen_ended(&self) {
        loop {
            let mut notified = std::pin::pin!(self.ended_notify.notified());
            // Enabled before looking, so that the end in between is not missed.
            notified.as_mut().enable();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            notified.await;
        }
    }

    /// Bytes of the journal, and a function that says how many of them lie after a position.
    fn journal_bytes(&self) -> (u64, impl Fn(Position) -> u64) {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let total = segments.values().sum();
        let after =
            move |position: Position| {
                segments
                    .range(position.segment..)
                    .map(|(&number, &bytes)| {
                        if number == position.segment { bytes.saturating_sub(position.offset) } else { bytes }
                    })
                    .sum()
            };
        (total, after)
    }

    pub(crate) fn figures(&self) -> Figures {
        let counters = &self.counters;
        let (waiting_notes, waiting_bytes) = self.queue.waiting();
        let (journal_bytes, after) = self.journal_bytes();
        Figures {
            received: read(&counters.received),
            written: read(&counters.written),
            gaps: read(&counters.gaps),
            left_out: read(&counters.left_out),
            waiting_notes: waiting_notes as u64,
            waiting_bytes: waiting_bytes as u64,
            oldest_unwritten: self.oldest_unwritten(),
            failed: read(&counters.failed),
            retried: read(&counters.retried),
            open_requests: read(&counters.open_requests),
            refused: read(&counters.refused),
            contained_panics: read(&counters.contained_panics),
            filtered_out: read(&counters.filtered_out),
            interrupted: read(&counters.interrupted),
            syncs: read(&counters.syncs),
            sync_seconds: seconds(read(&counters.sync_micros)),
            journal_bytes,
            journal: self.journal_state(),
            writers: self.projectors.iter().map(|projector| projector.figures(&after)).collect(),
        }
    }
}

/// Whole microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
