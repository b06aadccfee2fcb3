//! What a client is made from, and why it could not be made.

use std::path::PathBuf;
use std::time::Duration;

use crate::ProxyRules;

/// Settings of a [`Client`](crate::Client). Plain values: where they come from is the caller's matter.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest time for a name look-up, the TCP connection, a proxy's tunnel and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept for one host.
    pub pool_max_idle_per_host: usize,
    /// Idle time after which TCP probes whether the provider is still there; `None` never probes.
    pub tcp_keepalive: Option<Duration>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Certificate and key that are shown to a provider that asks for them (mutual TLS).
    pub client_identity: Option<ClientIdentity>,
    /// Which requests go through a proxy; `None` for none.
    pub proxy: Option<ProxyRules>,
    /// Whether HTTP/2 is offered to providers over TLS. The pool then holds one connection for each host, and requests
    /// beyond that connection's stream limit wait; over HTTP/1.1 none waits.
    pub http2: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(90),
            pool_max_idle_per_host: 256,
            tcp_keepalive: Some(Duration::from_secs(60)),
            extra_ca_file: None,
            client_identity: None,
            proxy: None,
            http2: false,
        }
    }
}

/// PEM files of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, followed by those that lead from it to its authority.
    pub certificate_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A PEM file cannot be read or holds something else.
    #[error("the {what} in {} cannot be read: {source}; it has to be a readable PEM file", path.display())]
    Pem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("{} holds no certificate; it has to be a PEM file with at least one", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses the certificates or the key.
    #[error(
        "TLS cannot be set up: {0}; check the certificate authorities, the client certificate and its key"
    )]
    Tls(#[from] rustls::Error),
}
