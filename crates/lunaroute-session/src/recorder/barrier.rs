//! Waiting until everything that was reported before is where it belongs.

use std::sync::Mutex;
use std::sync::PoisonError;

use lunaroute_storage::journal::Position;
use tokio::sync::Notify;

/// Told by the pen once everything before it is durable, and where the journal then ended.
#[derive(Default)]
pub(crate) struct Barrier {
    reached: Mutex<Option<Result<Position, Gone>>>,
    notify: Notify,
}

/// The pen has ended before it came to the barrier, and never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Barrier {
    pub(crate) fn reach(&self, position: Position) {
        self.tell(Ok(position));
    }

    /// Whoever waits need not wait any longer.
    pub(crate) fn give_up(&self) {
        self.tell(Err(Gone));
    }

    fn tell(&self, how: Result<Position, Gone>) {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(how);
        self.notify.notify_waiters();
    }

    pub(crate) async fn reached(&self) -> Result<Position, Gone> {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Enabled before looking, so that a call in between is not missed.
            notified.as_mut().enable();
            if let Some(how) = *self.reached.lock().unwrap_or_else(PoisonError::into_inner) {
                return how;
            }
            notified.await;
        }
    }
}
