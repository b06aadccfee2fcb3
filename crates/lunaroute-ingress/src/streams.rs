//! The requests of an HTTP/2 connection, each in a task of its own that ends with the connection, and is given up when
//! the client takes nothing of its answer.
//!
//! Flow control holds back single streams of a connection whose socket is not stalled at all, so watching the socket is
//! not enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

tokio::task_local! {
    /// The watch of the stream whose task is running; unset for HTTP/1.1, where the socket is watched.
    static WATCH: Arc<Watch>;
}

/// Since when a piece of an answer has been waiting for the client to take the next one.
#[derive(Debug)]
pub(crate) struct Watch {
    born: Instant,
    /// Milliseconds after `born`, plus 1; 0 while nothing waits.
    waiting: AtomicU64,
}

impl Watch {
    fn new() -> Arc<Self> {
        Arc::new(Self { born: Instant::now(), waiting: AtomicU64::new(0) })
    }

    /// The watch of the stream that is being served by the current task.
    pub(crate) fn current() -> Option<Arc<Self>> {
        WATCH.try_with(Arc::clone).ok()
    }

    /// The connection asks for the next piece, so it has room for it.
    pub(crate) fn wanted(&self) {
        self.waiting.store(0, Ordering::Relaxed);
    }

    /// A piece was handed out; the next is asked for once the client has taken enough.
    pub(crate) fn handed_out(&self) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.waiting.store(since + 1, Ordering::Relaxed);
    }

    /// Returns when a piece has been waiting for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            match self.waiting.load(Ordering::Relaxed) {
                0 => sleep(limit).await,
                since => {
                    let end = self.born + Duration::from_millis(since - 1) + limit;
                    if end <= Instant::now() {
                        return;
                    }
                    sleep_until(end).await;
                }
            }
        }
    }
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(crate) struct Streams {
    /// Every stream of the listener; the listener waits for it at its end.
    pub(crate) tracker: TaskTracker,
    /// Cancelled when the connection is over.
    pub(crate) over: CancellationToken,
    /// How long a client may take nothing.
    pub(crate) stall_limit: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let over = self.over.clone();
        let limit = self.stall_limit;
        let watch = Watch::new();
        let watched = Arc::clone(&watch);
        self.tracker.spawn(WATCH.scope(watch, async move {
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                () = stream => {}
                () = watched.stalled(limit) => tracing::debug!("a client took nothing of its answer: stream cut"),
            }
        }));
    }
}
