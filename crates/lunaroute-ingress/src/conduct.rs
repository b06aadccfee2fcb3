//! What a connection's parts tell each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::websocket::Takeover;

/// How one connection is doing, and what becomes of it when HTTP is over. Nothing waits on it.
#[derive(Debug)]
pub(crate) struct Conduct {
    arrivals: AtomicUsize,
    open: AtomicUsize,
    /// Whether the client may still be sending what nobody will read. So before the first answer.
    lingers: AtomicBool,
    /// Who goes on with the connection once its last answer, a 101, has gone out.
    takeover: Mutex<Option<Takeover>>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            arrivals: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            lingers: AtomicBool::new(true),
            takeover: Mutex::default(),
        }
    }
}

impl Conduct {
    /// Requests whose head has arrived so far.
    pub(crate) fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Whether no request is being served.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Whether closing should wait for what the client still sends.
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Notes whether the answer that is on its way may have left a part of its request unread.
    pub(crate) fn set_lingers(&self, lingers: bool) {
        self.lingers.store(lingers, Ordering::Relaxed);
    }

    /// Notes who goes on with the connection.
    pub(crate) fn hand_over(&self, takeover: Takeover) {
        *self.takeover.lock().unwrap_or_else(PoisonError::into_inner) = Some(takeover);
    }

    /// Who goes on with the connection, told once.
    pub(crate) fn successor(&self) -> Option<Takeover> {
        self.takeover.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A request is served until the returned guard goes.
    pub(crate) fn arrive(self: &Arc<Self>) -> Open {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }
}

/// Counts a request as being served while it lives.
#[derive(Debug)]
pub(crate) struct Open(Arc<Conduct>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
