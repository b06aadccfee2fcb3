//! What the record answers: plain data, times in RFC 3339, `null` for what is unknown.

use lunaroute_core::{RequestId, SessionId, Timestamp};
use serde::{Serialize, Serializer};

use crate::event::TranslationWarning;

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn maybe_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// Tokens by class; `None` is unknown, which is not 0. The classes are those of [`lunaroute_core::Usage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TokenCounts {
    /// Read, from no cache and into none.
    pub input: Option<u64>,
    /// Read from a cache.
    pub cache_read: Option<u64>,
    /// Written to a cache of minutes.
    pub cache_write_5m: Option<u64>,
    /// Written to a cache of an hour or more.
    pub cache_write_1h: Option<u64>,
    /// Generated, reasoning included.
    pub output: Option<u64>,
    /// The reasoning in `output`.
    pub reasoning: Option<u64>,
}

/// A part of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many were asked for, after clamping.
    pub limit: u32,
    /// How many were skipped before the first.
    pub offset: u64,
    /// Whether there are more after the last.
    pub more: bool,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// The client's own id of it, when it gave one.
    pub external_id: Option<String>,
    /// The conversation it belongs to.
    pub conversation_id: Option<String>,
    /// Where its id comes from.
    pub id_source: Option<String>,
    /// The client's family.
    pub client: Option<String>,
    /// The latest dialect.
    pub dialect: Option<String>,
    /// The listener that it came to.
    pub listener: Option<String>,
    /// The latest provider.
    pub provider: Option<String>,
    /// The latest model.
    pub model: Option<String>,
    /// `running`, `awaiting_response`, `completed`, `error`, `cancelled` or `expired`.
    pub status: String,
    /// When its first request began.
    #[serde(serialize_with = "time")]
    pub started_at: Timestamp,
    /// When something last happened in it.
    #[serde(serialize_with = "time")]
    pub last_activity_at: Timestamp,
    /// When its last request ended; `None` while one runs.
    #[serde(serialize_with = "maybe_time")]
    pub completed_at: Option<Timestamp>,
    /// Whether its last request succeeded; `None` while one runs.
    pub success: Option<bool>,
    /// Why the model stopped last.
    pub finish_reason: Option<String>,
    /// What failed last, when the last request did.
    pub error: Option<String>,
    /// The caller's address.
    pub client_ip: Option<String>,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
    /// Requests.
    pub requests: u64,
    /// Requests that are over and did not succeed.
    pub failed_requests: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Tokens of all requests.
    pub tokens: TokenCounts,
    /// Milliseconds of all requests that are over.
    pub total_ms: u64,
    /// Mean time to the first piece of an answer, in microseconds, over the requests where it is known.
    pub first_token_us: Option<u64>,
}

/// A session with what is in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionRecord,
    /// Its requests in the order in which they began, each with its attempts.
    pub request_list: Vec<RequestRecord>,
    /// Its tool calls in the order in which they began.
    pub tool_call_list: Vec<ToolCallRecord>,
    /// Whether there are more requests or tool calls than are listed.
    pub more: bool,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestRecord {
    /// Its id.
    pub id: RequestId,
    /// Its session.
    pub session_id: SessionId,
    /// What was asked: `chat`, `responses`, `messages` ...
    pub kind: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// Path and query, without credentials.
    pub path: Option<String>,
    /// The caller's dialect.
    pub dialect: Option<String>,
    /// The provider that was tried last.
    pub provider: Option<String>,
    /// The model that the client named.
    pub model_requested: Option<String>,
    /// The model that answered.
    pub model_used: Option<String>,
    /// Whether a stream was asked for.
    pub is_stream: Option<bool>,
    /// `pending`, `running`, `success`, `error`, `cancelled` or `interrupted`.
    pub status: String,
    /// How it ended, in the recorder's words.
    pub ending: Option<String>,
    /// HTTP status that the client got.
    pub http_status: Option<u16>,
    /// When it arrived.
    #[serde(serialize_with = "time")]
    pub started_at: Timestamp,
    /// When it was over.
    #[serde(serialize_with = "maybe_time")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from arrival to end.
    pub total_ms: Option<u64>,
    /// Microseconds that the gateway worked before the first attempt.
    pub overhead_pre_us: Option<u64>,
    /// Microseconds that the gateway worked after the answer.
    pub overhead_post_us: Option<u64>,
    /// Milliseconds to the first piece of the answer.
    pub ttft_ms: Option<u64>,
    /// Tokens.
    pub tokens: TokenCounts,
    /// Attempts made.
    pub attempts: u64,
    /// Tool calls that the answer asked for.
    pub tool_calls: Option<u64>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// The provider's word for it.
    pub finish_reason_raw: Option<String>,
    /// What kind of failure.
    pub error_kind: Option<String>,
    /// The sentence that goes with it.
    pub error: Option<String>,
    /// The last user text, shortened.
    pub preview: Option<String>,
    /// Bytes of the request body.
    pub request_bytes: Option<u64>,
    /// Bytes of the answer's body.
    pub response_bytes: Option<u64>,
    /// BLAKE3 of the answer's body, in hex.
    pub response_blake3: Option<String>,
    /// Frames that reached the client and are not in the record.
    pub lost_frames: Option<u64>,
    /// Bytes of those frames.
    pub lost_bytes: Option<u64>,
    /// Why something is missing.
    pub gap_cause: Option<String>,
    /// The tries at providers.
    pub attempt_list: Vec<AttemptRecord>,
    /// The provider's dialect, when the request was translated to it.
    pub provider_dialect: Option<String>,
    /// What could not be carried over to the provider as it was.
    pub warnings: Vec<TranslationWarning>,
}

