//! Anthropic Messages.

mod decode;
mod encode;
mod error;
mod format;
mod grammar;
mod repair;
mod request;
mod response;
mod schema;
mod stream;
mod thinking;
mod tools;
mod turns;
mod write;

use std::sync::Arc;

use http::StatusCode;
use lunaroute_core::conversation::{Conversation, ModelFacts, Rest};
use lunaroute_core::{Delta, Failure, Operation, Usage};

use crate::cross::{Asked, Crossing, Endpoint, Leftovers, LimitHeaders, Limits, Meaning, Reset, Whole};
use crate::dispatch::{AnswerWriter, EventReader, Grammar, Language};
use crate::end_watch::Signs;
use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;
use crate::splice::Edit;

/// The version of the interface that requests are written for.
const VERSION: &str = "2023-06-01";

/// Anthropic's rate limits.
static LIMIT_HEADERS: LimitHeaders = LimitHeaders {
    requests: [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    tokens: [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
    reset: Reset::Moment,
};

/// The dialect.
pub(crate) struct Anthropic;

impl Language for Anthropic {
    fn takes_stream_options(&self) -> bool {
        false
    }

    fn signs(&self) -> &'static Signs {
        &Signs { events: &["message_stop", "error"], reasons: &[], done: false }
    }

    fn request<'a>(
        &self,
        operation: Operation,
        outline: &Outline<'a>,
        conversation: &mut MessageReading<'a>,
    ) {
        request::read(operation, outline, conversation);
    }

    fn answer(&self, body: Json<'_>, deltas: &mut Vec<Delta>) -> bool {
        response::read(body, deltas)
    }

    fn figures(&self, body: Json<'_>) -> Usage {
        body.field("usage").map(response::usage).unwrap_or_default()
    }

    fn events(&self) -> Box<dyn EventReader> {
        Box::new(stream::Events::default())
    }

    fn error_body(&self, failure: &Failure, request_id: &str) -> (StatusCode, serde_json::Value) {
        error::body(failure, request_id)
    }

    fn error_event(&self, failure: &Failure, request_id: &str, _sequence: u64) -> String {
        format!("event: error\ndata: {}\n\n", error::body(failure, request_id).1)
    }

    fn keep_alive(&self, after_start: bool) -> &'static [u8] {
        // Clients fail when the first event is not `message_start`.
        if after_start { b"event: ping\ndata: {\"type\": \"ping\"}\n\n" } else { b": keepalive\n\n" }
    }

    fn seam(&self) -> &'static [u8] {
        // The last `event:` line of an event names it, and the official SDKs pass over pings without reading their data:
        // so the torn JSON is not parsed, and the error behind it is what the application sees.
        b"\nevent: ping\n\n"
    }

    fn maker(&self) -> &'static str {
        "anthropic"
    }

    fn list_name(&self) -> &'static str {
        "messages"
    }

    fn leftovers(&self) -> &'static Leftovers {
        &decode::LEFTOVERS
    }

    fn limits(&self) -> &'static Limits {
        &Limits {
            temperature: "temperature",
            hottest: 1.0,
            top_p: "top_p",
            top_k: "top_k",
            penalties: ["frequency_penalty", "presence_penalty"],
            candidates: "n",
            max_output: "max_tokens",
        }
    }

    fn decode(&self, body: Rest) -> Result<Conversation, Failure> {
        decode::decode(body)
    }

    fn asks(&self, conversation: &Conversation, asked: &mut Asked) {
        decode::asks(conversation, asked);
    }

    fn encode(
        &self,
        conversation: Conversation,
        crossing: &mut Crossing<'_>,
    ) -> Result<serde_json::Value, Failure> {
        encode::encode(conversation, crossing)
    }

    fn writer(&self, asked: Arc<Asked>) -> Box<dyn AnswerWriter> {
        Box::new(write::Writer::new(asked))
    }

    fn whole(&self, whole: &Whole, asked: &Asked) -> serde_json::Value {
        write::whole(whole, asked)
    }

    fn told_error(
        &self,
        meaning: Meaning,
        message: &str,
        request_id: &str,
    ) -> (StatusCode, serde_json::Value) {
        error::told(meaning, message, request_id)
    }

    fn endpoint(&self, _model: &str, _stream: bool) -> Endpoint {
        Endpoint {
            operation: Operation::Messages,
            path: "/v1/messages".into(),
            headers: &[("anthropic-version", VERSION)],
        }
    }

    fn told_tokens(&self, tokens: u64) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "input_tokens": tokens }))
    }

    fn limit_headers(&self) -> Option<&'static LimitHeaders> {
        Some(&LIMIT_HEADERS)
    }

    fn repairs(&self, body: Json<'_>, facts: &ModelFacts) -> Vec<Edit> {
        repair::edits(body, facts)
    }

    fn request_id_header(&self) -> &'static str {
        "request-id"
    }

    fn grammar(&self) -> Box<dyn Grammar> {
        Box::new(grammar::Order::default())
    }
}
