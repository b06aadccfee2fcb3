//! One HTTP/1.1 connection, driven by whoever has a request on it.
//!
//! It has no task of its own: the task of the request polls the connection when it wants the next piece, so that a piece
//! goes from the socket to the client without a change of tasks, and a connection that nobody drives costs nothing.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection as _;
use lunaroute_core::Bell;

use crate::connector::Wire;

type Stream = MaybeHttpsStream<Wire>;

/// Longest head of an answer that is surely taken, in bytes; providers' are a tenth of it. One of twice this length is surely
/// refused, and ends the connection: what lies between depends on how its bytes come.
const LONGEST_HEAD: usize = 32 * 1024;

/// An open connection and the way to put requests on it, one after the other.
pub(crate) struct Channel {
    requests: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Connection<Stream, Full<Bytes>>>,
    bell: Arc<Bell>,
    /// The bell as the connection knows it.
    rope: Waker,
    absolute_form: bool,
}

impl Channel {
    /// Makes a connection of a stream that is open. Nothing is sent.
    pub(crate) async fn over(stream: Stream) -> hyper::Result<Self> {
        let absolute_form = stream.connected().is_proxied();
        let (requests, connection) =
            http1::Builder::new().max_buf_size(LONGEST_HEAD).handshake(stream).await?;
        let (bell, rope) = Bell::hung();
        Ok(Self { requests, connection: Some(connection), bell, rope, absolute_form })
    }

    /// Whether the other end is a proxy that reads whole addresses.
    pub(crate) const fn wants_absolute_form(&self) -> bool {
        self.absolute_form
    }

    /// Sends a request and waits for the head of its answer. Dropped before, the connection can only be closed.
    ///
    /// # Errors
    /// Why there is no answer; with the request itself when nothing of it was sent.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let Self { requests, connection, bell, rope, .. } = self;
        let (answer, _rung) = bell.muted(|| requests.try_send_request(request));
        let mut answer = pin!(answer);
        poll_fn(|context| drive_until(connection, bell, rope, context, |nobody| answer.as_mut().poll(nobody)))
            .await
    }

    /// The next piece of the answer that [`Channel::exchange`] began.
    pub(crate) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { connection, bell, rope, .. } = self;
        // The first piece has often come with the head.
        let (taken, _rung) =
            bell.muted(|| Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop())));
        if taken.is_ready() {
            return taken;
        }
        drive_until(connection, bell, rope, context, |nobody| Pin::new(&mut *incoming).poll_frame(nobody))
    }

    /// Whether the connection waits for a request: the last answer was read to its end, and nothing came after it.
    pub(crate) fn is_idle(&self) -> bool {
        self.connection.is_some() && self.requests.is_ready()
    }

    /// Whether an idle connection has been closed, or broken, by the other end.
    pub(crate) fn has_ended(&mut self) -> bool {
        drive(&mut self.connection, &self.bell, &self.rope, &mut Context::from_waker(Waker::noop()));
        self.connection.is_none()
    }
}

/// Drives the connection, and looks whether that brought what is waited for.
fn drive_until<T>(
    connection: &mut Option<Connection<Stream, Full<Bytes>>>,
    bell: &Bell,
    rope: &Waker,
    context: &mut Context<'_>,
    mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    loop {
        drive(connection, bell, rope, context);
        // Only the connection brings it, and that was just polled: nobody has to be woken when it is there.
        let (seen, was_rung) = bell.muted(|| look(&mut Context::from_waker(Waker::noop())));
        if seen.is_ready() || !was_rung {
            return seen;
        }
    }
}

/// Lets the connection read, write and notice its end. A connection that has ended is dropped, so that everything that
/// still waits for it is told.
fn drive(
    connection: &mut Option<Connection<Stream, Full<Bytes>>>,
    bell: &Bell,
    rope: &Waker,
    context: &mut Context<'_>,
) {
    let Some(open) = connection else { return };
    bell.call(context.waker());
    // What went wrong is told to whoever waits for the answer or its next piece.
    if let Poll::Ready(_ended) = Pin::new(open).poll(&mut Context::from_waker(rope)) {
        *connection = None;
    }
}