/// A request with what hangs on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestDetail {
    /// The request.
    #[serde(flatten)]
    pub request: RequestRecord,
    /// Why the body could not be read, when it could not.
    pub read_problem: Option<String>,
    /// The request's headers, as a record may keep them.
    pub request_headers: Vec<(String, String)>,
    /// The answer's headers.
    pub response_headers: Vec<(String, String)>,
    /// Content coding of the request body.
    pub request_encoding: Option<String>,
    /// Content coding of the answer's body.
    pub response_encoding: Option<String>,
    /// The provider's id of the answer.
    pub provider_response_id: Option<String>,
    /// The beginning of the answer's text.
    pub text_preview: Option<String>,
    /// The messages in order.
    pub messages: Vec<MessageRecord>,
    /// The tool calls that the answer asked for.
    pub tool_call_list: Vec<ToolCallRecord>,
    /// Figures of the stream.
    pub stream_figures: Option<StreamFigures>,
    /// A sample of the answer's pieces.
    pub stream: Vec<StreamPiece>,
    /// What failed on the way.
    pub errors: Vec<ErrorRecord>,
    /// The heads of the provider's form of a translated request.
    pub provider_form: Option<ProviderFormRecord>,
}

/// The heads of a translated request and its answer as the provider got and sent them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderFormRecord {
    /// Path and query.
    pub path: String,
    /// The request's headers, as a record may keep them.
    pub request_headers: Vec<(String, String)>,
    /// The answer's HTTP status; `None` when none came.
    pub status: Option<u16>,
    /// The answer's headers.
    pub response_headers: Vec<(String, String)>,
}

/// A message of a request, by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageRecord {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// BLAKE3 of the message's JSON, in hex.
    pub blake3: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// One try at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptRecord {
    /// Its number, from 0.
    pub ordinal: u32,
    /// The provider.
    pub provider: Option<String>,
    /// The model name that the provider got.
    pub model: Option<String>,
    /// `primary`, `retry` or `fallback`.
    pub reason: Option<String>,
    /// The provider's HTTP status.
    pub status_code: Option<u16>,
    /// When it began.
    #[serde(serialize_with = "maybe_time")]
    pub started_at: Option<Timestamp>,
    /// When its head came or it failed.
    #[serde(serialize_with = "maybe_time")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds between both.
    pub latency_ms: Option<u64>,
    /// What kind of failure.
    pub error_kind: Option<String>,
    /// The sentence that goes with it.
    pub error: Option<String>,
    /// How long the provider asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// One tool use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolCallRecord {
    /// The provider's id.
    pub id: String,
    /// The request whose answer asked for it; `None` when only its result was seen.
    pub request_id: Option<RequestId>,
    /// The tool.
    pub name: Option<String>,
    /// When it was asked for.
    #[serde(serialize_with = "maybe_time")]
    pub started_at: Option<Timestamp>,
    /// When its result came back.
    #[serde(serialize_with = "maybe_time")]
    pub completed_at: Option<Timestamp>,
    /// `running`, `completed` or `error`.
    pub status: String,
    /// Whether the tool succeeded; `None` when the dialect cannot say or no result came yet.
    pub success: Option<bool>,
    /// Milliseconds from ask to result.
    pub duration_ms: Option<u64>,
    /// BLAKE3 of the arguments, in hex.
    pub arguments_blake3: Option<String>,
    /// BLAKE3 of the result, in hex.
    pub result_blake3: Option<String>,
    /// The request that brought the result.
    pub result_request_id: Option<RequestId>,
}

/// How an answer flowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamFigures {
    /// Microseconds to the first piece.
    pub ttft_us: Option<u64>,
    /// Frames.
    pub chunks: u64,
    /// Median gap between frames, microseconds.
    pub gap_p50_us: Option<u64>,
    /// 95th percentile, microseconds.
    pub gap_p95_us: Option<u64>,
    /// 99th percentile, microseconds.
    pub gap_p99_us: Option<u64>,
    /// Bytes.
    pub bytes: u64,
}

/// A sampled piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamPiece {
    /// Its number in the answer.
    pub seq: u64,
    /// Microseconds from the request's arrival.
    pub at_us: u64,
    /// `text`, `tool_call`, `metadata` or `error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub payload: serde_json::Value,
}

/// A failure on the way of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRecord {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// What kind.
    pub kind: String,
    /// The sentence for people.
    pub message: String,
}

/// What a period's requests add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Sessions with a request in the period.
    pub sessions: u64,
    /// Requests that began in the period.
    pub requests: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose client hung up.
    pub cancelled: u64,
    /// Those that the gateway's own end cut off.
    pub interrupted: u64,
    /// Those that are not over.
    pub running: u64,
    /// Tokens of all of them.
    pub tokens: TokenCounts,
    /// Tool calls that they asked for.
    pub tool_calls: u64,
}
