//! The body of an answer, with its clocks.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use lunaroute_core::Failure;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::failure;
use crate::pool::Lease;

/// When a body is given up.
pub(crate) struct Limits {
    /// Longest silence while somebody waits.
    pub(crate) idle: Duration,
    /// When the whole answer has to be there, and the limit that this came from.
    pub(crate) end: Option<(Instant, Duration)>,
}

/// The frames of an answer as they are read from the connection, never joined and never split.
///
/// A body that ends early, a reset connection and a time limit are an `Err`, never a normal end. Dropping the body
/// before its end closes the connection (HTTP/1.1) or resets the stream (HTTP/2) at once.
pub struct UpstreamBody {
    /// What was read ahead and comes again, in order.
    read_ahead: VecDeque<Bytes>,
    incoming: Incoming,
    /// The connection, while it is this body that drives it.
    lease: Option<Lease>,
    limits: Limits,
    /// When the wait for the next frame began; `None` while frames are ready.
    waiting_since: Option<Instant>,
    /// One timer for all waits, made at the first. It is only moved when it fires too early, so a frame costs no timer
    /// operation.
    timer: Option<Pin<Box<Sleep>>>,
    provider: Arc<str>,
    failed: bool,
}

impl UpstreamBody {
    /// A body that drives its connection, if it is given one, and gives it back at its end.
    pub(crate) fn new(incoming: Incoming, lease: Option<Lease>, limits: Limits, provider: Arc<str>) -> Self {
        let mut body = Self {
            read_ahead: VecDeque::new(),
            incoming,
            lease,
            limits,
            waiting_since: None,
            timer: None,
            provider,
            failed: false,
        };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    /// Gives frames back that were read ahead, in their order: they come again before those that were not read yet.
    pub fn put_back(&mut self, frames: Vec<Bytes>) {
        frames.into_iter().rev().for_each(|frame| self.read_ahead.push_front(frame));
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(lease) = &mut self.lease else { return Pin::new(&mut self.incoming).poll_frame(context) };
        let polled = lease.channel.poll_frame(&mut self.incoming, context);
        match &polled {
            Poll::Ready(None) => self.give_back(),
            // A body of declared length need not be asked for its end.
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.give_back(),
            Poll::Ready(Some(Err(_))) => self.lease = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Polls the clocks while no frame is ready.
    fn poll_limits(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        // The clock is read once for each wait, not for each frame.
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let idle_end = since + self.limits.idle;
        let first_end = self.limits.end.map_or(idle_end, |(end, _)| end.min(idle_end));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(first_end)));
        while timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if let Some((_, total)) = self.limits.end.filter(|(end, _)| *end <= now) {
                return Poll::Ready(failure::too_long(&self.provider, total));
            }
            if idle_end <= now {
                return Poll::Ready(failure::silent(&self.provider, self.limits.idle));
            }
            timer.as_mut().reset(first_end);
        }
        Poll::Pending
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(frame) = self.read_ahead.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if self.failed {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let failure = match this.poll_incoming(context) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting_since = None;
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => failure::of_body(&error, &this.provider),
            Poll::Pending => std::task::ready!(this.poll_limits(context)),
        };
        this.failed = true;
        this.lease = None;
        Poll::Ready(Some(Err(failure)))
    }

    fn is_end_stream(&self) -> bool {
        self.read_ahead.is_empty() && (self.failed || self.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.read_ahead.iter().map(|frame| frame.len() as u64).sum::<u64>();
        let left = self.incoming.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(left.lower() + ahead);
        if let Some(upper) = left.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("provider", &self.provider)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
