//! A listening socket and all that comes through it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::patiently;
use crate::connection::{self, Caller, Shared};
use crate::{Config, Handler};

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

/// Bytes of an answer that the kernel keeps for one client (it doubles this for its own account). Left to itself it takes
/// megabytes of an answer that nobody reads, before the provider is held back.
const SEND_BUFFER: u32 = 128 * 1024;

/// Connections that are taken beyond the limit, each for a moment.
const CROWDED_CONNECTIONS: usize = 32;

/// Why a listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; free the address or choose another")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A setting is too small to serve anybody.
    #[error("the listener's {setting} is {value}; it has to be at least {least}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: u128,
        /// The least value.
        least: u128,
    },
}

impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        let kind = match &error {
            BindError::Listen { source, .. } => source.kind(),
            BindError::Setting { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// How a listener's connections ended when it stopped. Connections that ended earlier are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Connections that were open at the stop and came to their end.
    pub connections_finished: usize,
    /// Connections that were still busy at the deadline and were cut.
    pub connections_cut: usize,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Listener {
    /// Listens on the address (port 0: a free one). Clients can connect from now on; they are served once
    /// [`Listener::serve`] runs. Has to be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be had or a setting cannot work.
    pub fn bind(address: SocketAddr, config: Config) -> Result<Self, BindError> {
        if let Some((setting, value, least)) = config.unusable() {
            return Err(BindError::Setting { setting, value, least });
        }
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restart must not wait until the kernel has forgotten the connections of the last run.
            socket.set_reuseaddr(true)?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = listen().map_err(|source| BindError::Listen { address, source })?;
        Ok(Self { socket, address, config })
    }

    /// The address that is listened on, with its port.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `shutdown` is cancelled. Then nobody new comes in, idle connections are closed, and busy
    /// ones get `drain` to finish before they are cut. Every task that was started has ended when this returns.
    pub async fn serve<H: Handler>(
        self,
        handler: Arc<H>,
        shutdown: CancellationToken,
        drain: Duration,
    ) -> DrainReport {
        let Self { socket, config, .. } = self;
        let most = config.max_connections.min(Semaphore::MAX_PERMITS - CROWDED_CONNECTIONS);
        let (places, room) =
            (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(most + CROWDED_CONNECTIONS)));
        let streams = TaskTracker::new();
        let shared = Arc::new(Shared { handler, config, stopping: shutdown, streams: streams.clone() });
        let mut connections = JoinSet::new();
        loop {
            let room = Arc::clone(&room);
            tokio::select! {
                biased;
                () = shared.stopping.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
                (Ok(room), (stream, peer)) = async {
                    let room = room.acquire_owned().await;
                    (room, patiently(|| socket.accept()).await)
                } => {
                    let shared = Arc::clone(&shared);
                    let place = Arc::clone(&places).try_acquire_owned().ok();
                    let caller = Caller { peer, is_crowded: place.is_none() };
                    connections.spawn(async move {
                        connection::serve(shared, stream, caller).await;
                        drop((place, room));
                    });
                }
            }
        }
        drop(socket);
        let report = finish(&mut connections, drain).await;
        streams.close();
        streams.wait().await;
        report
    }
}

/// Waits for the connections, and cuts those that are left at the end of the time.
async fn finish(connections: &mut JoinSet<()>, drain: Duration) -> DrainReport {
    let deadline = Instant::now() + drain;
    let mut report = DrainReport::default();
    while let Ok(Some(ended)) = timeout_at(deadline, connections.join_next()).await {
        note(ended);
        report.connections_finished += 1;
    }
    connections.abort_all();
    while let Some(ended) = connections.join_next().await {
        match ended {
            Err(error) if error.is_cancelled() => report.connections_cut += 1,
            ended => {
                note(ended);
                report.connections_finished += 1;
            }
        }
    }
    report
}

/// A reply's body that panics takes its connection with it: the client sees a cut answer. The default panic hook has
/// said where; nothing of the request is repeated here.
fn note(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection ended by a panic");
    }
}
