//! Writes an answer as a Chat Completions client reads it.

use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Dialect, StopReason, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cross::{Asked, Block, Meaning, Said, Step, Whole, object_of, put, tag_seal};
use crate::dispatch::AnswerWriter;
use crate::openai::error::meant;

/// Writes one stream of chunks.
pub(super) struct Writer {
    asked: Arc<Asked>,
    /// The answer's id as all chunks have it.
    id: String,
    /// Calls that were opened so far.
    calls: usize,
    open: Option<Block>,
    citations: Vec<Citation>,
    /// Code points of visible text so far: citations count through all of it.
    written: u64,
    /// Where the open block's text begins.
    block_start: u64,
    /// The open block's reasoning, kept only for a client that wants it with its seal.
    thought: String,
    /// Sealed reasoning that was told so far.
    details: usize,
    /// What the next call carries back to Google.
    ridden: Option<Value>,
}

/// What a chunk is called in its `object`.
const CHUNK: &str = "chat.completion.chunk";

/// A chunk. Nearly all of an answer is such, so they are written without a tree.
#[derive(Serialize)]
struct Chunk<'a, D> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a, D>; 1],
    /// `null` in all chunks but the last, where figures were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<()>,
}

#[derive(Serialize)]
struct Choice<'a, D> {
    index: u64,
    delta: D,
    finish_reason: Option<&'a str>,
}

