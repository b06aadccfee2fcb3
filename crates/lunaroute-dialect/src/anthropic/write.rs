//! Writes an answer as a Messages client reads it.

use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{StopReason, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::{meant, sentence};
use crate::cross::{Asked, Block, Meaning, Said, Step, Whole, object_of, put, tag_seal};
use crate::dispatch::AnswerWriter;

/// Writes one stream of events.
pub(super) struct Writer {
    asked: Arc<Asked>,
    /// Blocks that were opened so far.
    blocks: u64,
    open: Option<Block>,
    sealed: bool,
    begun: bool,
    /// What was said in refusal.
    refusal: String,
}

/// The event by which the open block goes on. Nearly all events of an answer are such, so they are written without a tree.
#[derive(Serialize)]
struct Goes<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u64,
    delta: Delta<'a>,
}

/// A piece of a block.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are the vendor's")]
enum Delta<'a> {
    TextDelta { text: &'a str },
    ThinkingDelta { thinking: &'a str },
    InputJsonDelta { partial_json: &'a str },
    SignatureDelta { signature: &'a str },
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self { asked, blocks: 0, open: None, sealed: false, begun: false, refusal: String::new() }
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        let skeleton = match &block {
            Block::Text | Block::Refusal => json!({"type": "text", "text": ""}),
            Block::Thought => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Block::Call { id, name, .. } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": {}})
            }
        };
        let index = self.blocks;
        event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": skeleton}),
            out,
        );
        (self.open, self.sealed) = (Some(block), false);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let kind = "content_block_delta";
        event(kind, &Goes { kind, index: self.blocks, delta }, out);
    }

    fn append(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.open == Some(Block::Refusal) {
            self.refusal.push_str(text);
        }
        match &self.open {
            Some(Block::Text | Block::Refusal) => self.delta(Delta::TextDelta { text }, out),
            Some(Block::Thought) => self.delta(Delta::ThinkingDelta { thinking: text }, out),
            Some(Block::Call { is_custom: false, .. }) => {
                self.delta(Delta::InputJsonDelta { partial_json: text }, out);
            }
            // Free text has no end that can be told before it is there, but its escaped pieces can be joined.
            Some(Block::Call { is_custom: true, .. }) => {
                let quoted = Value::from(text).to_string();
                let partial_json = &quoted[1..quoted.len() - 1];
                self.delta(Delta::InputJsonDelta { partial_json }, out);
            }
            None => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Block::Thought) if !self.sealed => {
                let signature = signature(None, false, &self.asked);
                self.delta(Delta::SignatureDelta { signature: &signature }, out);
            }
            Some(Block::Call { is_custom: true, .. }) => {
                self.delta(Delta::InputJsonDelta { partial_json: "\"}" }, out);
            }
            _ => {}
        }
        event("content_block_stop", &json!({"type": "content_block_stop", "index": self.blocks}), out);
        self.blocks += 1;
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            Step::Begin { usage, .. } => {
                self.begun = true;
                let message = json!({
                    "id": format!("msg_{}", self.asked.answer_id), "type": "message", "role": "assistant",
                    "model": self.asked.model, "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": figures(&usage),
                });
                event("message_start", &json!({"type": "message_start", "message": message}), out);
            }
            Step::Open(block) => {
                let is_custom = matches!(block, Block::Call { is_custom: true, .. });
                self.open(block, out);
                if is_custom {
                    self.delta(Delta::InputJsonDelta { partial_json: "{\"input\":\"" }, out);
                }
            }
            Step::Append(text) => self.append(&text, out),
            Step::Seal(seal, is_redacted) => {
                if matches!(self.open, Some(Block::Thought)) {
                    self.sealed = true;
                    let signature = signature(Some(&seal), is_redacted, &self.asked);
                    self.delta(Delta::SignatureDelta { signature: &signature }, out);
                }
            }
            // A citation of this dialect carries an index that only its own provider can make.
            Step::Cite(_) => {}
            Step::Close => self.close(out),
            Step::Finish { reason, raw, usage } => {
                let (reason, sequence) = stop_words(reason, &raw);
                let mut delta = json!({"stop_reason": reason, "stop_sequence": sequence});
                if !self.refusal.is_empty() {
                    delta["stop_details"] = stop_details(&self.refusal);
                }
                event(
                    "message_delta",
                    &json!({"type": "message_delta", "delta": delta, "usage": figures(&usage)}),
                    out,
                );
                event("message_stop", &json!({"type": "message_stop"}), out);
            }
            Step::Fail(error) => {
                let meaning = Meaning::of(None, &error, false);
                let ((_, kind), message) = (meant(meaning), sentence(meaning, &error.message));
                event("error", &json!({"type": "error", "error": {"type": kind, "message": message}}), out);
            }
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        // A ping may only follow the beginning.
        if self.begun {
            event("ping", &json!({"type": "ping"}), out);
        } else {
            out.extend_from_slice(b": keepalive\n\n");
        }
    }
}

