//! Waiting until everything that was reported before is where it belongs.

use std::sync::Mutex;
use std::sync::PoisonError;

use lunaroute_storage::journal::Position;
use tokio::sync::Notify;

/// Told by the pen once everything before it is durable, and where the journal then ended.
#[derive(Default)]
pub(crate) struct Barrier {
    reached: Mutex<Option<Position>>,
    notify: Notify,
}

impl Barrier {
    pub(crate) fn reach(&self, position: Position) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
        self.notify.notify_waiters();
    }

    pub(crate) async fn reached(&self) -> Position {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Enabled before looking, so that a call in between is not missed.
            notified.as_mut().enable();
            if let Some(position) = *self.reached.lock().unwrap_or_else(PoisonError::into_inner) {
                return position;
            }
            notified.await;
        }
    }
}
