//! One kept connection of a client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// An answer takes this long at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection and the task that drives it.
pub(crate) struct Connection {
    at: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

/// What the client saw of one answer.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When the first bytes of its body came.
    pub(crate) first: Instant,
    /// When it was whole.
    pub(crate) last: Instant,
    /// Events that ended with an empty line.
    pub(crate) events: u64,
    /// Times between its pieces.
    pub(crate) gaps: Vec<Duration>,
}

impl Connection {
    pub(crate) async fn open(at: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(at).await.with_context(|| format!("cannot connect to {at}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Its failure reaches the sender too, where it is told.
            drop(connection.await);
        });
        Ok(Self { at, sender, _driver: driver })
    }

    /// Where it leads.
    pub(crate) const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// When no answer comes within the time, when it breaks off, and when its status is not 200.
    pub(crate) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Seen> {
        tokio::time::timeout(PATIENCE, self.answer(request)).await.context("no whole answer in time")?
    }

    async fn answer(&mut self, request: Request<Full<Bytes>>) -> Result<Seen> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(response.status() == 200, "answered with {}", response.status());
        let mut body = response.into_body();
        let mut first = None;
        let mut last = Instant::now();
        let mut events = EventCount::default();
        let mut gaps = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let now = Instant::now();
            match first {
                None => first = Some(now),
                Some(_) => gaps.push(now - last),
            }
            last = now;
            events.take(&data);
        }
        Ok(Seen { first: first.unwrap_or(last), last: Instant::now(), events: events.seen, gaps })
    }
}

/// Counts empty lines, also where one is cut between two pieces.
#[derive(Debug, Default)]
struct EventCount {
    seen: u64,
    /// The last piece ended with a line feed that ends no event yet.
    open: bool,
}

impl EventCount {
    fn take(&mut self, mut piece: &[u8]) {
        if self.open && piece.first() == Some(&b'\n') {
            self.seen += 1;
            piece = &piece[1..];
        }
        let mut after = 0;
        for at in memmem::find_iter(piece, b"\n\n") {
            self.seen += 1;
            after = at + 2;
        }
        self.open = matches!(piece.get(after..), Some([.., b'\n']));
    }
}

#[cfg(test)]
mod tests {
    use super::EventCount;

    #[test]
    fn events_are_counted_wherever_the_pieces_are_cut() {
        let text = b"data: a\n\nevent: b\ndata: b\n\ndata: [DONE]\n\n";
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let mut count = EventCount::default();
                for piece in [&text[..cut], &text[cut..second], &text[second..]] {
                    if !piece.is_empty() {
                        count.take(piece);
                    }
                }
                assert_eq!(count.seen, 3, "cut at {cut} and {second}");
            }
        }
    }
}