fn event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    put(data, out);
    out.extend_from_slice(b"\n\n");
}

/// The signature under which reasoning is known when it comes back: its maker's own for this dialect, else a tag.
fn signature(seal: Option<&Seal>, is_redacted: bool, asked: &Asked) -> String {
    match (seal, asked.maker) {
        (Some(seal), _) => tag_seal(seal, is_redacted),
        (None, Some(maker)) => {
            tag_seal(&Seal { maker, provider: None, data: String::new(), id: None }, false)
        }
        (None, None) => String::new(),
    }
}

/// `stop_reason` and `stop_sequence`.
fn stop_words(reason: StopReason, raw: &str) -> (&'static str, Option<&str>) {
    match reason {
        StopReason::EndTurn | StopReason::Other => ("end_turn", None),
        StopReason::Length => ("max_tokens", None),
        StopReason::StopSequence => ("stop_sequence", Some(raw).filter(|raw| !raw.is_empty())),
        StopReason::ToolUse => ("tool_use", None),
        StopReason::Refusal => ("refusal", None),
        StopReason::Pause => ("pause_turn", None),
    }
}

/// Why the model refused. No other dialect tells the category.
fn stop_details(refusal: &str) -> Value {
    json!({"type": "refusal", "category": null, "explanation": refusal})
}

/// The figures in this dialect's classes; a class that nobody told counts as none, as its clients expect.
fn figures(usage: &Usage) -> Value {
    let (five, hour) = (usage.cache_write_5m.unwrap_or_default(), usage.cache_write_1h.unwrap_or_default());
    let mut value = json!({
        "input_tokens": usage.input.unwrap_or_default(),
        "cache_creation_input_tokens": five.saturating_add(hour),
        "cache_read_input_tokens": usage.cache_read.unwrap_or_default(),
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
        "output_tokens": usage.output.unwrap_or_default(),
    });
    if let Some(reasoning) = usage.reasoning {
        value["output_tokens_details"] = json!({"thinking_tokens": reasoning});
    }
    value
}

/// An answer that is told at once.
pub(super) fn whole(whole: &Whole, asked: &Asked) -> Value {
    let content: Vec<Value> = whole.said.iter().map(|said| block(said, asked)).collect();
    let (reason, raw) = whole.stop.clone().unwrap_or((StopReason::EndTurn, String::new()));
    let (reason, sequence) = stop_words(reason, &raw);
    let mut message = object_of([
        ("id", format!("msg_{}", asked.answer_id).into()),
        ("type", "message".into()),
        ("role", "assistant".into()),
        ("model", asked.model.as_str().into()),
        ("content", content.into()),
        ("stop_reason", reason.into()),
        ("stop_sequence", sequence.into()),
        ("usage", figures(&whole.usage)),
    ]);
    let refused = whole.said.iter().filter(|said| said.block == Block::Refusal);
    let refusal: String = refused.map(|said| said.text.as_str()).collect();
    if !refusal.is_empty() {
        message["stop_details"] = stop_details(&refusal);
    }
    message
}

fn block(said: &Said, asked: &Asked) -> Value {
    match &said.block {
        Block::Text | Block::Refusal => json!({"type": "text", "text": said.text}),
        Block::Thought => {
            let signature = match &said.seal {
                Some((seal, is_redacted)) => signature(Some(seal), *is_redacted, asked),
                None => signature(None, false, asked),
            };
            json!({"type": "thinking", "thinking": said.text, "signature": signature})
        }
        Block::Call { id, name, is_custom, .. } => {
            let input = if *is_custom {
                json!({"input": said.text})
            } else {
                serde_json::from_str(&said.text)
                    .ok()
                    .filter(Value::is_object)
                    .unwrap_or_else(|| json!({"_raw": said.text}))
            };
            object_of([
                ("type", "tool_use".into()),
                ("id", id.as_str().into()),
                ("name", name.as_str().into()),
                ("input", input),
            ])
        }
    }
}
