//! The assembled rooms: everything that a request may need on its walk, made once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http::{HeaderMap, Response};
use lunaroute_catalog::Catalog;
use lunaroute_core::Failure;
use lunaroute_dialect::cross::Profile;
use lunaroute_dialect::models;
use lunaroute_egress::retry::RetryPolicy;
use lunaroute_egress::{BaseUrl, Client, Credential, Timeouts, UpstreamBody};
use lunaroute_ingress::{Arrival, Budget, Gathered, Handler, Reply};
use lunaroute_observability::Metrics;
use lunaroute_routing::{Head, Plan, RetryBudget, Table};
use lunaroute_session::Recorder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::desk::Desk;
use crate::response_store::{Chain, ResponseStore, Thread};
use crate::visitor::Visitor;
use crate::walk::walk;

/// What all requests share. Nothing in it changes while the gateway runs, counters excepted.
pub(crate) struct House {
    pub(crate) ingress: lunaroute_ingress::Config,
    /// The listener's address.
    pub(crate) local: SocketAddr,
    /// The same as text, for the record.
    pub(crate) listener: Arc<str>,
    /// Absent when recording is off.
    pub(crate) recorder: Option<Recorder>,
    pub(crate) recording_required: bool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) routes: Table,
    /// Whether some caller may be translated.
    pub(crate) translates: bool,
    pub(crate) catalog: Catalog,
    /// Refuse a request when its translation would lose meaning.
    pub(crate) strict_translation: bool,
    pub(crate) upstreams: HashMap<Arc<str>, Upstream>,
    pub(crate) egress: Client,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) retry_budget: RetryBudget,
    pub(crate) streaming: StreamPolicy,
    pub(crate) limits: Limits,
    /// Whether Responses are spoken over WebSocket.
    pub(crate) websocket: bool,
    /// Answers that clients may go on from and no provider knows.
    pub(crate) responses: Arc<ResponseStore>,
    /// Model names that the configuration offers beside those of the providers.
    pub(crate) models: Vec<models::Entry>,
    /// Set when the gateway is told to stop.
    pub(crate) stopping: AtomicBool,
    /// Set when the time for open requests is over and what is left of them is cut.
    pub(crate) cutting: Arc<AtomicBool>,
}

/// A configured provider.
pub(crate) struct Upstream {
    pub(crate) base: BaseUrl,
    /// Present when the gateway has a key of its own; the client's then goes no further.
    pub(crate) credential: Option<Credential>,
    /// In what it differs from the vendor of its dialects.
    pub(crate) profile: Profile,
}

/// How streams are treated.
pub(crate) struct StreamPolicy {
    /// Silence after which a sign of life is sent; `None` sends none.
    pub(crate) keep_alive: Option<Duration>,
    /// Ask chat streams for their token figures.
    pub(crate) include_usage: bool,
    /// Where answers are read to their end when their client hangs up; `None` cuts them.
    pub(crate) remainder: Option<Remainder>,
}

/// Answers that are read to their end without a client.
#[derive(Clone)]
pub(crate) struct Remainder {
    pub(crate) tasks: TaskTracker,
    /// Ends them.
    pub(crate) cut: CancellationToken,
}

/// Limits that the listener does not know.
pub(crate) struct Limits {
    /// Bytes that a coded request body may unpack to.
    pub(crate) decoded_body: usize,
    /// Requests in flight: one for each, until its record is closed.
    pub(crate) requests: Arc<Budget>,
    /// Bytes of request bodies, and of answers that are translated whole, in memory.
    pub(crate) bodies: Arc<Budget>,
    /// How long a WebSocket may be without a request.
    pub(crate) websocket_idle: Duration,
}

/// With so many requests in flight the processors may have enough to do. A rough sign, for most of them may wait for
/// their providers, whose events then come one by one anyhow.
const BUSY: usize = 16;

impl House {
    /// The provider's answer to be told event by event; its first piece by itself while that costs others nothing.
    pub(crate) fn gather(&self, upstream: UpstreamBody, visitor: &Visitor) -> Gathered<UpstreamBody> {
        let gathered = Gathered::new(upstream);
        // A WebSocket takes each piece by itself anyhow.
        if visitor.thread.is_none() && self.limits.requests.used() < BUSY {
            gathered.prompt()
        } else {
            gathered
        }
    }

    /// The targets of a request.
    ///
    /// # Errors
    /// Why it has none, for its caller.
    pub(crate) fn plan(&self, visitor: &Visitor, desk: &Desk) -> Result<Plan, Failure> {
        let head = Head {
            dialect: visitor.dialect,
            body: desk.body_dialect(visitor),
            operation: visitor.operation,
            model: desk.model(),
        };
        Ok(self.routes.plan(&head)?)
    }

    /// The conversation up to an answer: the last one of the caller's connection, or one of the same caller's.
    pub(crate) fn earlier(&self, headers: &HeaderMap, thread: Option<&Thread>, id: &str) -> Option<Chain> {
        thread.and_then(|thread| thread.find(id)).or_else(|| {
            let caller = self.responses.caller(headers);
            self.responses.find(caller, id, Instant::now())
        })
    }

    /// Whether the configuration names models, which `GET /v1/models` then lists besides the provider's.
    pub(crate) fn offers_models(&self) -> bool {
        !self.models.is_empty()
    }
}

/// The house as a listener sees it.
pub(crate) struct Doorkeeper(pub(crate) Arc<House>);

impl Handler for Doorkeeper {
    fn handle(self: Arc<Self>, arrival: Arrival) -> impl Future<Output = Response<Reply>> + Send + 'static {
        // On the heap: a future of this size would be copied several times on its way into the connection, and each
        // idle connection would hold room for it.
        Box::pin(walk(Arc::clone(&self.0), arrival))
    }
}
