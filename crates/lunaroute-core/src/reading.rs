//! What the record reads from a request, and who is asking.

use std::ops::Range;
use std::sync::Arc;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{Dialect, Operation, Usage};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions of the application (system or developer messages, system blocks, instructions).
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// Where one message stands in the (decoded) request body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSpan {
    /// Who speaks.
    pub role: Role,
    /// Byte range of the message's JSON in the decoded body.
    pub range: Range<usize>,
}

/// A tool's result that the request brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResultSpan {
    /// The id of the call that it answers.
    pub call_id: String,
    /// Whether the client says that the tool failed; `None` where the dialect cannot say.
    pub is_error: Option<bool>,
    /// Byte range of the result's JSON in the decoded body.
    pub range: Range<usize>,
}

/// What a request body says, as far as the record needs it. Everything is best effort: a body that cannot be read gives
/// the empty reading and is recorded all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestReading {
    /// The model that the client names.
    pub model: Option<String>,
    /// Whether the client asks for a stream.
    pub stream: bool,
    /// The messages in order.
    pub messages: Vec<MessageSpan>,
    /// Tool results in the messages, in order.
    pub tool_results: Vec<ToolResultSpan>,
    /// The first text of the application's instructions, cut at 64 KiB.
    pub system_text: Option<String>,
    /// The text of the first user message, cut at 64 KiB.
    pub first_user_text: Option<String>,
    /// The text of the last user message, cut at 1,000 characters.
    pub preview: Option<String>,
    /// Why the body could not be read, when it could not.
    pub problem: Option<String>,
}

/// What a client says about its session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionHint {
    /// The client's family: `claude-code`, `codex`, `opencode`, `openai-sdk`, `anthropic-sdk`, `unknown` ...
    pub client: String,
    /// The client's own id of the session; `None` when it gives none and the fingerprint decides.
    pub external_id: Option<String>,
    /// Where the id was found, such as `header:x-claude-code-session-id`; empty when there is none.
    pub source: String,
}

/// What a request's path says where its body is silent: Gemini names the model there, and asks for a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The model that the client names.
    pub model: String,
    /// Whether the client asks for a stream.
    pub stream: bool,
}

/// What stands in a path for itself. A slash does: hosts exist whose names have one (`org/model`).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'@')
    .remove(b':');

impl Addressed {
    /// A model's name as a path spells it: what a path cannot hold is written as percent signs and digits.
    #[must_use]
    pub fn in_path(model: &str) -> PercentEncode<'_> {
        utf8_percent_encode(model, KEPT)
    }
}

/// What is known of a call before any of its body is understood.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The caller's dialect.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// The request's headers as they arrived.
    pub headers: Arc<HeaderMap>,
    /// What the path says of the request; `None` in dialects whose bodies say it.
    pub addressed: Option<Arc<Addressed>>,
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Arc<HeaderMap>,
}

impl ResponseHead {
    /// Whether the body is a stream of server-sent events.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
            |value| {
                value
                    .trim_start()
                    .get(..17)
                    .is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"))
            },
        )
    }
}

/// Figures that a whole answer gives at once.
impl From<Usage> for crate::Delta {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}
