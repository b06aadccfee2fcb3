//! The provider as a test or a program holds it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::serve::{Desk, accept};
use crate::{Config, Ledger, RawResponse};

/// Why a provider could not be started or told something.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The address cannot be listened on.
    #[error("the simulated provider cannot listen on {address}: {source}; choose another address or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No more raw answers fit.
    #[error(
        "{capacity} raw answers are registered, which is the limit: register under a name that is in use"
    )]
    RegistryFull {
        /// How many fit.
        capacity: usize,
    },
}

/// A running simulated provider. Dropping it ends it and every connection at once.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    desk: Arc<Desk>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Provider {
    /// Listens and answers, on the current Tokio runtime.
    ///
    /// # Errors
    /// [`ProviderError::Listen`] when the address is taken or not allowed.
    pub async fn start(config: Config) -> Result<Self, ProviderError> {
        let failed = |source| ProviderError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let connection_limit = config.connection_limit.max(1);
        let desk = Arc::new(Desk::new(config));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&desk), connection_limit, stop.clone()));
        Ok(Self { address, desk, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address:port`, without a path.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account at this moment.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.desk.book.ledger()
    }

    /// The account at the first moment at which it fulfils the condition; the caller sets the time limit. The condition
    /// is asked with the ledger locked: it must not call the provider.
    pub async fn ledger_when(&self, condition: impl FnMut(&Ledger) -> bool) -> Ledger {
        self.desk.book.when(condition).await
    }

    /// Registers bytes to answer with, in place of what the name stood for before.
    ///
    /// # Errors
    /// [`ProviderError::RegistryFull`] for a new name when 4,096 are in use.
    pub fn register(&self, name: impl Into<String>, response: RawResponse) -> Result<(), ProviderError> {
        self.desk.register(name.into(), response)
    }

    /// Forgets the ledger and the counts of scripted failures; registered answers stay. Requests that are open are
    /// not written down any more.
    pub fn reset(&self) {
        self.desk.reset();
    }

    /// Ends the provider and every connection at once, and waits until they have ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
