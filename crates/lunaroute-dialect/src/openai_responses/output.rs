//! What a written response is made of: its items, and the response object around them.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cross::{Asked, Block, Said, tag_seal};

/// An event that belongs to an item.
pub(super) struct Piece {
    pub(super) event: &'static str,
    pub(super) data: Value,
}

/// Where a piece stands.
#[derive(Serialize)]
pub(super) struct Place<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
}

/// An item as it is written.
pub(super) struct Item {
    id: String,
    place: usize,
    kind: Kind,
}

enum Kind {
    Message { parts: Vec<Value> },
    Reasoning { text: String, seal: Option<String> },
    Call { call_id: String, name: String, namespace: Option<String>, arguments: String, is_custom: bool },
}

impl Item {
    pub(super) fn new(block: &Block, place: usize, asked: &Asked) -> Self {
        let (prefix, kind) = match block {
            Block::Text | Block::Refusal => ("msg", Kind::Message { parts: Vec::new() }),
            Block::Thought => ("rs", Kind::Reasoning { text: String::new(), seal: None }),
            Block::Call { id, namespace, name, is_custom } => {
                let (call_id, name, namespace) = (id.clone(), name.clone(), namespace.clone());
                let arguments = String::new();
                let kind = Kind::Call { call_id, name, namespace, arguments, is_custom: *is_custom };
                (if *is_custom { "ctc" } else { "fc" }, kind)
            }
        };
        Self { id: format!("{prefix}_{}_{place}", asked.answer_id), place, kind }
    }

    /// Whether a block goes on in this item: neighbouring texts are parts of one message.
    pub(super) const fn takes(&self, block: &Block) -> bool {
        matches!((&self.kind, block), (Kind::Message { .. }, Block::Text | Block::Refusal))
    }

    /// The item at its beginning.
    pub(super) fn begun(&self) -> Value {
        self.told("in_progress")
    }

    /// The item when it is over; `is_whole` unless it was cut off.
    pub(super) fn ended(&self, is_whole: bool) -> Value {
        self.told(if is_whole { "completed" } else { "incomplete" })
    }

    fn told(&self, status: &str) -> Value {
        let is_over = status != "in_progress";
        match &self.kind {
            Kind::Message { parts } => json!({
                "id": self.id, "type": "message", "status": status, "role": "assistant",
                "content": if is_over { parts.clone() } else { Vec::new() },
            }),
            Kind::Reasoning { text, seal } => {
                let summary = if is_over && !text.is_empty() { json!([summary(text)]) } else { json!([]) };
                let mut item = json!({"id": self.id, "type": "reasoning", "summary": summary});
                if let Some(seal) = seal.as_ref().filter(|_| is_over) {
                    item["encrypted_content"] = json!(seal);
                }
                item
            }
            Kind::Call { call_id, name, namespace, arguments, is_custom } => {
                let (kind, argument) =
                    if *is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
                let mut item = json!({
                    "id": self.id, "type": kind, "status": status, "call_id": call_id, "name": name,
                    argument: arguments,
                });
                if let Some(namespace) = namespace {
                    item["namespace"] = json!(namespace);
                }
                item
            }
        }
    }

