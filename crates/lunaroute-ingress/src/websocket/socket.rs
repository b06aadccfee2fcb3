//! Messages over a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes as Payload, Message as Frame};
use tokio_util::sync::CancellationToken;

use super::counted::Counted;
use crate::{Budget, Share};

/// Time between two pings. They keep the ways between open, which forget connections that are silent; who leaves them
/// unanswered is not cut, because simple clients answer only while they wait for something.
const PULSE: Duration = Duration::from_secs(20);

/// How long a client is waited for that is told goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// Memory that a connection has for reading while nothing comes.
const READ_BUFFER: usize = 8 * 1024;

/// Messages that are sent together are written in pieces of about this size.
const WRITE_BUFFER: usize = 16 * 1024;

/// What a WebSocket is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest message in bytes.
    pub message_limit: usize,
    /// What messages may take of the memory while they arrive and until they are done with.
    pub bodies: Arc<Budget>,
    /// The next message has to be whole within this time after the last one was answered.
    pub idle: Duration,
}

/// A message of text, and the memory that it takes.
#[derive(Debug)]
pub struct Message {
    /// The text; it is UTF-8.
    pub text: Bytes,
    /// Its memory.
    pub held: Share,
}

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client of a WebSocket is gone")]
pub struct Gone;

/// Why the listening side ends a connection, with the code of RFC 6455, section 7.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// 1000: nothing was said for a long time.
    Idle,
    /// 1001: the listener stops.
    Stopping,
    /// 1003: a message of bytes, where text is spoken.
    NoText,
    /// 1007: text that is none.
    BadText,
    /// 1009: a message beyond the limit.
    TooLarge,
    /// 1013: more than can be taken now.
    Overloaded,
}

impl Farewell {
    const fn words(self) -> (CloseCode, &'static str) {
        match self {
            Self::Idle => (CloseCode::Normal, "nothing was said for a long time; connect again"),
            Self::Stopping => (CloseCode::Away, "the gateway stops; connect again"),
            Self::NoText => (CloseCode::Unsupported, "only messages of text are spoken here"),
            Self::BadText => (CloseCode::Invalid, "a message of text was not UTF-8"),
            Self::TooLarge => (CloseCode::Size, "the message is larger than the limit"),
            Self::Overloaded => (CloseCode::Again, "more than can be taken now; connect again in a moment"),
        }
    }

    /// What is said on an error of the stream; nothing to a client that is gone.
    fn on(error: &Error) -> Option<Self> {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(Self::TooLarge),
            Error::Utf8(_) => Some(Self::BadText),
            Error::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => Some(Self::Overloaded),
            _ => None,
        }
    }
}

/// A connection that speaks WebSocket. Dropped, it is cut.
pub struct WebSocket {
    stream: WebSocketStream<Counted<TokioIo<Upgraded>>>,
    idle: Duration,
    stopping: CancellationToken,
    pulse: Interval,
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was read and not taken yet is the client's.
        f.debug_struct("WebSocket").field("idle", &self.idle).finish_non_exhaustive()
    }
}

impl WebSocket {
    pub(super) async fn new(upgraded: Upgraded, settings: Settings, stopping: CancellationToken) -> Self {
        let limit = Some(settings.message_limit);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(limit)
            .max_frame_size(limit);
        let bytes = Counted::new(TokioIo::new(upgraded), settings.bodies);
        let stream = WebSocketStream::from_raw_socket(bytes, Role::Server, Some(config)).await;
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pulse.reset();
        Self { stream, idle: settings.idle, stopping, pulse }
    }

    /// The next message, while nothing is being answered. `None` when the client is gone, has said nothing for too long or
    /// the listener stops: the connection is over then.
    pub async fn next(&mut self) -> Option<Message> {
        let stopping = self.stopping.clone();
        let idle = sleep(self.idle);
        let farewell = tokio::select! {
            biased;
            () = stopping.cancelled() => Farewell::Stopping,
            message = self.hear() => return message,
            () = idle => Farewell::Idle,
        };
        self.close(farewell).await;
        None
    }

    /// The next message, however long it takes. `None` when the client is gone. Nothing is lost when this is dropped.
    pub async fn hear(&mut self) -> Option<Message> {
        loop {
            let frame = tokio::select! {
                frame = self.stream.next() => frame,
                _ = self.pulse.tick() => {
                    self.stream.send(Frame::Ping(Payload::new())).await.ok()?;
                    continue;
                }
            };
            let farewell = match frame {
                Some(Ok(Frame::Text(text))) => {
                    return Some(Message { text: text.into(), held: self.stream.get_mut().take_held() });
                }
                // Pings are answered below.
                Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => continue,
                Some(Ok(Frame::Binary(_))) => Some(Farewell::NoText),
                Some(Ok(Frame::Close(_))) => {
                    self.part().await;
                    return None;
                }
                Some(Err(error)) => Farewell::on(&error),
                None => None,
            };
            if let Some(farewell) = farewell {
                self.close(farewell).await;
            }
            return None;
        }
    }

    /// Sends messages, in order and at once.
    ///
    /// # Errors
    /// [`Gone`] when the client is, or takes nothing for too long.
    pub async fn send(&mut self, texts: impl IntoIterator<Item = String>) -> Result<(), Gone> {
        for text in texts {
            self.stream.feed(Frame::text(text)).await.map_err(|_| Gone)?;
        }
        self.stream.flush().await.map_err(|_| Gone)
    }

    /// Says goodbye and waits a moment for the answer.
    pub async fn close(&mut self, farewell: Farewell) {
        let (code, reason) = farewell.words();
        let goodbye = async {
            if self.stream.close(Some(CloseFrame { code, reason: reason.into() })).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whoever does not answer in time is cut all the same.
        let _answered = timeout(FAREWELL, goodbye).await;
    }

    /// Answers the client's goodbye.
    async fn part(&mut self) {
        let _answered =
            timeout(FAREWELL, async { while let Some(Ok(_)) = self.stream.next().await {} }).await;
    }
}
