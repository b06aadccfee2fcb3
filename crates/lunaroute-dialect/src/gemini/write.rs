//! Writes an answer as a client of `generateContent` reads it.

use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{StopReason, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::{meant, retry_info};
use super::grounding::Grounding;
use super::seal::signature_of;
use crate::cross::{Asked, Block, Meaning, Said, Step, Whole, object_of, put};
use crate::dispatch::AnswerWriter;

/// Writes one stream of events. A call is held until it is whole: this dialect has no pieces of one.
pub(super) struct Writer {
    asked: Arc<Asked>,
    open: Option<Block>,
    /// What the open call asks for so far.
    arguments: String,
    /// The signature of reasoning that waits for the part that follows.
    signature: Option<String>,
    grounding: Grounding,
}

/// A chunk of one part. Nearly all of an answer is such, so they are written without a tree.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    candidates: [Candidate; 1],
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Serialize)]
struct Candidate {
    content: Content,
    index: u64,
}

#[derive(Serialize)]
struct Content {
    parts: [Value; 1],
    role: &'static str,
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        let grounding = Grounding::default();
        Self { asked, open: None, arguments: String::new(), signature: None, grounding }
    }

    /// Writes a chunk of one part.
    fn say(&mut self, mut part: Value, out: &mut Vec<u8>) {
        if part.get("thought").is_none()
            && let Some(signature) = self.signature.take()
        {
            part["thoughtSignature"] = json!(signature);
        }
        let content = Content { parts: [part], role: "model" };
        let chunk = Chunk {
            candidates: [Candidate { content, index: 0 }],
            model_version: &self.asked.model,
            response_id: &self.asked.answer_id,
        };
        event(&chunk, out);
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            // There is no event of the beginning: the first chunk with something in it is one.
            Step::Begin { .. } => {}
            Step::Open(block) => {
                self.grounding.begin();
                (self.open, self.arguments) = (Some(block), String::new());
            }
            Step::Append(text) => match &self.open {
                Some(Block::Text | Block::Refusal) => {
                    self.grounding.add(&text);
                    self.say(json!({"text": text}), out);
                }
                Some(Block::Thought) => self.say(json!({"text": text, "thought": true}), out),
                Some(Block::Call { .. }) => self.arguments.push_str(&text),
                None => {}
            },
            Step::Seal(seal, is_redacted) => {
                // Of two seals in a row the first has nothing else to ride on.
                if self.signature.is_some() {
                    self.say(json!({"text": ""}), out);
                }
                self.signature = ridden(&seal, is_redacted);
            }
            Step::Cite(citation) => self.grounding.cite(&citation),
            Step::Close => {
                if let Some(Block::Call { id, name, is_custom, .. }) = self.open.take() {
                    let arguments = std::mem::take(&mut self.arguments);
                    let part = call_part((&id, &name, is_custom), &arguments);
                    self.say(part, out);
                }
            }
            Step::Finish { reason, usage, .. } => {
                let mut chunk = envelope(&self.asked);
                // Google's last chunk has a part, too: a chat of its SDK drops a turn from its history whose last chunk has
                // none, and a streamed one calls its functions without end (google-genai 3.4, `send_message_stream`).
                let part = self.signature.take().map_or_else(|| json!({"text": ""}), seal_part);
                let content = json!({"parts": [part], "role": "model"});
                let mut candidate =
                    json!({"content": content, "finishReason": stop_word(reason), "index": 0});
                if let Some(grounding) = std::mem::take(&mut self.grounding).told() {
                    candidate["groundingMetadata"] = grounding;
                }
                chunk["candidates"] = json!([candidate]);
                chunk["usageMetadata"] = figures(&usage);
                event(&chunk, out);
            }
            Step::Fail(error) => {
                let (status, word) = meant(Meaning::of(None, &error, false));
                let mut told = json!({"code": status.as_u16(), "message": error.message, "status": word});
                if let Some(wait) = error.retry_after {
                    told["details"] = json!([retry_info(wait)]);
                }
                event(&json!({"error": told}), out);
            }
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        // See the dialect's own: a comment is more than Google's SDK takes.
        out.extend_from_slice(b"\n");
    }
}