/// What a chunk adds to the open block.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Delta<'a> {
    Content(&'a str),
    Refusal(&'a str),
    ReasoningContent(&'a str),
    FunctionCall { arguments: &'a str },
    ToolCalls([Fragment<'a>; 1]),
}

/// More of a call.
#[derive(Serialize)]
struct Fragment<'a> {
    index: usize,
    #[serde(flatten)]
    argument: Argument<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Argument<'a> {
    Custom { input: &'a str },
    Function { arguments: &'a str },
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self {
            id: answer_id(&asked),
            asked,
            calls: 0,
            open: None,
            citations: Vec::new(),
            written: 0,
            block_start: 0,
            thought: String::new(),
            details: 0,
            ridden: None,
        }
    }

    fn chunk(&self, delta: impl Serialize, finish_reason: Option<&str>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: CHUNK,
            created: self.asked.created,
            model: &self.asked.model,
            choices: [Choice { index: 0, delta, finish_reason }],
            usage: self.asked.include_usage.then_some(()),
        };
        data(&chunk, out);
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        let is_told = self.calls == 0 || !is_legacy(&self.asked);
        if let Block::Call { id, name, is_custom, .. } = &block
            && is_told
        {
            let delta = if is_legacy(&self.asked) {
                json!({"function_call": {"name": name, "arguments": ""}})
            } else {
                let mut call = json!({"index": self.calls, "id": id});
                if *is_custom {
                    call["type"] = json!("custom");
                    call["custom"] = json!({"name": name, "input": ""});
                } else {
                    call["type"] = json!("function");
                    call["function"] = json!({"name": name, "arguments": ""});
                }
                if let Some(extra) = self.ridden.take() {
                    call["extra_content"] = extra;
                }
                json!({"tool_calls": [call]})
            };
            self.chunk(&delta, None, out);
        }
        if matches!(block, Block::Text | Block::Refusal) {
            // A call that comes later is not what it rode on.
            self.ridden = None;
        }
        self.block_start = self.written;
        self.thought.clear();
        self.open = Some(block);
    }

    fn append(&mut self, text: &str, out: &mut Vec<u8>) {
        let index = self.calls;
        let delta = match &self.open {
            Some(Block::Text) => {
                self.written += text.chars().count() as u64;
                Delta::Content(text)
            }
            Some(Block::Refusal) => Delta::Refusal(text),
            Some(Block::Thought) => {
                if wants_details(&self.asked) {
                    self.thought.push_str(text);
                }
                Delta::ReasoningContent(text)
            }
            // There is no second one in this form, and its arguments would go to the first.
            Some(Block::Call { .. }) if is_legacy(&self.asked) && self.calls > 0 => return,
            Some(Block::Call { .. }) if is_legacy(&self.asked) => Delta::FunctionCall { arguments: text },
            Some(Block::Call { is_custom: true, .. }) => {
                Delta::ToolCalls([Fragment { index, argument: Argument::Custom { input: text } }])
            }
            Some(Block::Call { .. }) => {
                Delta::ToolCalls([Fragment { index, argument: Argument::Function { arguments: text } }])
            }
            None => return,
        };
        self.chunk(delta, None, out);
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            Step::Begin { .. } => self.chunk(json!({"role": "assistant", "content": ""}), None, out),
            Step::Open(block) => self.open(block, out),
            Step::Append(text) => self.append(&text, out),
            Step::Seal(seal, is_redacted) => {
                self.ridden = extra_content(&seal, is_redacted).or(self.ridden.take());
                if wants_details(&self.asked) {
                    let detail = detail(self.details, &self.thought, &seal, is_redacted);
                    self.details += 1;
                    self.chunk(json!({"reasoning_details": [detail]}), None, out);
                }
            }
            Step::Cite(mut citation) => {
                let moved = |(from, to)| (from + self.block_start, to + self.block_start);
                citation.range = citation.range.map(moved);
                self.citations.push(citation);
            }
            Step::Close => {
                if matches!(self.open.take(), Some(Block::Call { .. })) {
                    self.calls += 1;
                }
            }
            Step::Finish { reason, usage, .. } => {
                let annotations: Vec<Value> = self.citations.iter().map(annotation).collect();
                let delta =
                    if annotations.is_empty() { json!({}) } else { json!({"annotations": annotations}) };
                self.chunk(&delta, Some(finish_word(reason, &self.asked)), out);
                if self.asked.include_usage {
                    let mut chunk = envelope(&self.asked, CHUNK);
                    chunk["choices"] = json!([]);
                    chunk["usage"] = figures(&usage);
                    data(&chunk, out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Step::Fail(error) => {
                let (_, kind, code) = meant(Meaning::of(None, &error, false));
                let error = json!({"message": error.message, "type": kind, "param": null, "code": code});
                data(&json!({"error": error}), out);
            }
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keepalive\n\n");
    }
}

fn answer_id(asked: &Asked) -> String {
    format!("chatcmpl-{}", asked.answer_id)
}

fn envelope(asked: &Asked, object: &str) -> Value {
    json!({
        "id": answer_id(asked), "object": object, "created": asked.created,
        "model": asked.model,
    })
}

pub(super) fn data(value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    put(value, out);
    out.extend_from_slice(b"\n\n");
}

/// Whether the caller reads calls in their deprecated form.
fn is_legacy(asked: &Asked) -> bool {
    asked.takes_one_call
}

/// Whether the caller carries sealed reasoning from turn to turn. The vendor's own answers have no place for it.
fn wants_details(asked: &Asked) -> bool {
    asked.echo.contains_key("reasoning_details")
}

/// Sealed reasoning in the form in which hosts of this dialect give it.
fn detail(index: usize, text: &str, seal: &Seal, is_redacted: bool) -> Value {
    let tag = tag_seal(seal, is_redacted);
    if is_redacted {
        json!({"type": "reasoning.encrypted", "index": index, "data": tag})
    } else {
        json!({"type": "reasoning.text", "index": index, "text": text, "signature": tag})
    }
}

/// Where clients of this dialect carry what Gemini needs back with a call; see Google's page on OpenAI compatibility. `None`
/// for seals of other vendors.
fn extra_content(seal: &Seal, is_redacted: bool) -> Option<Value> {
    let is_googles = seal.maker == Dialect::Gemini && !seal.data.is_empty();
    is_googles.then(|| json!({"google": {"thought_signature": tag_seal(seal, is_redacted)}}))
}

fn finish_word(reason: StopReason, asked: &Asked) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::Other => "stop",
        StopReason::Length => "length",
        StopReason::ToolUse if is_legacy(asked) => "function_call",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
    }
}

fn annotation(citation: &Citation) -> Value {
    let (from, to) = citation.range.unwrap_or_default();
    let title = citation.title.as_deref().unwrap_or_default();
    let cited = json!({"start_index": from, "end_index": to, "title": title, "url": citation.url});
    json!({"type": "url_citation", "url_citation": cited})
}

/// The figures in this dialect's classes: what was read counts as one, its parts beside it.
pub(super) fn figures(usage: &Usage) -> Value {
    let prompt = usage.total_input().unwrap_or_default();
    let output = usage.output.unwrap_or_default();
    let written = usage.total_written();
    json!({
        "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt.saturating_add(output),
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read.unwrap_or_default(), "cache_write_tokens": written,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or_default()},
    })
}

/// An answer that is told at once.
pub(super) fn whole(whole: &Whole, asked: &Asked) -> Value {
    let joined = |wanted: &Block| -> String {
        whole.said.iter().filter(|said| said.block == *wanted).map(|said| said.text.as_str()).collect()
    };
    let (text, refusal, thought) = (joined(&Block::Text), joined(&Block::Refusal), joined(&Block::Thought));
    let calls: Vec<&Said> =
        whole.said.iter().filter(|said| matches!(said.block, Block::Call { .. })).collect();
    let mut message = json!({"role": "assistant"});
    message["content"] = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    message["refusal"] = if refusal.is_empty() { Value::Null } else { refusal.into() };
    if !thought.is_empty() {
        message["reasoning_content"] = thought.into();
    }
    if wants_details(asked) {
        let sealed = whole.said.iter().filter_map(|said| Some((said, said.seal.as_ref()?)));
        let thoughts = sealed.filter(|(said, _)| said.block == Block::Thought).enumerate();
        message["reasoning_details"] =
            thoughts.map(|(index, (said, (seal, hides)))| detail(index, &said.text, seal, *hides)).collect();
    }
    let annotations = annotations(&whole.said);
    if !annotations.is_empty() {
        message["annotations"] = annotations.into();
    }
    if let Some(first) = calls.first() {
        if is_legacy(asked) {
            message["function_call"] = call(first)["function"].clone();
        } else {
            message["tool_calls"] = sealed_calls(&whole.said);
        }
    }
    let reason = whole.stop.as_ref().map_or(StopReason::EndTurn, |(reason, _)| *reason);
    let mut body = envelope(asked, "chat.completion");
    let choice = object_of([
        ("index", 0.into()),
        ("message", message),
        ("logprobs", Value::Null),
        ("finish_reason", finish_word(reason, asked).into()),
    ]);
    body["choices"] = vec![choice].into();
    body["usage"] = figures(&whole.usage);
    body
}

fn annotations(said: &[Said]) -> Vec<Value> {
    let (mut start, mut annotations) = (0, Vec::new());
    for said in said.iter().filter(|said| said.block == Block::Text) {
        for citation in &said.citations {
            let moved = |(from, to)| (from + start, to + start);
            annotations.push(annotation(&Citation { range: citation.range.map(moved), ..citation.clone() }));
        }
        start += said.text.chars().count() as u64;
    }
    annotations
}

/// The calls, each with the seal of the reasoning right before it.
fn sealed_calls(said: &[Said]) -> Value {
    let (mut calls, mut ridden) = (Vec::new(), None);
    for said in said {
        match &said.block {
            Block::Thought => {
                let extra = said.seal.as_ref().and_then(|(seal, hides)| extra_content(seal, *hides));
                ridden = extra.or(ridden);
            }
            Block::Text | Block::Refusal => ridden = None,
            Block::Call { .. } => {
                let mut call = call(said);
                if let Some(extra) = ridden.take() {
                    call["extra_content"] = extra;
                }
                calls.push(call);
            }
        }
    }
    Value::Array(calls)
}

fn call(said: &Said) -> Value {
    let Block::Call { id, name, is_custom, .. } = &said.block else { return Value::Null };
    if *is_custom {
        json!({"id": id, "type": "custom", "custom": {"name": name, "input": said.text}})
    } else {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": said.text}})
    }
}
