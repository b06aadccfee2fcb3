//! Writes an answer as a Responses client reads it.

use std::sync::Arc;

use lunaroute_core::StopReason;
use serde::Serialize;
use serde_json::{Value, json};

use super::output::{Item, Piece, Place, figures, items, response};
use crate::cross::{Asked, Block, Meaning, Step, Whole, put};
use crate::dispatch::AnswerWriter;
use crate::error::ProviderError;
use crate::openai::error::meant;

/// Writes one stream of events.
pub(super) struct Writer {
    asked: Arc<Asked>,
    sequence: u64,
    /// Items that are over, as the last event repeats them.
    output: Vec<Value>,
    /// The item that is open.
    item: Option<Item>,
    begun: bool,
}

/// The event by which the open piece goes on. Nearly all events of an answer are such, so they are written without a tree.
#[derive(Serialize)]
struct Goes<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self { asked, sequence: 0, output: Vec::new(), item: None, begun: false }
    }

    fn event(&mut self, kind: &str, mut data: Value, out: &mut Vec<u8>) {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        event(kind, &data, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.begun = true;
        let response = response(&self.asked, "in_progress", Vec::new());
        self.event("response.created", json!({"response": response}), out);
        self.event("response.in_progress", json!({"response": response}), out);
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        let goes_on = self.item.as_ref().is_some_and(|item| item.takes(&block));
        if !goes_on {
            self.close_item(true, out);
            let item = Item::new(&block, self.output.len(), &self.asked);
            let data = json!({"output_index": self.output.len(), "item": item.begun()});
            self.item = Some(item);
            self.event("response.output_item.added", data, out);
        }
        let Some(item) = &mut self.item else { return };
        if let Some(Piece { event, data }) = item.open(&block) {
            self.event(event, data, out);
        }
    }

    fn append(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(item) = &mut self.item else { return };
        if let Some(Piece { event, data }) = item.append(text) {
            self.event(event, data, out);
        }
        let Some(item) = &self.item else { return };
        let kind = item.delta_event();
        let logprobs = (kind == "response.output_text.delta").then_some([]);
        let sequence_number = self.sequence;
        event(kind, &Goes { place: item.place(), delta: text, logprobs, kind, sequence_number }, out);
        self.sequence += 1;
    }

    /// Ends a piece of the open item; the item itself goes on until another one begins.
    fn close_piece(&mut self, out: &mut Vec<u8>) {
        let Some(item) = &mut self.item else { return };
        for Piece { event, data } in item.close_piece() {
            self.event(event, data, out);
        }
    }

    /// Ends the open item; one that was cut off says so.
    fn close_item(&mut self, is_whole: bool, out: &mut Vec<u8>) {
        let Some(item) = self.item.take() else { return };
        let whole = item.ended(is_whole);
        let data = json!({"output_index": self.output.len(), "item": whole});
        self.output.push(whole);
        self.event("response.output_item.done", data, out);
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            Step::Begin { .. } => self.begin(out),
            Step::Open(block) => self.open(block, out),
            Step::Append(text) => self.append(&text, out),
            Step::Seal(seal, is_redacted) => {
                if let Some(item) = &mut self.item {
                    item.seal(&seal, is_redacted);
                }
            }
            Step::Cite(citation) => {
                if let Some(data) = self.item.as_mut().and_then(|item| item.cite(&citation)) {
                    self.event("response.output_text.annotation.added", data, out);
                }
            }
            Step::Close => self.close_piece(out),
            Step::Finish { reason, usage, .. } => {
                self.close_item(reason != StopReason::Length, out);
                let output = std::mem::take(&mut self.output);
                let (kind, mut response) = finished(&self.asked, reason, output);
                response["usage"] = figures(&usage);
                self.event(kind, json!({"response": response}), out);
            }
            Step::Fail(error) => {
                // Clients know a stream by its first event, even one that fails at once.
                if !self.begun {
                    self.begin(out);
                }
                // What was cut is not done: the item stands in the last event alone.
                self.output.extend(self.item.take().map(|item| item.ended(false)));
                let meaning = Meaning::of(None, &error, false);
                let (_, kind, code) = meant(meaning);
                let message = with_wait(meaning, &error);
                let mut response = response(&self.asked, "failed", std::mem::take(&mut self.output));
                response["error"] = json!({"code": code.unwrap_or(kind), "message": message});
                self.event("response.failed", json!({"response": response}), out);
            }
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keepalive\n\n");
    }
}

/// The sentence of an error. Codex reads from that of a rate limit how long to wait: an event has no header for it.
fn with_wait(meaning: Meaning, error: &ProviderError) -> String {
    let message = error.message.as_str();
    let Some(wait) = error.retry_after.filter(|_| meaning == Meaning::RateLimit) else {
        return message.to_owned();
    };
    if message.to_ascii_lowercase().contains("try again in") {
        return message.to_owned();
    }
    let (milliseconds, separator) = (wait.as_millis(), if message.is_empty() { "" } else { " " });
    let wait = match milliseconds % 1_000 {
        0 => format!("{}s", milliseconds / 1_000),
        _ => format!("{milliseconds}ms"),
    };
    format!("{message}{separator}Please try again in {wait}.")
}

fn event(kind: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    put(data, out);
    out.extend_from_slice(b"\n\n");
}

/// The last event's name, and the response in its last state.
fn finished(asked: &Asked, reason: StopReason, output: Vec<Value>) -> (&'static str, Value) {
    let refused_in_words = output
        .iter()
        .flat_map(|item| item["content"].as_array().into_iter().flatten())
        .any(|part| part["type"] == "refusal");
    let cut = match reason {
        StopReason::Length | StopReason::Pause => Some("max_output_tokens"),
        StopReason::Refusal if !refused_in_words => Some("content_filter"),
        _ => None,
    };
    match cut {
        Some(cut) => {
            let mut response = response(asked, "incomplete", output);
            response["incomplete_details"] = json!({"reason": cut});
            ("response.incomplete", response)
        }
        None => ("response.completed", response(asked, "completed", output)),
    }
}

/// An answer that is told at once.
pub(super) fn whole(whole: &Whole, asked: &Asked) -> Value {
    let reason = whole.stop.as_ref().map_or(StopReason::EndTurn, |(reason, _)| *reason);
    let (_, mut response) = finished(asked, reason, items(&whole.said, reason != StopReason::Length, asked));
    response["usage"] = figures(&whole.usage);
    response
}
