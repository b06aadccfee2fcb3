//! A request that was let in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use lunaroute_core::{Addressed, Dialect, Exchange, Operation, RequestId, Timestamp};
use lunaroute_ingress::Share;

use crate::response_store::Thread;

/// A request whose head was checked and whose body was read.
pub(crate) struct Visitor {
    pub(crate) id: RequestId,
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// What the path says where the body is silent.
    pub(crate) addressed: Option<Arc<Addressed>>,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) body: Bytes,
    /// The memory that `body` takes.
    pub(crate) _held: Share,
    pub(crate) client_ip: IpAddr,
    /// When the head was complete.
    pub(crate) received_at: Timestamp,
    /// The same moment, for measuring.
    pub(crate) started: Instant,
    /// Present for a request over WebSocket: the connection's last answer.
    pub(crate) thread: Option<Arc<Thread>>,
}

impl Visitor {
    /// What the record's readers need to know.
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange {
            dialect: self.dialect,
            operation: self.operation,
            headers: Arc::clone(&self.headers),
            addressed: self.addressed.clone(),
        }
    }

    /// Path and query as they were sent.
    pub(crate) fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Whether the answer's pieces are to come as one JSON list instead of as events: Gemini's way unless `alt=sse` is
    /// asked for.
    pub(crate) fn wants_list(&self) -> bool {
        let events = || self.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
        self.addressed.as_ref().is_some_and(|addressed| addressed.stream) && !events()
    }

    /// Microseconds since the head was complete.
    pub(crate) fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