fn event(data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    put(data, out);
    out.extend_from_slice(b"\r\n\r\n");
}

fn envelope(asked: &Asked) -> Value {
    json!({"candidates": [], "modelVersion": asked.model, "responseId": asked.answer_id})
}

/// A part that says nothing but a signature.
fn seal_part(signature: String) -> Value {
    json!({"text": "", "thoughtSignature": signature})
}

/// The signature of a seal; none of an empty one, which nobody asks back.
fn ridden(seal: &Seal, is_redacted: bool) -> Option<String> {
    (!seal.data.is_empty()).then(|| signature_of(seal, is_redacted))
}

fn call_part((id, name, is_custom): (&str, &str, bool), arguments: &str) -> Value {
    let args = if is_custom {
        json!({"input": arguments})
    } else {
        let object = serde_json::from_str(arguments).ok().filter(Value::is_object);
        object.unwrap_or_else(|| json!({"_raw": arguments}))
    };
    json!({"functionCall": {"id": id, "name": name, "args": args}})
}

const fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Length => "MAX_TOKENS",
        StopReason::Refusal => "SAFETY",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Pause
        | StopReason::Other => "STOP",
    }
}

/// The figures in this dialect's classes: what was read holds what a cache gave, what was written leaves thoughts out.
fn figures(usage: &Usage) -> Value {
    let (read, written) = (usage.total_input().unwrap_or_default(), usage.output.unwrap_or_default());
    let thoughts = usage.reasoning.unwrap_or_default().min(written);
    let mut figures = json!({
        "promptTokenCount": read,
        "candidatesTokenCount": written - thoughts,
        "totalTokenCount": read.saturating_add(written),
    });
    for (name, figure) in [
        ("cachedContentTokenCount", usage.cache_read),
        ("thoughtsTokenCount", usage.reasoning.map(|_| thoughts)),
    ] {
        if let Some(figure) = figure {
            figures[name] = json!(figure);
        }
    }
    figures
}

/// An answer that is told at once.
pub(super) fn whole(whole: &Whole, asked: &Asked) -> Value {
    let (mut parts, mut signature) = (Vec::new(), None);
    let mut grounding = Grounding::default();
    for said in &whole.said {
        grounding.begin();
        if matches!(said.block, Block::Text | Block::Refusal) {
            grounding.add(&said.text);
        }
        said.citations.iter().for_each(|citation| grounding.cite(citation));
        let told = part(said);
        if let Some((seal, is_redacted)) = &said.seal {
            // Of two seals in a row the first has nothing else to ride on.
            parts.extend(signature.take().map(seal_part));
            signature = ridden(seal, *is_redacted);
        }
        let Some(mut part) = told else { continue };
        if said.block != Block::Thought
            && let Some(signature) = signature.take()
        {
            part["thoughtSignature"] = json!(signature);
        }
        parts.push(part);
    }
    parts.extend(signature.map(seal_part));
    let reason = whole.stop.as_ref().map_or(StopReason::EndTurn, |(reason, _)| *reason);
    let mut candidate = json!({"finishReason": stop_word(reason), "index": 0});
    if !parts.is_empty() {
        candidate["content"] = object_of([("parts", parts.into()), ("role", "model".into())]);
    }
    if let Some(grounding) = grounding.told() {
        candidate["groundingMetadata"] = grounding;
    }
    let mut answer = envelope(asked);
    answer["candidates"] = vec![candidate].into();
    answer["usageMetadata"] = figures(&whole.usage);
    answer
}

fn part(said: &Said) -> Option<Value> {
    match &said.block {
        Block::Text | Block::Refusal => Some(json!({"text": said.text})),
        Block::Thought if said.text.is_empty() => None,
        Block::Thought => Some(json!({"text": said.text, "thought": true})),
        Block::Call { id, name, is_custom, .. } => Some(call_part((id, name, *is_custom), &said.text)),
    }
}
