//! What a provider is started with.

use std::net::{Ipv4Addr, SocketAddr};

/// How much of a request's body the ledger keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyPolicy {
    /// Its length only: the cheapest, for benchmarks.
    Length,
    /// Its length and BLAKE3 digest.
    #[default]
    Digest,
    /// Its length, its digest and the bytes themselves, up to [`Config::kept_body_bytes`] over all entries.
    Whole,
}

/// Settings of a [`Provider`](crate::Provider).
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Mixed into every id and every word that is said.
    pub seed: u64,
    /// What the ledger keeps of request bodies.
    pub bodies: BodyPolicy,
    /// Bytes of request bodies that the ledger keeps over all entries; later bodies are kept as digests.
    pub kept_body_bytes: usize,
    /// Entries that the ledger keeps at most; when it is full, the oldest sixteenth is forgotten and counted in
    /// [`Ledger::forgotten`](crate::Ledger::forgotten).
    pub ledger_capacity: usize,
    /// Largest request body in bytes, before and after decoding; a larger one is answered with 413.
    pub request_body_limit: usize,
    /// Connections served at once; further ones wait to be accepted.
    pub connection_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 0,
            bodies: BodyPolicy::Digest,
            kept_body_bytes: 256 << 20,
            ledger_capacity: 100_000,
            request_body_limit: 64 << 20,
            connection_limit: 8_192,
        }
    }
}
