//! What happens to a request, told as events. One envelope, many kinds.
//!
//! Only [`Recording`](crate::Recording) makes events; their order is `seq`, their identity is (request, seq), so a
//! writer that sees one twice can tell.

mod body;
mod repeats;
mod shared;

use std::sync::Arc;

use lunaroute_core::{
    AttemptOutcome, AttemptReason, Delta, Dialect, Ending, FailureKind, MessageSpan, Operation, RequestId,
    SessionId, StopReason, Timestamp, ToolResultSpan, Usage,
};
use serde::{Deserialize, Serialize};

pub use self::body::Body;
pub use self::repeats::Repeats;
pub(crate) use self::repeats::{common_prefix, common_suffix};
pub(crate) use self::shared::SharedBytes;

/// One event of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionEvent {
    /// The session that the request belongs to.
    pub session: SessionId,
    /// The request.
    pub request: RequestId,
    /// Place of the event in its request, from 0 without gaps.
    pub seq: u32,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Raw bytes that go with it: the request body of [`EventKind::Started`], the response bytes of
    /// [`EventKind::StreamDelta`] and [`EventKind::ProviderDelta`], the translated request of
    /// [`EventKind::ProviderRequest`], the provider's error body of [`EventKind::AttemptFinished`], the 32 bytes of the BLAKE3
    /// hash of what an [`EventKind::Gap`] lost, where it is known; else empty.
    pub body: Body,
}

/// What happened. What is shared here is what writers keep until a request is over; a [`Filter`](crate::filter::Filter) that
/// changes it does so by [`Arc::make_mut`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A request was accepted. `body` holds the request body as it arrived.
    Started(Arc<Started>),
    /// The request's body was read; the spans speak of the body after its content coding is undone.
    Request(Arc<RequestRead>),
    /// A try at a provider begins.
    AttemptStarted(Arc<AttemptStarted>),
    /// The try has its response head or has failed. `body` may hold the start of a provider's answer that the client
    /// never saw, because another try followed.
    AttemptFinished {
        /// Number of the attempt, from 0.
        ordinal: u32,
        /// How it went.
        outcome: AttemptOutcome,
    },
    /// The head of the answer went to the client.
    ResponseStarted {
        /// HTTP status that the client gets.
        status: u16,
        /// Headers that the client gets, as a record may keep them.
        headers: Arc<[(String, String)]>,
    },
    /// A stretch of the answer: `body` holds its bytes as the client got them, `parts` what they say.
    StreamDelta {
        /// Number of frames that were joined.
        frames: u32,
        /// Microseconds from the request's arrival to the first of them.
        first_us: u64,
        /// Microseconds from the request's arrival to the last of them.
        last_us: u64,
        /// What the bytes say; neighbouring text of one block is joined.
        parts: Vec<Delta>,
    },
    /// The request as it goes to a provider of another dialect; `body` holds it. A later attempt may have another.
    ProviderRequest(Box<ProviderRequest>),
    /// The head of that provider's answer, which the client gets in its own dialect.
    ProviderResponse {
        /// The provider's HTTP status.
        status: u16,
        /// The provider's headers, as a record may keep them.
        headers: Vec<(String, String)>,
    },
    /// A stretch of the answer as that provider sent it: `body` holds its bytes. What they say is told where the client's
    /// form of them is.
    ProviderDelta {
        /// Number of frames that were joined.
        frames: u32,
    },
    /// The model asked for a tool.
    ToolCall {
        /// The provider's id of the call; `<request>-<n>` when it gave none.
        id: String,
        /// The tool's name.
        name: String,
        /// Arguments as the model wrote them.
        arguments: String,
    },
    /// The answer is over: what it said in all.
    Response(Arc<ResponseRead>),
    /// Times and sizes of the request.
    Stats(Stats),
    /// Something failed.
    Error {
        /// What kind of failure.
        error: FailureKind,
        /// The sentence for people.
        message: String,
    },
    /// Something could not be kept.
    Gap {
        /// How many frames are missing from the record (they reached the client).
        lost_frames: u64,
        /// How many bytes they had.
        lost_bytes: u64,
        /// Why.
        cause: GapCause,
    },
    /// The request is over. Exactly one per request.
    Completed {
        /// The terminal state.
        ending: Ending,
        /// HTTP status that the client got.
        status: Option<u16>,
        /// What failed, when something did.
        error: Option<FailureKind>,
        /// The sentence for people that goes with it.
        message: Option<String>,
    },
}

