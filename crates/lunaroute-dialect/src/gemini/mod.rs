//! Gemini `generateContent`.

mod answer;
mod config;
mod decode;
mod encode;
mod error;
mod grammar;
mod grounding;
mod request;
mod schema;
mod seal;
mod spelling;
mod stream;
mod thinking;
mod tools;
mod turns;
mod usage;
mod write;

use std::sync::Arc;

use http::StatusCode;
use lunaroute_core::conversation::{Conversation, Rest};
use lunaroute_core::{Addressed, Delta, Failure, Operation, Usage};

use crate::cross::{Asked, Crossing, Endpoint, Leftovers, LimitHeaders, Limits, Meaning, Whole};
use crate::dispatch::{AnswerWriter, EventReader, Grammar, Language};
use crate::end_watch::{CANDIDATE_FINISH, PROMPT_BLOCK, Signs};
use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;
use crate::tagged::Ridden;

/// The dialect.
pub(crate) struct Gemini;

impl Language for Gemini {
    fn takes_stream_options(&self) -> bool {
        false
    }

    fn names_model_in_path(&self) -> bool {
        true
    }

    fn streams_arrays(&self) -> bool {
        true
    }

    fn content_name(&self) -> &'static str {
        "parts"
    }

    fn ridden_seals(&self) -> Option<&'static Ridden> {
        Some(&seal::RIDDEN)
    }

    fn signs(&self) -> &'static Signs {
        &Signs { events: &[], reasons: &[CANDIDATE_FINISH, PROMPT_BLOCK], done: false }
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
        answer::read(body, deltas)
    }

    fn figures(&self, body: Json<'_>) -> Usage {
        body.field("usageMetadata").map(usage::read).unwrap_or_default()
    }

    fn events(&self) -> Box<dyn EventReader> {
        Box::new(stream::Chunks::default())
    }

    fn error_body(&self, failure: &Failure, request_id: &str) -> (StatusCode, serde_json::Value) {
        error::body(failure, request_id)
    }

    fn error_event(&self, failure: &Failure, request_id: &str, _sequence: u64) -> String {
        format!("data: {}\n\n", error::body(failure, request_id).1)
    }

    fn keep_alive(&self, _after_start: bool) -> &'static [u8] {
        // An empty line is no event, and every reader passes over it. Google's Python SDK (3.4) takes a comment for JSON
        // and fails.
        b"\n"
    }

    fn seam(&self) -> &'static [u8] {
        b"\n\n"
    }

    fn maker(&self) -> &'static str {
        "gemini"
    }

    fn list_name(&self) -> &'static str {
        "contents"
    }

    fn tool_places(&self, conversation: &Conversation) -> Option<Vec<usize>> {
        tools::places(conversation)
    }

    fn leftovers(&self) -> &'static Leftovers {
        &decode::LEFTOVERS
    }

    fn limits(&self) -> &'static Limits {
        &Limits {
            temperature: "generationConfig.temperature",
            hottest: 2.0,
            top_p: "generationConfig.topP",
            top_k: "generationConfig.topK",
            penalties: ["generationConfig.frequencyPenalty", "generationConfig.presencePenalty"],
            candidates: "generationConfig.candidateCount",
            max_output: "generationConfig.maxOutputTokens",
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

    fn endpoint(&self, model: &str, stream: bool) -> Endpoint {
        let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        Endpoint {
            operation: Operation::GenerateContent,
            path: format!("/v1beta/models/{}:{verb}", Addressed::in_path(model)).into(),
            headers: &[],
        }
    }

    fn told_tokens(&self, tokens: u64) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "totalTokens": tokens }))
    }

    fn limit_headers(&self) -> Option<&'static LimitHeaders> {
        // Google tells limits in the details of the error alone.
        None
    }

    fn request_id_header(&self) -> &'static str {
        "x-request-id"
    }

    fn grammar(&self) -> Box<dyn Grammar> {
        Box::new(grammar::Order::default())
    }
}
