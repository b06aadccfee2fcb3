//! One connection: its timers, its requests, its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use lunaroute_core::{Bell, Timestamp};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conduct::{Conduct, Open};
use crate::hygiene::is_framing_clear;
use crate::socket::Socket;
use crate::streams::{Streams, Watch};
use crate::{Broken, Config, Reply};

/// Streams that a client opened and reset before they were looked at, and streams that we reset: beyond these the
/// connection is closed (the "rapid reset" attack).
const MOST_RESET_STREAMS: usize = 64;

/// How long a connection that came when every place was taken may be without a request.
const CROWDED_TIME: Duration = Duration::from_secs(1);

/// So often a connection that has more to do is polled in one turn; then others have theirs.
const POLLS: usize = 4;

/// A request as it arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Method, URI, version and headers.
    pub head: http::request::Parts,
    /// The body, unread; [`read_body`](crate::read_body) reads it.
    pub body: Incoming,
    /// The client's address.
    pub peer: SocketAddr,
    /// When the head was complete, by the wall clock.
    pub received_at: Timestamp,
    /// The same moment by the clock that measures durations.
    pub started: Instant,
    /// Whether every place was taken when the connection came. Such a connection is closed after this answer, and is
    /// there to tell how things are, not to be served.
    pub is_crowded: bool,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. When the client hangs up, the future, or the reply's body once there is one, is dropped at
    /// once, wherever it stands. A client that closes only its sending side counts as one that hung up.
    fn handle(self: Arc<Self>, arrival: Arrival) -> impl Future<Output = Response<Reply>> + Send + 'static;

    /// The answer to a request on which [`Handler::handle`] panicked. The connection lives on.
    fn apology(&self) -> Response<Reply> {
        let mut response = Response::new(Reply::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }
}

/// What all connections of a listener share.
pub(crate) struct Shared<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) config: Config,
    /// Cancelled when the listener stops.
    pub(crate) stopping: CancellationToken,
    /// The tasks of HTTP/2 streams.
    pub(crate) streams: TaskTracker,
}

/// Who is on the other side, and how the listener was doing when it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) peer: SocketAddr,
    /// Whether every place was taken.
    pub(crate) is_crowded: bool,
}

