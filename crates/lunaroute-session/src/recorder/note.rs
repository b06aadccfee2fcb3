//! What the client's path tells the pen.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Method;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Ending, Exchange, Failure, RequestId, ResponseHead, SessionHint, Timestamp,
};

use super::barrier::Barrier;
use super::opening::Opening;
use crate::event::{GapCause, TranslationWarning};

/// What is known of a request when it is accepted.
#[derive(Debug, Clone)]
pub struct RequestStart {
    /// The request.
    pub id: RequestId,
    /// When its first byte arrived.
    pub received_at: Timestamp,
    /// What is asked, in which dialect, with which headers.
    pub exchange: Exchange,
    /// What the client says about its session.
    pub hint: SessionHint,
    /// Address that the listener is bound to.
    pub listener: Arc<str>,
    /// HTTP method.
    pub method: Method,
    /// Path and query, credentials taken out.
    pub path: String,
    /// The caller's address.
    pub client_ip: Option<IpAddr>,
    /// The body as it arrived.
    pub body: Bytes,
    /// Microseconds from the arrival until now.
    pub overhead_pre_us: u64,
}

/// A request as it goes to a provider of another dialect.
#[derive(Debug, Clone)]
pub struct ProviderForm {
    /// What is asked of the provider, in which dialect, with which headers.
    pub exchange: Exchange,
    /// Path and query.
    pub path: String,
    /// The body.
    pub body: Bytes,
    /// What could not be carried over as it was.
    pub warnings: Vec<TranslationWarning>,
}

/// The start of a request on its way to the pen.
pub(crate) struct Begin {
    pub(crate) start: RequestStart,
    /// The moment that `received_at` names, on the clock that never jumps.
    pub(crate) base: Instant,
    pub(crate) opening: Arc<Opening>,
    /// Bytes of the body that are not in `start` because there was no room for them.
    pub(crate) stripped: u64,
}

/// The body of a note that there was no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stripped {
    pub(crate) bytes: u64,
    pub(crate) cause: GapCause,
}

/// What was not kept of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) blake3: blake3::Hash,
    pub(crate) cause: GapCause,
}

/// The end of a request on its way to the pen.
pub(crate) struct Close {
    pub(crate) ending: Ending,
    pub(crate) failure: Option<Failure>,
    pub(crate) lost: Option<Lost>,
}

/// One thing that happened to one request.
pub(crate) struct Note {
    pub(crate) request: RequestId,
    /// Microseconds since the request's arrival.
    pub(crate) offset_us: u64,
    /// Bytes charged to the budget; given back when the note is in the journal.
    pub(crate) charge: usize,
    /// How many things it tells of: frames that were there at once are one note, anything else is one thing.
    pub(crate) count: u32,
    /// To take it in may take long: it may be the end of a coded body that says thousands of times as much as it is long.
    pub(crate) is_heavy: bool,
    pub(crate) kind: NoteKind,
}

pub(crate) enum NoteKind {
    Begin(Box<Begin>),
    AttemptStarted { provider: String, model: Option<String>, reason: AttemptReason },
    AttemptFinished { outcome: Box<AttemptOutcome>, discarded: Bytes, stripped: Option<Stripped> },
    ProviderRequest { form: Box<ProviderForm>, stripped: Option<Stripped> },
    ProviderResponse(ResponseHead),
    ProviderFrame(Bytes),
    ResponseStarted(ResponseHead),
    Frame(Bytes),
    Close(Box<Close>),
}

/// What the queue carries.
pub(crate) enum Entry {
    Note(Note),
    /// Everything before it is to be written and durable; then the barrier is told.
    Flush(Arc<Barrier>),
}