    /// Begins a block in the item; gives what tells it. A summary is told when it has words, a call has no pieces.
    pub(super) fn open(&mut self, block: &Block) -> Option<Piece> {
        if let Kind::Message { parts } = &mut self.kind {
            parts.push(match block {
                Block::Refusal => json!({"type": "refusal", "refusal": ""}),
                _ => json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}),
            });
            let part = parts.last().cloned();
            let mut data = self.placed();
            data["part"] = part?;
            return Some(Piece { event: "response.content_part.added", data });
        }
        None
    }

    /// Where the open piece stands.
    pub(super) fn place(&self) -> Place<'_> {
        let (content_index, summary_index) = match &self.kind {
            Kind::Message { parts } => (Some(parts.len().saturating_sub(1)), None),
            Kind::Reasoning { .. } => (None, Some(0)),
            Kind::Call { .. } => (None, None),
        };
        Place { item_id: &self.id, output_index: self.place, content_index, summary_index }
    }

    /// The same as the beginning of an event's data.
    fn placed(&self) -> Value {
        json!(self.place())
    }

    /// Adds to the open piece; gives what tells its beginning when that was not told with the item's.
    pub(super) fn append(&mut self, addition: &str) -> Option<Piece> {
        match &mut self.kind {
            Kind::Message { parts } => {
                let part = parts.last_mut()?;
                let member = if part["type"] == "refusal" { "refusal" } else { "text" };
                if let Value::String(text) = &mut part[member] {
                    text.push_str(addition);
                }
                None
            }
            Kind::Reasoning { text, .. } => {
                let begins = text.is_empty();
                text.push_str(addition);
                begins.then(|| {
                    let mut data = self.placed();
                    data["part"] = summary("");
                    Piece { event: "response.reasoning_summary_part.added", data }
                })
            }
            Kind::Call { arguments, .. } => {
                arguments.push_str(addition);
                None
            }
        }
    }

    /// The name of the event by which the open piece goes on.
    pub(super) fn delta_event(&self) -> &'static str {
        match &self.kind {
            Kind::Message { parts } if parts.last().is_some_and(|part| part["type"] == "refusal") => {
                "response.refusal.delta"
            }
            Kind::Message { .. } => "response.output_text.delta",
            Kind::Reasoning { .. } => "response.reasoning_summary_text.delta",
            Kind::Call { is_custom: true, .. } => "response.custom_tool_call_input.delta",
            Kind::Call { .. } => "response.function_call_arguments.delta",
        }
    }

    pub(super) fn seal(&mut self, made: &Seal, is_redacted: bool) {
        if let Kind::Reasoning { seal, .. } = &mut self.kind {
            *seal = Some(tag_seal(made, is_redacted));
        }
    }

    /// Adds a source to the open text; gives what tells it.
    pub(super) fn cite(&mut self, citation: &Citation) -> Option<Value> {
        let annotation = annotation(citation);
        let mut data = self.placed();
        let Kind::Message { parts } = &mut self.kind else { return None };
        let annotations = parts.last_mut()?.get_mut("annotations")?.as_array_mut()?;
        data["annotation_index"] = json!(annotations.len());
        data["annotation"] = annotation.clone();
        annotations.push(annotation);
        Some(data)
    }

    /// The events that end the open piece.
    pub(super) fn close_piece(&self) -> Vec<Piece> {
        let with = |name: &str, value: Value| {
            let mut data = self.placed();
            data[name] = value;
            data
        };
        match &self.kind {
            Kind::Message { parts } => {
                let Some(part) = parts.last() else { return Vec::new() };
                let text = if part["type"] == "refusal" {
                    Piece { event: "response.refusal.done", data: with("refusal", part["refusal"].clone()) }
                } else {
                    let mut data = with("text", part["text"].clone());
                    data["logprobs"] = json!([]);
                    Piece { event: "response.output_text.done", data }
                };
                vec![text, Piece { event: "response.content_part.done", data: with("part", part.clone()) }]
            }
            Kind::Reasoning { text, .. } if text.is_empty() => Vec::new(),
            Kind::Reasoning { text, .. } => vec![
                Piece { event: "response.reasoning_summary_text.done", data: with("text", json!(text)) },
                Piece { event: "response.reasoning_summary_part.done", data: with("part", summary(text)) },
            ],
            Kind::Call { arguments, is_custom: true, .. } => vec![Piece {
                event: "response.custom_tool_call_input.done",
                data: with("input", json!(arguments)),
            }],
            Kind::Call { arguments, name, .. } => {
                let mut data = with("arguments", json!(arguments));
                data["name"] = json!(name);
                vec![Piece { event: "response.function_call_arguments.done", data }]
            }
        }
    }
}

fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn annotation(citation: &Citation) -> Value {
    let (from, to) = citation.range.unwrap_or_default();
    let title = citation.title.as_deref().unwrap_or_default();
    json!({"type": "url_citation", "start_index": from, "end_index": to, "title": title, "url": citation.url})
}

/// The items of an answer that is told at once; the last one may have been cut off.
pub(super) fn items(said: &[Said], is_whole: bool, asked: &Asked) -> Vec<Value> {
    let mut items: Vec<Item> = Vec::new();
    for said in said {
        if !items.last().is_some_and(|item| item.takes(&said.block)) {
            items.push(Item::new(&said.block, items.len(), asked));
        }
        let Some(item) = items.last_mut() else { continue };
        item.open(&said.block);
        item.append(&said.text);
        if let Some((seal, is_redacted)) = &said.seal {
            item.seal(seal, *is_redacted);
        }
        for citation in &said.citations {
            item.cite(citation);
        }
    }
    let last = items.len().saturating_sub(1);
    items.iter().enumerate().map(|(place, item)| item.ended(is_whole || place < last)).collect()
}

/// A response in some state.
pub(super) fn response(asked: &Asked, status: &str, output: Vec<Value>) -> Value {
    let mut response = json!({
        "id": format!("resp_{}", asked.answer_id), "object": "response", "created_at": asked.created, "status": status,
        "error": null, "incomplete_details": null, "model": asked.model, "output": output, "usage": null,
    });
    if let Value::Object(members) = &mut response {
        for (name, value) in &asked.echo {
            members.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    response
}

/// The figures in this dialect's classes: what was read counts as one, its parts beside it.
pub(super) fn figures(usage: &Usage) -> Value {
    let input = usage.total_input().unwrap_or_default();
    let output = usage.output.unwrap_or_default();
    let written = usage.total_written();
    let mut value = json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read.unwrap_or_default(), "cache_write_tokens": written,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or_default()},
        "total_tokens": input.saturating_add(output),
    });
    if let Some(long) = usage.cache_write_1h.filter(|long| *long > 0) {
        let short = usage.cache_write_5m.unwrap_or_default();
        value["input_tokens_details"]["cache_write_tokens_details"] =
            json!({"ttl_30m_tokens": short, "ttl_12h_tokens": long});
    }
    value
}
