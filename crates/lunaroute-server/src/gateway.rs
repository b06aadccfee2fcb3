//! A gateway that runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lunaroute_ingress::{DrainReport, Listener};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, StartError};
use crate::config::{Config, Environment};
use crate::house::{Doorkeeper, House, Remainder};

/// The least time that the recorder gets to write what it has, however long connections took.
const RECORDER_TIME: Duration = Duration::from_secs(5);

/// Time between the moment from which cut answers count as ours and the cut itself.
const CUT_DELAY: Duration = Duration::from_millis(100);

/// So long they may take to be cut.
const CUT_TIME: Duration = Duration::from_secs(5);

/// A gateway that runs. Dropped without [`Gateway::stop`], it ends at once; the journal then holds what was accepted.
pub struct Gateway {
    house: Arc<House>,
    shutdown: CancellationToken,
    listener: JoinSet<DrainReport>,
    drain: Duration,
}

/// What a gateway had done when it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopReport {
    /// Connections that came to their end.
    pub connections_finished: usize,
    /// Connections that were cut at the deadline.
    pub connections_cut: usize,
    /// Notes that the recorder put into the journal during its life.
    pub events_written: u64,
    /// Notes that it lost; each is counted in the record.
    pub events_lost: u64,
}

impl Gateway {
    /// Starts a gateway: records are recovered first, then it listens.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong and what to do.
    pub async fn start(config: &Config, environment: &Environment) -> Result<Self, StartError> {
        let settings = assemble::ingress(config);
        if settings.max_connections < config.limits.connections {
            tracing::warn!(
                connections = settings.max_connections,
                "fewer connections than limits.connections: the process may not open more files (ulimit -n)"
            );
        }
        let listener = Listener::bind(config.listen, settings)?;
        let house = assemble::house(config, environment, listener.local_addr())?;
        let house = Arc::new(house);
        let shutdown = CancellationToken::new();
        let drain = config.timeouts.drain.duration();
        let mut tasks = JoinSet::new();
        tracing::info!(address = %listener.local_addr(), recording = house.recorder.is_some(), "listening");
        tasks.spawn(listener.serve(
            Arc::new(Doorkeeper(Arc::clone(&house))),
            shutdown.clone(),
            drain + CUT_DELAY,
        ));
        Ok(Self { house, shutdown, listener: tasks, drain })
    }

    /// The address that it listens on, with its port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.house.local
    }

    /// Stops: nobody new comes in, open requests get the configured time to finish, and everything is written.
    pub async fn stop(mut self) -> StopReport {
        let deadline = Instant::now() + self.drain;
        self.house.stopping.store(true, Ordering::Relaxed);
        self.shutdown.cancel();
        let connections = match tokio::time::timeout(self.drain, self.listener.join_next()).await {
            Ok(ended) => ended,
            Err(_) => {
                // From here on an answer that ends early was cut by us; the listener cuts them a moment later.
                self.house.cutting.store(true, Ordering::Relaxed);
                // A connection that the disk holds up in the middle of a write cannot even be cut.
                tokio::time::timeout(CUT_DELAY + CUT_TIME, self.listener.join_next()).await.ok().flatten()
            }
        };
        let connections = connections.and_then(Result::ok).unwrap_or_default();
        let left = || deadline.saturating_duration_since(Instant::now());
        if let Some(Remainder { tasks, cut }) = &self.house.streaming.remainder {
            tasks.close();
            if tokio::time::timeout(left(), tasks.wait()).await.is_err() {
                cut.cancel();
                tasks.wait().await;
            }
        }
        let mut report = StopReport {
            connections_finished: connections.connections_finished,
            connections_cut: connections.connections_cut,
            ..StopReport::default()
        };
        if let Some(recorder) = &self.house.recorder {
            let drained = recorder.shutdown(left().max(RECORDER_TIME)).await;
            report.events_written = drained.written;
            report.events_lost = drained.lost;
        }
        report
    }
}
