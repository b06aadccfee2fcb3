//! How far the start of one request has come on its way to the disk, and how much of its answer waits for the pen.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::note::Begin;

/// What one answer may have waiting for the pen: one that comes faster than it can be written is slowed down before it has
/// taken the whole budget.
pub(crate) const ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// The stages, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// On its way.
    Waiting = 0,
    /// Appended to the journal.
    Written = 1,
    /// Durable in the journal.
    Durable = 2,
    /// The disk is full: it is kept without its body.
    Bare = 3,
    /// It cannot be kept as promised; why is in the journal's state.
    Failed = 4,
}

/// Shared by a recording and the pen.
pub(crate) struct Opening {
    stage: AtomicU8,
    notify: Notify,
    /// Whether `held` holds anything: asked for every frame, which must not take a lock for it.
    holds: AtomicBool,
    /// The start itself while there is no room for its body in the queue.
    held: Mutex<Option<Box<Begin>>>,
    /// Bytes of the answer that the pen has not taken yet.
    waiting_bytes: AtomicUsize,
}

impl Opening {
    pub(crate) fn new() -> Self {
        Self {
            stage: AtomicU8::new(Stage::Waiting as u8),
            notify: Notify::new(),
            holds: AtomicBool::new(false),
            held: Mutex::new(None),
            waiting_bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn hold(&self, begin: Box<Begin>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(begin);
        self.holds.store(true, Ordering::Release);
    }

    pub(crate) fn take_held(&self) -> Option<Box<Begin>> {
        if !self.holds.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    /// Bytes of the answer are on their way to the pen.
    pub(crate) fn sent(&self, bytes: usize) {
        self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// The pen has taken bytes of the answer; says whether there is room again that was not there before.
    pub(crate) fn took(&self, bytes: usize) -> bool {
        let before = self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
        before >= ANSWER_BYTES && before - bytes < ANSWER_BYTES
    }

    /// Whether more of the answer may be sent. One piece may go beyond it.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes.load(Ordering::SeqCst) < ANSWER_BYTES
    }

    /// Moves on to a later stage; an earlier one changes nothing.
    pub(crate) fn advance(&self, stage: Stage) {
        if self.stage.fetch_max(stage as u8, Ordering::AcqRel) < stage as u8 {
            self.notify.notify_waiters();
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Waiting,
            1 => Stage::Written,
            2 => Stage::Durable,
            3 => Stage::Bare,
            _ => Stage::Failed,
        }
    }

    /// Waits for `wanted` or a failure and says which it was.
    pub(crate) async fn reached(&self, wanted: Stage) -> Stage {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Enabled before looking, so that an advance in between is not missed.
            notified.as_mut().enable();
            let stage = self.stage();
            if stage >= wanted {
                return stage;
            }
            notified.await;
        }
    }
}
