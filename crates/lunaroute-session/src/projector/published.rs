//! How far the journal may be read, and what the recorder wants of its projectors.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lunaroute_storage::journal::Position;

/// What the projectors are to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// The journal is durable up to here.
    pub(crate) end: Position,
    /// Number of the last flush that was asked for.
    pub(crate) flush: u64,
    /// Everything is to be written by this time, then the projectors end.
    pub(crate) stop_by: Option<Instant>,
}

/// Set by the recorder, watched by the projectors.
#[derive(Default)]
pub(crate) struct Published {
    target: Mutex<Target>,
    wake: Condvar,
}

impl Published {
    fn lock(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn target(&self) -> Target {
        *self.lock()
    }

    pub(crate) fn publish(&self, end: Position) {
        let mut target = self.lock();
        if target.end < end {
            target.end = end;
            self.wake.notify_all();
        }
    }

    /// Asks for a flush of everything that is published by now; gives its number.
    pub(crate) fn flush(&self) -> u64 {
        let mut target = self.lock();
        target.flush += 1;
        self.wake.notify_all();
        target.flush
    }

    pub(crate) fn stop(&self, by: Instant) {
        let mut target = self.lock();
        target.stop_by = Some(target.stop_by.map_or(by, |earlier| earlier.min(by)));
        self.wake.notify_all();
    }

    /// Waits until the target is another than `seen`, or until `until`.
    pub(crate) fn wait(&self, seen: Target, until: Option<Instant>) {
        let mut target = self.lock();
        while *target == seen {
            target = match until {
                None => self.wake.wait(target).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let now = Instant::now();
                    if now >= until {
                        return;
                    }
                    self.wake.wait_timeout(target, until - now).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits until `until` before something is tried again; a shutdown that is asked for meanwhile ends the wait, and
    /// `false` says that its time is over.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut target = self.lock();
        let stopping = target.stop_by.is_some();
        loop {
            let now = Instant::now();
            match target.stop_by {
                Some(stop_by) if stop_by <= now => return false,
                Some(_) if !stopping => return true,
                _ if now >= until => return true,
                _ => {}
            }
            let end = target.stop_by.map_or(until, |stop_by| stop_by.min(until));
            target = self.wake.wait_timeout(target, end - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
