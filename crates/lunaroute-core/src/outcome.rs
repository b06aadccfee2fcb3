//! How a request ended, told once to everybody who wants to know.

use serde::{Deserialize, Serialize};

use crate::{Dialect, FailureKind, Operation, RequestId, SessionId, StopReason, Usage};

/// The one terminal state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The client got the whole answer, whatever its status was (a 4xx of the provider is a whole answer).
    Completed,
    /// The provider, or the way to it, failed before the answer was whole.
    UpstreamError,
    /// The gateway refused or failed before the provider answered.
    GatewayError,
    /// The client hung up before the answer was whole.
    Cancelled,
    /// The gateway's process ended before the request did; set when the journal is recovered.
    Interrupted,
}

impl Ending {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::UpstreamError => "upstream_error",
            Self::GatewayError => "gateway_error",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptReason {
    /// The first try.
    Primary,
    /// The same target again after a failure.
    Retry,
    /// Another target after a failure.
    Fallback,
}

impl AttemptReason {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Retry => "retry",
            Self::Fallback => "fallback",
        }
    }
}

/// How one try at one provider ended, seen from the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptOutcome {
    /// The provider's HTTP status; `None` when none came.
    pub status: Option<u16>,
    /// Microseconds from the start of the attempt to the response head or the failure.
    pub latency_us: u64,
    /// What failed, when the attempt did.
    pub failure: Option<FailureKind>,
    /// The sentence that goes with it.
    pub message: Option<String>,
    /// How long the provider asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The request.
    pub request: RequestId,
    /// The session it belongs to.
    pub session: SessionId,
    /// The caller's dialect.
    pub dialect: Dialect,
    /// What was asked.
    pub operation: Operation,
    /// The provider that answered last; `None` when none was tried.
    pub provider: Option<String>,
    /// The model that the client named.
    pub model: Option<String>,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The terminal state.
    pub ending: Ending,
    /// The HTTP status that the client got; `None` when it got none.
    pub status: Option<u16>,
    /// What failed, when something did.
    pub failure: Option<FailureKind>,
    /// Tokens.
    pub usage: Usage,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// Tool calls that the model asked for.
    pub tool_calls: u32,
    /// Attempts made.
    pub attempts: u32,
    /// Microseconds from the request's arrival to its end.
    pub total_us: u64,
    /// Microseconds from the request's arrival to the first piece of the answer.
    pub first_token_us: Option<u64>,
}
