//! What a listener is told.

use std::time::Duration;

/// Limits and rules of one listener. Each field has an effect; [`Config::default`] is fit for a person's own machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// The head of a connection's first request has to be complete within this time; otherwise the connection is closed.
    pub header_read_timeout: Duration,
    /// How long a connection may stay without a request before it is closed. The next head on a kept connection has to
    /// be complete within the same time, because a connection that dribbles costs no more than one that is silent.
    pub keep_alive_timeout: Duration,
    /// The largest request head in bytes, at least 8,192. HTTP/1.1 answers 431 beyond it, HTTP/2 resets the stream.
    /// It also bounds what is buffered of an HTTP/1.1 connection in either direction.
    pub header_limit_bytes: usize,
    /// Connections served at once, at least 1. Beyond it a few more are taken for a moment, so that somebody who asks how
    /// the listener is gets an answer; their requests are marked ([`Arrival::is_crowded`](crate::Arrival::is_crowded)).
    /// Further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Requests that one HTTP/2 connection may have open at once, at least 1.
    pub max_concurrent_streams: u32,
    /// The largest request body in bytes, as it travels.
    pub body_limit_bytes: usize,
    /// The whole request body has to arrive within this time.
    pub body_read_timeout: Duration,
    /// A client that takes nothing of its answer for this time is cut off. Over HTTP/2 the cut of one stream comes
    /// after one to two times as long.
    pub write_stall_timeout: Duration,
    /// Names, without port, by which the listener may be called. A listener on a loopback address always answers to
    /// `localhost`, `127.0.0.1` and `[::1]` and to no name beyond this list; one on another address answers to
    /// every name while the list is empty.
    pub allowed_hosts: Vec<String>,
    /// Web pages of other origins that may call the gateway; `None` refuses them all.
    pub cors: Option<Cors>,
}

/// Which web pages may call the gateway.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Origins such as `https://app.example`, compared without regard to case; `*` stands for any.
    pub allowed_origins: Vec<String>,
    /// How long a browser may remember the answer to its preflight, in whole seconds.
    pub max_age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            header_limit_bytes: 32 * 1024,
            max_connections: 10_000,
            max_concurrent_streams: 200,
            body_limit_bytes: 32 * 1024 * 1024,
            body_read_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(60),
            allowed_hosts: Vec::new(),
            cors: None,
        }
    }
}

impl Config {
    /// The first setting below its least value: its name, its value, the least.
    pub(crate) fn unusable(&self) -> Option<(&'static str, u128, u128)> {
        [
            ("header_read_timeout (ms)", self.header_read_timeout.as_millis(), 1),
            ("keep_alive_timeout (ms)", self.keep_alive_timeout.as_millis(), 1),
            // hyper panics below this size of its read buffer.
            ("header_limit_bytes", self.header_limit_bytes as u128, 8_192),
            ("max_connections", self.max_connections as u128, 1),
            ("max_concurrent_streams", u128::from(self.max_concurrent_streams), 1),
            ("body_limit_bytes", self.body_limit_bytes as u128, 1),
            ("body_read_timeout (ms)", self.body_read_timeout.as_millis(), 1),
            ("write_stall_timeout (ms)", self.write_stall_timeout.as_millis(), 1),
        ]
        .into_iter()
        .find(|(_, value, least)| value < least)
    }
}
