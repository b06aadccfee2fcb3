//! The gallery: bytes flow from the provider to the client, untouched and at once, small frames that are there together
//! as one piece, and the record gets a reference to each piece. Here is also decided how an answer ends that its provider
//! did not finish.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::guest_book::Entry;
use crate::house::{Remainder, StreamPolicy};
use crate::silence::Silence;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use lunaroute_core::{Dialect, Ending, Failure, FailureKind, RequestId, Retry};
use lunaroute_dialect::{EndWatch, error};
use lunaroute_egress::UpstreamBody;
use lunaroute_ingress::{Broken, Gathered};

/// A body on its way to the client.
pub(crate) struct Tap {
    /// Present until the provider's body is over or given up. A burst is looked at and recorded as one.
    upstream: Option<Gathered<UpstreamBody>>,
    entry: Option<Entry>,
    /// Present for a stream of events that can be read as it passes.
    events: Option<Events>,
    /// Takes over what is left when the client hangs up and the record still wants the rest.
    remainder: Option<Remainder>,
}

/// What has to be known of an event stream to end it truthfully and to keep it alive.
struct Events {
    watch: EndWatch,
    dialect: Dialect,
    id: RequestId,
    provider: Arc<str>,
    sized: bool,
    count: u64,
    silence: Option<Silence>,
}

/// What a [`Tap`] needs to know of the stream it carries.
pub(crate) struct EventStream {
    pub(crate) watch: EndWatch,
    pub(crate) dialect: Dialect,
    pub(crate) id: RequestId,
    pub(crate) provider: Arc<str>,
    /// Whether its length was declared.
    pub(crate) sized: bool,
}

impl Tap {
    pub(crate) fn new(
        upstream: Gathered<UpstreamBody>,
        entry: Entry,
        stream: Option<EventStream>,
        policy: &StreamPolicy,
    ) -> Self {
        let events = stream.map(|stream| Events {
            watch: stream.watch,
            dialect: stream.dialect,
            id: stream.id,
            provider: stream.provider,
            sized: stream.sized,
            count: 0,
            // Nothing can be put into an answer whose length is declared.
            silence: policy.keep_alive.filter(|_| !stream.sized).map(Silence::new),
        });
        Self { upstream: Some(upstream), entry: Some(entry), events, remainder: policy.remainder.clone() }
    }

    fn close(&mut self, ending: Ending, failure: Option<&Failure>) {
        self.upstream = None;
        if let Some(mut entry) = self.entry.take() {
            entry.close(ending, failure);
        }
    }

    fn on_frame(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(data) = frame.data_ref() {
            let count = self.upstream.as_ref().map_or(1, Gathered::count);
            if let Some(entry) = &mut self.entry {
                entry.frames(data, count);
            }
            if let Some(events) = &mut self.events {
                events.passed(data, count);
            }
        }
        // A body of declared length is never asked for its end, and nothing can be put behind it.
        if self.upstream.as_ref().is_some_and(Body::is_end_stream) {
            match &self.events {
                Some(events) if !events.watch.ended() => {
                    if events.sized {
                        let failure = events.unfinished();
                        self.close(Ending::UpstreamError, Some(&failure));
                    }
                }
                _ => self.close(Ending::Completed, None),
            }
        }
        frame
    }

    /// The provider's body is over. A stream that stopped before its dialect's end is none that ended.
    fn on_end(&mut self) -> Option<Result<Frame<Bytes>, Broken>> {
        match &self.events {
            Some(events) if !events.watch.ended() => {
                let failure = events.unfinished();
                self.on_failure(failure)
            }
            _ => {
                self.close(Ending::Completed, None);
                None
            }
        }
    }

