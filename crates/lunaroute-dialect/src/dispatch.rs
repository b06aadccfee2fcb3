//! The one place where a dialect is told from another.

use std::sync::Arc;

use http::StatusCode;
use lunaroute_core::conversation::{Conversation, ModelFacts, Rest};
use lunaroute_core::{Delta, Dialect, Failure, Operation, Usage};
use serde_json::Value;

use crate::anthropic::Anthropic;
use crate::cross::{Asked, Crossing, Endpoint, Leftovers, LimitHeaders, Limits, Meaning, Step, Whole};
use crate::end_watch::Signs;
use crate::gemini::Gemini;
use crate::json::Json;
use crate::openai_chat::OpenaiChat;
use crate::openai_responses::OpenaiResponses;
use crate::outline::Outline;
use crate::reading::MessageReading;
use crate::splice::Edit;
use crate::sse::Event;
use crate::tagged::Ridden;

/// What a dialect can do: one implementation in each vendor's folder.
pub(crate) trait Language: Sync {
    /// Whether a request may carry `stream_options.include_usage`.
    fn takes_stream_options(&self) -> bool;

    /// Whether the path names the model, so that a body does so only to say it again.
    fn names_model_in_path(&self) -> bool {
        false
    }

    /// Whether a stream may be one JSON array instead of events.
    fn streams_arrays(&self) -> bool {
        false
    }

    /// The member of a message that holds what it says.
    fn content_name(&self) -> &'static str {
        "content"
    }

    /// How seals ride on parts that say something else; `None` where a seal stands in a block of reasoning.
    fn ridden_seals(&self) -> Option<&'static Ridden> {
        None
    }

    /// What tells the end of a stream.
    fn signs(&self) -> &'static Signs;

    /// Reads the messages of a request.
    fn request<'a>(&self, operation: Operation, outline: &Outline<'a>, conversation: &mut MessageReading<'a>);

    /// Reads a whole answer of a generation that is not an error. Tells whether the body is such: hosts give their own
    /// failures the status of a success, and one that says nothing is no answer.
    fn answer(&self, body: Json<'_>, deltas: &mut Vec<Delta>) -> bool;

    /// Reads the token figures of a whole answer that is no generation.
    fn figures(&self, body: Json<'_>) -> Usage;

    /// A reader for the events of one stream.
    fn events(&self) -> Box<dyn EventReader>;

    /// The status and the JSON body with which the gateway reports a failure.
    fn error_body(&self, failure: &Failure, request_id: &str) -> (StatusCode, serde_json::Value);

    /// The event with which the gateway ends a stream that broke.
    fn error_event(&self, failure: &Failure, request_id: &str, sequence: u64) -> String;

    /// The bytes that keep a silent stream alive; `after_start` when the dialect's first event has gone out.
    fn keep_alive(&self, after_start: bool) -> &'static [u8];

    /// The bytes that close a torn event, so that another may follow.
    fn seam(&self) -> &'static [u8];

    /// Whose seals its providers make and take.
    fn maker(&self) -> &'static str;

    /// What a request calls the list of its turns.
    fn list_name(&self) -> &'static str;

    /// Where in the list of tools each one stands, for a dialect whose entries may hold several.
    fn tool_places(&self, _conversation: &Conversation) -> Option<Vec<usize>> {
        None
    }

    /// What becomes of members that have no word when a request leaves this dialect.
    fn leftovers(&self) -> &'static Leftovers;

    /// What the numbers of a request are called, and their limits.
    fn limits(&self) -> &'static Limits;

    /// Decodes a generation request.
    fn decode(&self, body: Rest) -> Result<Conversation, Failure>;

    /// Notes what the answer to a request of this dialect depends on.
    fn asks(&self, conversation: &Conversation, asked: &mut Asked);

    /// Encodes a generation request for a target, whatever dialect it was decoded from.
    fn encode(&self, conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure>;

    /// A writer of one streamed answer.
    fn writer(&self, asked: Arc<Asked>) -> Box<dyn AnswerWriter>;

    /// An answer that is told at once.
    fn whole(&self, whole: &Whole, asked: &Asked) -> Value;

    /// The status and the body with which a foreign provider's error is told.
    fn told_error(&self, meaning: Meaning, message: &str, request_id: &str) -> (StatusCode, Value);

    /// Where a generation is asked for.
    fn endpoint(&self, model: &str, stream: bool) -> Endpoint;

    /// The answer to a question for the length of a request, where the dialect has one.
    fn told_tokens(&self, tokens: u64) -> Option<Value>;

    /// The headers that tell a provider's limits, where it has such.
    fn limit_headers(&self) -> Option<&'static LimitHeaders>;

    /// What is put right in a request for a model that refuses it as it is.
    fn repairs(&self, _body: Json<'_>, _facts: &ModelFacts) -> Vec<Edit> {
        Vec::new()
    }

    /// The header in which clients look for the name of their request.
    fn request_id_header(&self) -> &'static str;

    /// A checker of this dialect's streams.
    fn grammar(&self) -> Box<dyn Grammar>;
}

/// Writes one streamed answer.
pub(crate) trait AnswerWriter: Send {
    /// Writes what a step says.
    fn write(&mut self, step: Step, out: &mut Vec<u8>);

    /// Writes a sign of life.
    fn keep_alive(&mut self, out: &mut Vec<u8>);
}

/// Checks that the events of a stream come in an order that the dialect's clients take.
pub(crate) trait Grammar: Send {
    /// Takes one event; says what is wrong with it.
    fn event(&mut self, name: Option<&str>, data: &[u8]) -> Result<(), String>;

    /// The stream is over; says what is missing.
    fn end(&self) -> Result<(), String>;
}

/// Reads one stream's events.
pub(crate) trait EventReader: Send {
    /// Takes one event.
    fn event(&mut self, event: Event<'_>, deltas: &mut Vec<Delta>);

    /// The stream is over.
    fn finish(&mut self, deltas: &mut Vec<Delta>);
}

/// The dialect's implementation.
pub(crate) fn language(dialect: Dialect) -> &'static dyn Language {
    match dialect {
        Dialect::OpenaiChat => &OpenaiChat,
        Dialect::OpenaiResponses => &OpenaiResponses,
        Dialect::Anthropic => &Anthropic,
        Dialect::Gemini => &Gemini,
    }
}
