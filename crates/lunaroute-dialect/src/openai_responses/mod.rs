//! OpenAI Responses.

pub(crate) mod chain;
mod decode;
mod encode;
pub(crate) mod frames;
mod grammar;
mod items;
mod output;
mod places;
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
use serde_json::json;

use crate::cross::{Asked, Crossing, Endpoint, Leftovers, LimitHeaders, Limits, Meaning, Whole};
use crate::dispatch::{AnswerWriter, EventReader, Grammar, Language};
use crate::end_watch::Signs;
use crate::json::Json;
use crate::openai::{LIMIT_HEADERS, error, limits};
use crate::outline::Outline;
use crate::reading::MessageReading;

/// The dialect.
pub(crate) struct OpenaiResponses;

impl Language for OpenaiResponses {
    fn takes_stream_options(&self) -> bool {
        false
    }

    fn signs(&self) -> &'static Signs {
        &Signs {
            events: &["response.completed", "response.incomplete", "response.failed", "error"],
            reasons: &[],
            done: false,
        }
    }

    fn request<'a>(
        &self,
        operation: Operation,
        outline: &Outline<'a>,
        conversation: &mut MessageReading<'a>,
    ) {
        if operation == Operation::Responses {
            request::read(outline, conversation);
        }
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

    fn error_body(&self, failure: &Failure, _request_id: &str) -> (StatusCode, serde_json::Value) {
        // OpenAI's envelope has no place for the id: it travels in the `x-request-id` header.
        let (status, members) = error::members(failure);
        (status, json!({ "error": members }))
    }

    fn error_event(&self, failure: &Failure, _request_id: &str, sequence: u64) -> String {
        let (kind, code) = error::words(failure);
        // The documented event is flat; the official Python SDK raises only on a member `error`. Both stand here, so that
        // no client takes the answer for whole.
        let data = json!({
            "type": "error",
            "code": code.unwrap_or(kind),
            "message": failure.message,
            "param": null,
            "sequence_number": sequence,
            "error": error::members(failure).1,
        });
        format!("event: error\ndata: {data}\n\n")
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
        "input"
    }

    fn tool_places(&self, conversation: &Conversation) -> Option<Vec<usize>> {
        tools::places(conversation)
    }

    fn leftovers(&self) -> &'static Leftovers {
        &decode::LEFTOVERS
    }

    fn limits(&self) -> &'static Limits {
        static LIMITS: Limits = limits("max_output_tokens");
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
        Endpoint { operation: Operation::Responses, path: "/v1/responses".into(), headers: &[] }
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
