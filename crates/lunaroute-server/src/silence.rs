//! How long a stream has been silent, so that a sign of life is sent in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Tells when a stream has been silent for an interval.
pub(crate) struct Silence {
    interval: Duration,
    /// When the silence began, or was last told; `None` while frames pass.
    since: Option<Instant>,
    /// Only moved when it fires too early, so a frame costs no timer operation.
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, since: None, timer: Box::pin(tokio::time::sleep(interval)) }
    }

    /// Something passed.
    pub(crate) const fn end(&mut self) {
        self.since = None;
    }

    /// Ready when it was silent for the interval since it was first asked, or since it was ready last.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let since = *self.since.get_or_insert_with(Instant::now);
            ready!(self.timer.as_mut().poll(context));
            let due = since + self.interval;
            let now = Instant::now();
            if due > now {
                self.timer.as_mut().reset(due);
                continue;
            }
            self.since = Some(now);
            self.timer.as_mut().reset(now + self.interval);
            return Poll::Ready(());
        }
    }
}