/// Serves one connection to its end.
pub(crate) async fn serve<H: Handler>(shared: Arc<Shared<H>>, stream: TcpStream, caller: Caller) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection was gone before it was served");
        return;
    }
    let conduct = Arc::new(Conduct::default());
    let socket = Socket::new(stream, shared.config.write_stall_timeout, Arc::clone(&conduct));
    let over = CancellationToken::new();
    let _ends_streams = over.clone().drop_guard();
    let protocol = protocol(&shared, over);
    let service = service_fn(|request| {
        let answer = answer(Arc::clone(&shared.handler), Arc::clone(&conduct), caller, request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(protocol.serve_connection_with_upgrades(TokioIo::new(socket), service));

    let config = &shared.config;
    // Few connections are taken beyond the limit, so those that say nothing must not keep the others out.
    let (first, next) = if caller.is_crowded {
        (config.header_read_timeout.min(CROWDED_TIME), config.keep_alive_timeout.min(CROWDED_TIME))
    } else {
        (config.header_read_timeout, config.keep_alive_timeout)
    };
    let mut clock = pin!(sleep(first));
    let mut is_closing = false;
    let mut seen = 0;
    let (bell, rope) = Bell::hung();
    loop {
        tokio::select! {
            ended = poll_fn(|context| poll_muted(connection.as_mut(), (&bell, &rope), context)) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                    return;
                }
                break;
            }
            () = shared.stopping.cancelled(), if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = clock.as_mut() => {
                let arrivals = conduct.arrivals();
                let is_unused = arrivals == seen && conduct.is_idle();
                // hyper's own timer starts when it knows the version and knows no idle HTTP/2 connection.
                if arrivals == 0 || is_unused && is_closing {
                    return;
                }
                if is_unused {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                seen = arrivals;
                clock.as_mut().reset(tokio::time::Instant::now() + next);
            }
        }
    }
    // It stays in this task, so that it keeps the connection's place and is cut with it.
    if let Some(takeover) = conduct.successor() {
        takeover.run(shared.stopping.clone()).await;
    }
}

/// Polls a connection whose parts ring the bell for each other: the body that was read, the answer that has more. Over
/// HTTP/1.1 they are all in this one task, so it is polled again at once. To be woken while it runs would cost a task a turn
/// more, and the scheduler wakes another thread for that.
fn poll_muted<F: Future>(
    mut connection: Pin<&mut F>,
    (bell, rope): (&Bell, &Waker),
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    bell.call(context.waker());
    for _ in 0..POLLS {
        let (polled, was_rung) = bell.muted(|| connection.as_mut().poll(&mut Context::from_waker(rope)));
        if polled.is_ready() || !was_rung {
            return polled;
        }
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

fn protocol<H>(shared: &Shared<H>, over: CancellationToken) -> auto::Builder<Streams> {
    let config = &shared.config;
    let tracker = shared.streams.clone();
    let mut protocol = auto::Builder::new(Streams { tracker, over, stall_limit: config.write_stall_timeout });
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive_timeout)
        .max_buf_size(config.header_limit_bytes)
        .half_close(false);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(config.header_limit_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_pending_accept_reset_streams(MOST_RESET_STREAMS)
        .max_local_error_reset_streams(MOST_RESET_STREAMS)
        .keep_alive_interval(config.keep_alive_timeout);
    protocol
}

/// Has one request answered. A panic of the handler is answered, too, and said without anything of the request.
async fn answer<H: Handler>(
    handler: Arc<H>,
    conduct: Arc<Conduct>,
    Caller { peer, is_crowded }: Caller,
    request: Request<Incoming>,
) -> Response<Served> {
    let open = conduct.arrive();
    let has_body = !request.body().is_end_stream();
    let is_last = is_crowded || !is_framing_clear(request.headers());
    let (head, body) = request.into_parts();
    let (received_at, started) = (Timestamp::now(), Instant::now());
    let arrival = Arrival { head, body, peer, received_at, started, is_crowded };
    let served = Arc::clone(&handler);
    let mut response = match AssertUnwindSafe(async { served.handle(arrival).await }).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => {
            tracing::error!(%peer, "a handler panicked; the client got an error instead of its answer");
            handler.apology()
        }
    };
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    conduct.set_lingers(has_body && is_refusal);
    if let Some(takeover) = response.body_mut().take_over() {
        conduct.hand_over(takeover);
    }
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|reply| Served { reply, watch: Watch::current(), _open: open })
}

/// A reply on its way, counted and watched.
struct Served {
    reply: Reply,
    watch: Option<Arc<Watch>>,
    _open: Open,
}

impl Body for Served {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.reply).poll_frame(context);
        if let Some(watch) = &this.watch {
            match polled {
                Poll::Ready(Some(Ok(_))) => watch.handed_out(),
                _ => watch.wanted(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls a connection that rings for itself so many times; gives its polls, and whether its task was woken for that and
    /// then by a ring from without.
    fn polls_and_wakes(rings: usize) -> (usize, [bool; 2]) {
        let ((bell, rope), (task, waker)) = (Bell::hung(), Bell::hung());
        let mut polls = 0;
        let mut connection = pin!(poll_fn(|context| {
            polls += 1;
            if polls <= rings {
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        }));
        let mut context = Context::from_waker(&waker);
        let (polled, within) = task.muted(|| poll_muted(connection.as_mut(), (&bell, &rope), &mut context));
        assert!(polled.is_pending());
        let ((), without) = task.muted(|| rope.wake_by_ref());
        (polls, [within, without])
    }

    #[test]
    fn what_a_connection_tells_itself_is_done_in_the_same_turn_within_bounds() {
        assert_eq!(polls_and_wakes(0), (1, [false, true]));
        assert_eq!(polls_and_wakes(POLLS - 1), (POLLS, [false, true]));
        assert_eq!(polls_and_wakes(usize::MAX), (POLLS, [true, true]), "then others have their turn");
    }
}
