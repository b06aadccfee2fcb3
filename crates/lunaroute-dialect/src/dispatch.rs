//! The one place where a dialect is told from another.

use http::StatusCode;
use lunaroute_core::{Delta, Dialect, Failure, Operation, Usage};

use crate::anthropic::Anthropic;
use crate::end_watch::Signs;
use crate::json::Json;
use crate::openai_chat::OpenaiChat;
use crate::openai_responses::OpenaiResponses;
use crate::outline::Outline;
use crate::reading::Conversation;
use crate::sse::Event;

/// What a dialect can do: one implementation in each vendor's folder.
pub(crate) trait Language: Sync {
    /// Whether a request may carry `stream_options.include_usage`.
    fn takes_stream_options(&self) -> bool;

    /// What tells the end of a stream.
    fn signs(&self) -> &'static Signs;

    /// Reads the messages of a request.
    fn request<'a>(&self, operation: Operation, outline: &Outline<'a>, conversation: &mut Conversation<'a>);

    /// Reads a whole answer of a generation that is not an error.
    fn answer(&self, body: Json<'_>, deltas: &mut Vec<Delta>);

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
    }
}