    /// The provider died. A stream of events ends with the dialect's error event; any other body is cut, so that the
    /// client sees that it is not whole.
    fn on_failure(&mut self, failure: Failure) -> Option<Result<Frame<Bytes>, Broken>> {
        let events = self.events.take();
        // What the dialect calls the end was there already: the client has all of its answer.
        if events.as_ref().is_some_and(|events| events.watch.is_terminated()) {
            self.close(Ending::Completed, None);
            return None;
        }
        self.close(Ending::UpstreamError, Some(&failure));
        match events {
            Some(events) if !events.sized => Some(Ok(Frame::data(events.error(&failure)))),
            _ => Some(Err(Broken { failure })),
        }
    }

    fn poll_keep_alive(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.events.as_mut().map(|events| events.poll_keep_alive(context)) {
            Some(Poll::Ready(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            _ => Poll::Pending,
        }
    }
}

impl Events {
    fn unfinished(&self) -> Failure {
        Failure::upstream(
            FailureKind::Protocol,
            Retry::Never,
            format!("the provider '{}' ended its stream before it was complete", self.provider),
        )
    }

    fn passed(&mut self, data: &Bytes, count: u32) {
        self.watch.push(data);
        self.count += u64::from(count);
        if let Some(silence) = &mut self.silence {
            silence.end();
        }
    }

    /// The event that says that the stream broke. The record has the failure itself, so it is not recorded as an answer.
    fn error(&self, failure: &Failure) -> Bytes {
        let seam = error::seam(self.dialect, self.watch.at_boundary());
        let event = error::stream_error(self.dialect, failure, &self.id.to_string(), self.count);
        [seam, &event].concat().into()
    }

    /// A sign of life after a silence, between two events only. It is the gateway's, so it is not recorded.
    fn poll_keep_alive(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let Some(silence) = &mut self.silence else { return Poll::Pending };
        loop {
            ready!(silence.poll(context));
            if self.watch.at_boundary() {
                return Poll::Ready(Bytes::from_static(error::keep_alive(self.dialect, self.count > 0)));
            }
        }
    }
}

impl Body for Tap {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(entry) = &mut self.entry
            && entry.poll_room(context).is_pending()
        {
            return Poll::Pending;
        }
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        match Pin::new(upstream).poll_frame(context) {
            Poll::Pending => self.poll_keep_alive(context),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(self.on_frame(frame)))),
            Poll::Ready(Some(Err(failure))) => Poll::Ready(self.on_failure(failure)),
            Poll::Ready(None) => Poll::Ready(self.on_end()),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upstream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.upstream, &self.events) {
            // A stream may get an event more than its provider sent.
            (Some(_), Some(_)) => SizeHint::default(),
            (Some(upstream), None) => upstream.size_hint(),
            (None, _) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // A client that has its whole answer need not wait until the provider closes.
        if self.events.as_ref().is_some_and(|events| events.watch.ended()) {
            return self.close(Ending::Completed, None);
        }
        let (Some(upstream), Some(entry)) = (self.upstream.take(), self.entry.take()) else { return };
        // Dropping the provider's body cuts its connection; dropping the entry closes it as cancelled.
        if let Some(Remainder { tasks, cut }) = &self.remainder
            && !tasks.is_closed()
        {
            tasks.spawn(cut.clone().run_until_cancelled_owned(drain(upstream, entry)));
        }
    }
}

/// Reads an answer to its end for the record alone. The provider's own time-outs bound it. Dropped before, the entry
/// closes itself.
async fn drain(mut upstream: Gathered<UpstreamBody>, mut entry: Entry) {
    let how = loop {
        match upstream.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    std::future::poll_fn(|context| entry.poll_room(context)).await;
                    entry.frames(data, upstream.count());
                }
            }
            Some(Err(failure)) => break format!("the answer was read on, until {failure}"),
            None => break "the answer was read to its end".to_owned(),
        }
    };
    entry.close(
        Ending::Cancelled,
        Some(&Failure::client(FailureKind::Cancelled, format!("the client hung up; {how}"))),
    );
}

/// An answer that has a head only, whatever length that head declares: the answer to `HEAD`, a 204 or a 304.
pub(crate) struct Bodiless;

impl Body for Bodiless {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(None)
    }
}
