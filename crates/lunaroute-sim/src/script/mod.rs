//! What to answer, in words that a test can write down.

mod check;
mod short;

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use check::ScriptError;

/// The request header that carries a script: as JSON or in the short form of [`Script::from_str`](std::str::FromStr).
pub const SCRIPT_HEADER: &str = "x-sim-script";

/// Where the answer comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The simulated model.
    #[default]
    Model,
    /// The request's own body, byte for byte, with its content type and coding.
    Echo,
    /// The request's own body in pieces of 512 bytes, as `text/event-stream`.
    EchoStream,
    /// A [`RawResponse`](crate::RawResponse) that was registered under this name.
    Registered(String),
    /// Bytes that the script itself carries.
    Inline(InlineResponse),
}

/// A byte-exact answer inside a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InlineResponse {
    /// HTTP status.
    pub status: u16,
    /// The `content-type`.
    pub content_type: String,
    /// The body in standard Base64.
    pub body: String,
}

/// Why the simulated model stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It has said everything, or calls tools.
    #[default]
    Natural,
    /// A token limit was reached.
    Length,
    /// It refuses.
    Refusal,
}

/// An error status instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedError {
    /// HTTP status, 400 to 599; the body is what the dialect documents for it.
    pub status: u16,
    /// How many requests fail before one succeeds; without it all fail. Requests are counted together when they carry
    /// the same `idempotency-key`, else the same `x-test-id`, else the same script id, else the same body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Milliseconds told in `retry-after-ms` and, rounded up to seconds, in `retry-after`. A 429 without it tells
    /// `retry-after: 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What `x-should-retry` says, when it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_retry: Option<bool>,
}

/// Where in an answer something breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before the response head: nothing is answered at all.
    Head,
    /// After so many bytes of the body.
    Bytes(u64),
    /// After so many whole events.
    Events(u32),
}

/// How a stream goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The dialect's error event after so many events; the stream then ends without its normal end.
    ErrorEvent {
        /// Events before it.
        after: u32,
    },
    /// An event that is not JSON, after so many events; the stream then goes on.
    Malformed {
        /// Events before it.
        after: u32,
    },
    /// The connection ends.
    Cut {
        /// Where.
        after: Point,
        /// With a TCP reset; otherwise with an orderly close. An HTTP/2 stream is reset in both cases.
        reset: bool,
    },
}

/// How ready events meet the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// One by one; the HTTP library may gather some that are ready into one write.
    #[default]
    Ready,
    /// All in one piece, so in one write when the socket takes it. Delays between events have no place in it.
    OneWrite,
    /// Each is flushed before the next is handed over.
    SeparateWrites,
}

/// A content coding of the answer. Streams are flushed after each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `gzip`
    Gzip,
    /// `zstd`
    Zstd,
}

/// What to answer. The default is a text of 24 tokens without pauses.
///
/// A request chooses its script, in this order, by the header [`SCRIPT_HEADER`], by a model name `sim-<short form>`, or
/// gets the default. JSON and the short form mean the same; unknown fields and words are refused with 400.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Names the script, for counting [`ScriptedError::times`].
    pub id: Option<String>,
    /// Mixed with the provider's seed into ids and words.
    pub seed: u64,
    /// Where the answer comes from.
    pub source: Source,
    /// Length of the text in tokens (one word, one event). A lower token limit of the request wins.
    pub tokens: u32,
    /// Exactly this text instead; one token for each word.
    pub text: Option<String>,
    /// Tokens of reasoning shown before the answer.
    pub reasoning_tokens: u32,
    /// Tools called in one turn, when the request offers tools and does not forbid them.
    pub tool_calls: u32,
    /// Turns that call tools, counted since the last message of the user, before a text answers.
    pub tool_turns: u32,
    /// Why the model stops.
    pub finish: Finish,
    /// Input tokens told as read from the prompt cache, on top of those of the request.
    pub cached_tokens: u64,
    /// Input tokens told as written to the prompt cache, on top of those of the request.
    pub cache_write_tokens: u64,
    /// An error status instead of the answer.
    pub error: Option<ScriptedError>,
    /// How the answer goes wrong.
    pub fault: Option<Fault>,
    /// Milliseconds before the response head.
    pub first_byte_delay_ms: u64,
    /// Milliseconds between two events.
    pub event_delay_ms: u64,
    /// Text is streamed until the client goes.
    pub endless: bool,
    /// How ready events meet the socket.
    pub delivery: Delivery,
    /// Content coding of the answer.
    pub encoding: Option<Encoding>,
    /// The body ends where the connection does (HTTP/1.0 framing).
    pub close_delimited: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            id: None,
            seed: 0,
            source: Source::Model,
            tokens: 24,
            text: None,
            reasoning_tokens: 0,
            tool_calls: 0,
            tool_turns: 1,
            finish: Finish::Natural,
            cached_tokens: 0,
            cache_write_tokens: 0,
            error: None,
            fault: None,
            first_byte_delay_ms: 0,
            event_delay_ms: 0,
            endless: false,
            delivery: Delivery::Ready,
            encoding: None,
            close_delimited: false,
        }
    }
}

impl Script {
    /// A text of so many tokens.
    #[must_use]
    pub fn text(tokens: u32) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// So many tool calls in one turn, then text.
    #[must_use]
    pub fn tools(calls: u32) -> Self {
        Self { tool_calls: calls, ..Self::default() }
    }

    /// One tool call in each of so many turns, then text.
    #[must_use]
    pub fn agent(turns: u32) -> Self {
        Self { tool_calls: 1, tool_turns: turns, ..Self::default() }
    }

    /// An error status.
    #[must_use]
    pub fn error(status: u16) -> Self {
        let error = ScriptedError { status, times: None, retry_after_ms: None, should_retry: None };
        Self { error: Some(error), ..Self::default() }
    }

    /// An orderly close or a reset at a point of the answer.
    #[must_use]
    pub fn cut(after: Point, reset: bool) -> Self {
        Self { fault: Some(Fault::Cut { after, reset }), ..Self::default() }
    }

    /// The error event after so many events.
    #[must_use]
    pub fn error_event(after: u32) -> Self {
        Self { fault: Some(Fault::ErrorEvent { after }), ..Self::default() }
    }

    /// A registered answer.
    #[must_use]
    pub fn registered(name: impl Into<String>) -> Self {
        Self { source: Source::Registered(name.into()), ..Self::default() }
    }

    /// The value of [`SCRIPT_HEADER`] that asks for this script: JSON of what differs from the default, in ASCII.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        let usual = as_map(&Self::default());
        let changed: Map<String, Value> =
            as_map(self).into_iter().filter(|(name, value)| usual.get(name) != Some(value)).collect();
        let json = Value::Object(changed).to_string();
        let mut ascii = String::with_capacity(json.len());
        for unit in json.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() && byte != 0x7f => ascii.push(char::from(byte)),
                _ => ascii.push_str(&format!("\\u{unit:04x}")),
            }
        }
        HeaderValue::from_str(&ascii).expect("JSON escapes control characters and the rest was escaped above")
    }
}

fn as_map(script: &Script) -> Map<String, Value> {
    match serde_json::to_value(script) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
