//! How far the start of one request has come on its way to the disk.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::note::Begin;

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
}

impl Opening {
    pub(crate) fn new() -> Self {
        Self {
            stage: AtomicU8::new(Stage::Waiting as u8),
            notify: Notify::new(),
            holds: AtomicBool::new(false),
            held: Mutex::new(None),
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
