//! The gate: one attempt at one provider, over a pool of connections.
//!
//! [`Client::attempt`] sends one request to one [`BaseUrl`] and hands back the head of the answer and its body, frame
//! by frame as it is read. It keeps four times (connection, first byte, idle gap, total), puts a configured
//! [`Credential`] in the place of the caller's, and says of every failure whose it is and what may be done.
//!
//! It never parses a body, never follows a redirect, never adds or undoes a content coding, never contacts a host other
//! than the one that is configured, never repeats a request that may have been seen by the provider (the caller decides
//! that, with [`retry`]), and never puts a credential, a query string or a body into an error or a log line.

mod base_url;
mod body;
mod channel;
mod client;
mod config;
mod connector;
mod credential;
mod failure;
mod pool;
mod proxy;
pub mod retry;
mod tls;

pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use body::UpstreamBody;
pub use client::{Client, Inbound, Outbound, Timeouts};
pub use config::{ClientIdentity, Config, ConfigError};
pub use credential::{Credential, CredentialStyle, InvalidCredential};
pub use proxy::{InvalidProxy, ProxyRules};
