//! OpenAI Chat Completions, the legacy completions that ride on them, and the paths that share its errors and figures.

mod calls;
mod completions;
mod decode;
mod encode;
mod grammar;
mod request;
mod response;
mod stream;
mod tools;
mod turns;
mod write;

use std::sync::Arc;

use http::StatusCode;
use lunaroute_core::conversation::{Conversation, Rest};
use lunaroute_core::{Delta, Failure, Operation, Usage};

use crate::cross::{Asked, Crossing, Endpoint, Leftovers, LimitHeaders, Limits, Meaning, Whole};
use crate::dispatch::{AnswerWriter, EventReader, Grammar, Language};
use crate::end_watch::{FINISH_REASON, Signs};
use crate::json::Json;
use crate::openai::{LIMIT_HEADERS, error, limits};
use crate::outline::Outline;
use crate::reading::MessageReading;

/// The dialect.
pub(crate) struct OpenaiChat;

impl Language for OpenaiChat {
    fn takes_stream_options(&self) -> bool {
        true
    }

    fn signs(&self) -> &'static Signs {
        &Signs { events: &[], reasons: &[FINISH_REASON], done: true }
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
        Box::new(stream::Chunks::default())
    }

    fn error_body(&self, failure: &Failure, _request_id: &str) -> (StatusCode, serde_json::Value) {
        // OpenAI's envelope has no place for the id: it travels in the `x-request-id` header.
        let (status, members) = error::members(failure);
        (status, serde_json::json!({ "error": members }))
    }

    fn error_event(&self, failure: &Failure, request_id: &str, _sequence: u64) -> String {
        // No `[DONE]` follows: a client must not take the answer for whole.
        format!("data: {}\n\n", self.error_body(failure, request_id).1)
    }

    fn keep_alive(&self, _after_start: bool) -> &'static [u8] {
        b": keepalive\n\n"
    }

    fn seam(&self) -> &'static [u8] {
        b"\n\n"
    }

    fn maker(&self) -> &'static str {
        "openai"
    }

    fn list_name(&self) -> &'static str {
        "messages"
    }

    fn leftovers(&self) -> &'static Leftovers {
        &decode::LEFTOVERS
    }

    fn limits(&self) -> &'static Limits {
        static LIMITS: Limits = limits("max_completion_tokens");
        &LIMITS
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
        if completions::are_asked(&asked) {
            Box::new(completions::Writer::new(asked))
        } else {
            Box::new(write::Writer::new(asked))
        }
    }

    fn whole(&self, whole: &Whole, asked: &Asked) -> serde_json::Value {
        if completions::are_asked(asked) {
            completions::whole(whole, asked)
        } else {
            write::whole(whole, asked)
        }
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
        Endpoint { operation: Operation::Chat, path: "/v1/chat/completions".into(), headers: &[] }
    }

    fn told_tokens(&self, _tokens: u64) -> Option<serde_json::Value> {
        None
    }

    fn limit_headers(&self) -> Option<&'static LimitHeaders> {
        Some(&LIMIT_HEADERS)
    }

    fn request_id_header(&self) -> &'static str {
        "x-request-id"
    }

    fn grammar(&self) -> Box<dyn Grammar> {
        Box::new(grammar::Order::default())
    }
}
