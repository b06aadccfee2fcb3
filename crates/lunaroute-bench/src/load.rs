//! Load on one address: closed loop at saturation, open loop at a fixed rate.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Template;
use crate::connection::Connection;

/// Numbers requests over the life of the process, so that no two are alike.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Requests that may wait for one connection before further ones count as failed.
const WAITING: usize = 4_096;

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each connection sends its next request when it has its answer, until all have sent so many together.
    Saturating {
        /// Requests at most, over all connections.
        at_most: u64,
    },
    /// So many requests a second, whatever becomes of them.
    PerSecond(f64),
}

impl Load {
    /// As many requests as the time allows.
    pub const SATURATING: Self = Self::Saturating { at_most: u64::MAX };

    /// The same with so many requests at most; a fixed rate stays as it is.
    pub(crate) fn at_most(self, requests: u64) -> Self {
        match self {
            Self::Saturating { at_most } => Self::Saturating { at_most: at_most.min(requests) },
            Self::PerSecond(_) => self,
        }
    }
}

/// What the client's side counted. Times in nanoseconds.
#[derive(Debug)]
pub struct Tally {
    /// Requests that were answered whole, with as many events as were asked for.
    pub answered: u64,
    /// Requests that were not, and requests that found no connection.
    pub failed: u64,
    /// The first failure in words.
    pub failure: Option<String>,
    /// Events of all answers.
    pub events: u64,
    /// From the moment a request should have been sent to the end of its answer.
    pub whole: Histogram<u64>,
    /// From the moment a request should have been sent to the first piece of its answer's body.
    pub first: Histogram<u64>,
    /// Between two pieces of an answer's body.
    pub gaps: Histogram<u64>,
    /// From the first request to the end of the last answer.
    pub elapsed: Duration,
}

impl Tally {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(100, 60_000_000_000, 3).context("the bounds are wrong");
        Ok(Self {
            answered: 0,
            failed: 0,
            failure: None,
            events: 0,
            whole: histogram()?,
            first: histogram()?,
            gaps: histogram()?,
            elapsed: Duration::ZERO,
        })
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.failure.get_or_insert(why);
    }
}

/// Kept connections to one address.
pub struct Pool {
    at: SocketAddr,
    connections: Vec<Connection>,
}

impl Pool {
    /// Where its connections lead.
    pub(crate) const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Opens so many connections.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub async fn open(at: SocketAddr, count: usize) -> Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(at).await?);
        }
        Ok(Self { at, connections })
    }

    /// Sends requests for so long, waits for the answers that are still due, and tells what was seen.
    ///
    /// # Errors
    /// When the load itself cannot be made. What goes wrong with a request is counted instead.
    pub async fn run(&mut self, template: &Arc<Template>, load: Load, length: Duration) -> Result<Tally> {
        let tally = Arc::new(Mutex::new(Tally::new()?));
        let started = Instant::now();
        let mut clients = JoinSet::new();
        let mut queues = Vec::new();
        let sent = Arc::new(AtomicU64::new(0));
        for connection in self.connections.drain(..) {
            let client = Client { connection, template: Arc::clone(template), tally: Arc::clone(&tally) };
            match load {
                Load::Saturating { at_most } => {
                    let sent = Arc::clone(&sent);
                    clients.spawn(async move {
                        client
                            .saturate(started + length, || sent.fetch_add(1, Ordering::Relaxed) < at_most)
                            .await
                    })
                }
                Load::PerSecond(_) => {
                    let (queue, due) = mpsc::channel(WAITING);
                    queues.push(queue);
                    clients.spawn(client.serve(due))
                }
            };
        }
        if let Load::PerSecond(rate) = load {
            let counted = Arc::clone(&tally);
            let pacer = move || pace(rate, length, &queues, &counted);
            tokio::task::spawn_blocking(pacer).await.context("the pacer broke off")?;
        }
        while let Some(connection) = clients.join_next().await {
            self.connections.extend(connection.context("a client broke off")?);
        }
        anyhow::ensure!(!self.connections.is_empty(), "no connection to {} is left", self.at);
        let mut tally = Arc::into_inner(tally)
            .context("a client still counts")?
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        tally.elapsed = started.elapsed();
        Ok(tally)
    }
}

/// Tells the connections in turn when their next request is due.
///
/// It waits in a thread of its own, because the runtime's timer knows whole milliseconds only.
fn pace(rate: f64, length: Duration, queues: &[mpsc::Sender<Instant>], tally: &Mutex<Tally>) {
    let started = Instant::now();
    for (number, queue) in queues.iter().cycle().enumerate() {
        let offset = Duration::from_secs_f64(number as f64 / rate);
        if offset >= length {
            return;
        }
        let due = started + offset;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        if queue.try_send(due).is_err() {
            lock(tally).fail("no connection was free in time".to_owned());
        }
    }
}

struct Client {
    connection: Connection,
    template: Arc<Template>,
    tally: Arc<Mutex<Tally>>,
}

impl Client {
    async fn saturate(mut self, until: Instant, may_send: impl Fn() -> bool) -> Option<Connection> {
        loop {
            let now = Instant::now();
            if now >= until || !may_send() {
                return Some(self.connection);
            }
            self.one(now).await?;
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Instant>) -> Option<Connection> {
        while let Some(due) = queue.recv().await {
            if self.one(due).await.is_none() {
                // What waits for this connection is due all the same.
                queue.close();
                while queue.recv().await.is_some() {
                    lock(&self.tally).fail("the connection it waited for was lost".to_owned());
                }
                return None;
            }
        }
        Some(self.connection)
    }

    /// One exchange; `None` when there is no connection any more.
    async fn one(&mut self, due: Instant) -> Option<()> {
        let at = self.connection.at();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let seen = match self.template.request(number, &at.to_string()) {
            Ok(request) => self.connection.exchange(request).await,
            Err(error) => Err(error.into()),
        };
        let expected = self.template.events();
        let seen = seen.and_then(|seen| {
            anyhow::ensure!(
                expected == 0 || seen.events == expected,
                "{} events, not {expected}",
                seen.events
            );
            Ok(seen)
        });
        match seen {
            Ok(seen) => {
                let mut tally = lock(&self.tally);
                tally.answered += 1;
                tally.events += seen.events;
                tally.whole.saturating_record(nanoseconds(seen.last - due));
                tally.first.saturating_record(nanoseconds(seen.first - due));
                for gap in seen.gaps {
                    tally.gaps.saturating_record(nanoseconds(gap));
                }
            }
            Err(error) => {
                lock(&self.tally).fail(format!("{error:#}"));
                self.connection = Connection::open(at).await.ok()?;
            }
        }
        Some(())
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