/// The head of an accepted request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The client's family, such as `claude-code`.
    pub client: String,
    /// The client's own id of its session, when it gives one; the key of the conversation.
    pub external_id: Option<String>,
    /// Where the session id comes from: `header:...`, `body:...` or `fingerprint`.
    pub session_source: String,
    /// The caller's dialect.
    pub dialect: Dialect,
    /// What was asked.
    pub operation: Operation,
    /// Address that the listener is bound to.
    pub listener: String,
    /// HTTP method.
    pub method: String,
    /// Path and query, credentials taken out.
    pub path: String,
    /// Headers as a record may keep them.
    pub headers: Vec<(String, String)>,
    /// The caller's address.
    pub client_ip: Option<String>,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
    /// Microseconds that the gateway worked on the request before this event.
    pub overhead_pre_us: u64,
    /// An earlier body of the session that most of this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
}

/// What a request body says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RequestRead {
    /// The model that the client named.
    pub model: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Content coding of the body, when it had one.
    pub content_encoding: Option<String>,
    /// Messages in order; empty when the body could not be read.
    pub messages: Vec<MessageSpan>,
    /// Tool results that the request brings back.
    pub tool_results: Vec<ToolResultSpan>,
    /// The last user text, cut at 1,000 characters.
    pub preview: Option<String>,
    /// Why the body could not be read, when it could not.
    pub problem: Option<String>,
}

/// A try at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// Number of the attempt, from 0.
    pub ordinal: u32,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model name that the provider gets; `None` when the request names none.
    pub model: Option<String>,
    /// Why it was made.
    pub reason: AttemptReason,
}

/// A request in the dialect of its provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderRequest {
    /// Number of the attempt, from 0.
    pub ordinal: u32,
    /// The provider's dialect.
    pub dialect: Dialect,
    /// Path and query.
    pub path: String,
    /// Headers as a record may keep them. The gateway's own credential is added later and never among them.
    pub headers: Vec<(String, String)>,
    /// Messages in the body, in order.
    pub messages: Vec<MessageSpan>,
    /// What could not be carried over as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<TranslationWarning>,
}

/// A field of the client's request that was dropped or changed on the way to the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranslationWarning {
    /// The field, such as `logit_bias` or `messages[2].content[0]`.
    pub path: String,
    /// What became of it.
    pub what: String,
    /// Whether meaning was lost.
    pub loses_meaning: bool,
}

/// What an answer said in all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ResponseRead {
    /// The provider's id of the answer.
    pub provider_response_id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The visible text, cut at 1,000 characters.
    pub text_preview: Option<String>,
    /// Token figures.
    pub usage: Usage,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// The provider's word for it.
    pub stop_raw: Option<String>,
    /// Tool calls in the answer.
    pub tool_calls: u32,
    /// Content coding of the body, when it had one.
    pub content_encoding: Option<String>,
    /// Whether the dialect's own end was seen.
    pub ended: bool,
    /// Whether the client was told token figures that are an estimate, because its provider told none. `usage` has only what
    /// the provider told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage_estimated: bool,
}

/// Times and sizes of one request. Gaps are between neighbouring frames of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// Bytes of the answer's body that the client got, those of a gap included.
    pub response_bytes: u64,
    /// BLAKE3 of what is kept of the answer's body, in hex. With a gap in the record that is not all of it.
    pub response_blake3: String,
    /// Frames of the answer.
    pub frames: u64,
    /// Microseconds from arrival to the first piece of the answer.
    pub ttft_us: Option<u64>,
    /// Median gap, microseconds.
    pub gap_p50_us: Option<u64>,
    /// 95th percentile of the gaps, microseconds.
    pub gap_p95_us: Option<u64>,
    /// 99th percentile of the gaps, microseconds.
    pub gap_p99_us: Option<u64>,
    /// Microseconds of the whole request.
    pub total_us: u64,
    /// Microseconds that the gateway worked before the first attempt began.
    pub overhead_pre_us: u64,
    /// Microseconds between the end of the answer and the end of the request.
    pub overhead_post_us: u64,
}

/// Why something is missing from the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The byte budget of queued frames was full for too long.
    QueueFull,
    /// The disk was full.
    DiskFull,
    /// The journal could not be written.
    JournalFailed,
    /// The filter failed; it fails closed.
    FilterFailed,
    /// It was longer than is kept: an answer than the longest body, anything else than one entry of the journal may be.
    TooLarge,
}

impl GapCause {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::DiskFull => "disk_full",
            Self::JournalFailed => "journal_failed",
            Self::FilterFailed => "filter_failed",
            Self::TooLarge => "too_large",
        }
    }
}
