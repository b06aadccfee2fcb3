//! Gemini `generateContent`.

mod answer;
mod error;
mod request;
mod stream;
mod usage;

use http::StatusCode;
use lunaroute_core::{Delta, Failure, Operation, Usage};

use crate::dispatch::{EventReader, Language};
use crate::end_watch::{CANDIDATE_FINISH, PROMPT_BLOCK, Signs};
use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;

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

    fn signs(&self) -> &'static Signs {
        &Signs { events: &[], reasons: &[CANDIDATE_FINISH, PROMPT_BLOCK], done: false }
    }

    fn request<'a>(&self, operation: Operation, outline: &Outline<'a>, conversation: &mut MessageReading<'a>) {
        request::read(operation, outline, conversation);
    }

    fn answer(&self, body: Json<'_>, deltas: &mut Vec<Delta>) {
        answer::read(body, deltas);
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
}
