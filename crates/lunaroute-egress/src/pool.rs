//! HTTP/1.1 connections that wait for their next request.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::Config;
use crate::channel::Channel;
use crate::connector::Connector;
use crate::failure::Lost;

/// Longest time until a connection that the other end has closed is noticed and let go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Idle connections of all origins.
pub(crate) struct Pool {
    connector: Connector,
    most_idle: usize,
    idle_time: Duration,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// By scheme and authority; the one that was used last stands last.
    channels: HashMap<Arc<str>, VecDeque<Parked>>,
    /// Runs while there is a connection to close.
    sweeper: Option<JoinSet<()>>,
}

struct Parked {
    channel: Box<Channel>,
    since: Instant,
}

/// An answer, and the connection that it comes over.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
}

/// A connection that is in use. Dropped, it is closed; [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    pub(crate) channel: Box<Channel>,
    origin: Arc<str>,
    pool: Arc<Pool>,
}

impl Lease {
    /// Keeps the connection for the next request, when it can take one; closes it otherwise.
    pub(crate) fn give_back(self) {
        if self.channel.is_idle() {
            self.pool.park(self.origin, self.channel);
        }
    }
}

impl Pool {
    pub(crate) fn new(connector: Connector, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            connector,
            most_idle: config.pool_max_idle_per_host,
            idle_time: config.pool_idle_timeout,
            idle: Mutex::default(),
        })
    }

    /// Sends a request whose URI is absolute, over a connection that is kept or a new one.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        origin: &Arc<str>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, Lost> {
        let destination = request.uri().clone();
        loop {
            let kept = self.take(origin);
            let is_kept = kept.is_some();
            let mut channel = match kept {
                Some(channel) => channel,
                None => self.connect(destination.clone()).await?,
            };
            *request.uri_mut() = if channel.wants_absolute_form() {
                destination.clone()
            } else {
                destination.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
            };
            match channel.exchange(request).await {
                Ok(response) => {
                    let lease = Lease { channel, origin: Arc::clone(origin), pool: Arc::clone(self) };
                    return Ok(Answer { response, lease });
                }
                // The other end had closed the connection: nothing was sent, so another one may be taken. Each turn
                // uses up a kept connection.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(Lost::Exchange(error.into_error())),
                },
            }
        }
    }

    async fn connect(&self, destination: Uri) -> Result<Box<Channel>, Lost> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await.map_err(Lost::Connection)?;
        let stream = connector.call(destination).await.map_err(Lost::Connection)?;
        Ok(Box::new(Channel::over(stream).await.map_err(Lost::Exchange)?))
    }

    /// The connection of this origin that was used last, so that those beyond the need grow old.
    fn take(&self, origin: &str) -> Option<Box<Channel>> {
        let mut idle = self.idle();
        let parked = idle.channels.get_mut(origin)?.pop_back()?;
        Some(parked.channel)
    }

    fn park(self: &Arc<Self>, origin: Arc<str>, channel: Box<Channel>) {
        if self.most_idle == 0 {
            return;
        }
        let parked = Parked { channel, since: Instant::now() };
        let mut idle = self.idle();
        if idle.sweeper.is_none() {
            let mut sweeper = JoinSet::new();
            sweeper.spawn(sweep(Arc::downgrade(self), self.idle_time.min(SWEEP_INTERVAL)));
            idle.sweeper = Some(sweeper);
        }
        let channels = idle.channels.entry(origin).or_default();
        let surplus = if channels.len() == self.most_idle { channels.pop_front() } else { None };
        channels.push_back(parked);
        drop(idle);
        // Closed outside the lock.
        drop(surplus);
    }

    /// Closes what is too old and lets go of what the other end has closed. Says whether anything is left; when nothing
    /// is, the next connection that is kept starts another sweeper.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut closed = Vec::new();
        let mut idle = self.idle();
        for channels in idle.channels.values_mut() {
            let mut index = 0;
            while let Some(parked) = channels.get_mut(index) {
                if now.duration_since(parked.since) >= self.idle_time || parked.channel.has_ended() {
                    closed.extend(channels.remove(index));
                } else {
                    index += 1;
                }
            }
        }
        idle.channels.retain(|_, channels| !channels.is_empty());
        let is_any_left = !idle.channels.is_empty();
        if !is_any_left {
            idle.sweeper = None;
        }
        drop(idle);
        is_any_left
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Whatever a panic left behind is a list of connections, each of which is checked when it is taken.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps sweeping while there is a pool and something in it.
async fn sweep(pool: Weak<Pool>, interval: Duration) {
    loop {
        sleep(interval).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}
