//! Reads the events of a streamed message.

use lunaroute_core::{Delta, Usage};

use super::response::{cite, explanation, seal, start, stop, usage_after};
use crate::blocks::Blocks;
use crate::dispatch::EventReader;
use crate::json::Json;
use crate::sse::Event;

/// The client tool call whose block is open. Blocks come one at a time.
struct OpenCall {
    vendor_index: u64,
    block: u32,
    /// The arguments that the block began with, told at its end when no fragment came.
    input: String,
    has_fragments: bool,
}

/// The state of one stream.
#[derive(Default)]
pub(super) struct Events {
    blocks: Blocks<u64>,
    call: Option<OpenCall>,
    usage: Usage,
    started: bool,
    ended: bool,
}

impl EventReader for Events {
    fn event(&mut self, event: Event<'_>, deltas: &mut Vec<Delta>) {
        let names = ["type", "index", "delta", "content_block", "message", "usage"];
        let Some((data, members)) = Json::object(event.data, names, None).filter(|_| !self.ended) else {
            return;
        };
        let [kind, index, delta, block, message, figures] = members;
        let index = index.and_then(Json::count).unwrap_or_default();
        // The two names are the same; hosts exist that leave the line out.
        let kind = kind.and_then(Json::text).or(event.name.map(Into::into)).unwrap_or_default();
        match kind.as_ref() {
            "message_start" if !self.started => {
                self.started = true;
                let message = message.unwrap_or(data);
                deltas.push(start(message));
                self.usage(message.field("usage"), deltas);
            }
            "content_block_start" => self.block_start(index, block, deltas),
            "content_block_delta" => self.block_delta(index, delta, deltas),
            "content_block_stop" => self.close_call(deltas),
            "message_delta" => {
                self.close_call(deltas);
                let stop_reason = delta.and_then(|delta| delta.text_of("stop_reason"));
                let details = delta.and_then(|delta| delta.field("stop_details"));
                deltas.extend(details.and_then(explanation));
                deltas.extend(stop_reason.map(|raw| stop(&raw)));
                self.usage(figures, deltas);
            }
            "message_stop" => {
                self.close_call(deltas);
                self.ended = true;
                deltas.push(Delta::End);
            }
            "error" => {
                self.ended = true;
                if let Some(error) = crate::error::read(data, true) {
                    deltas.push(error.into());
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _deltas: &mut Vec<Delta>) {
        // Only `message_stop` says that a message is whole, and an open call is told as far as it came.
    }
}

impl Events {
    fn block_start(&mut self, vendor_index: u64, block: Option<Json<'_>>, deltas: &mut Vec<Delta>) {
        self.close_call(deltas);
        let Some(block) = block else { return };
        let [kind, text, thinking, id, name, input] =
            block.fields(["type", "text", "thinking", "id", "name", "input"]);
        let word = |value: Option<Json<'_>>| value.and_then(Json::text).unwrap_or_default().into_owned();
        match kind.and_then(Json::text).as_deref() {
            Some("text") => push_text(self.blocks.number(vendor_index), word(text), deltas),
            Some("thinking") => push_reasoning(self.blocks.number(vendor_index), word(thinking), deltas),
            Some("redacted_thinking") => {
                deltas.extend(seal(self.blocks.number(vendor_index), block.field("data"), true));
            }
            Some("tool_use") => {
                let block = self.blocks.number(vendor_index);
                let input =
                    input.map_or("{}".into(), |input| String::from_utf8_lossy(input.bytes())).into_owned();
                self.call = Some(OpenCall { vendor_index, block, input, has_fragments: false });
                deltas.push(Delta::ToolCallStart { index: block, id: word(id), name: word(name) });
            }
            // What the provider runs itself (`server_tool_use` and its results) asks nothing of the client.
            _ => {}
        }
    }

    fn block_delta(&mut self, vendor_index: u64, delta: Option<Json<'_>>, deltas: &mut Vec<Delta>) {
        let Some(delta) = delta else { return };
        let [kind, text, thinking, partial, signature, citation] =
            delta.fields(["type", "text", "thinking", "partial_json", "signature", "citation"]);
        let word = |value: Option<Json<'_>>| value.and_then(Json::text).unwrap_or_default().into_owned();
        match kind.and_then(Json::text).as_deref() {
            Some("text_delta") => push_text(self.blocks.number(vendor_index), word(text), deltas),
            Some("thinking_delta") => {
                push_reasoning(self.blocks.number(vendor_index), word(thinking), deltas)
            }
            Some("input_json_delta") => {
                // A fragment without an open client call belongs to a tool that the provider runs.
                let fragment = word(partial);
                if let Some(call) = self.call.as_mut().filter(|call| call.vendor_index == vendor_index)
                    && !fragment.is_empty()
                {
                    call.has_fragments = true;
                    deltas.push(Delta::ToolCallArguments { index: call.block, fragment });
                }
            }
            Some("signature_delta") => {
                deltas.extend(seal(self.blocks.number(vendor_index), signature, false));
            }
            Some("citations_delta") => {
                let index = self.blocks.number(vendor_index);
                deltas.extend(citation.and_then(|citation| cite(index, citation)));
            }
            // Compaction is in the raw bytes.
            _ => {}
        }
    }

    /// Present figures replace earlier ones, absent ones keep them: the same rule as everywhere in the record.
    fn usage(&mut self, figures: Option<Json<'_>>, deltas: &mut Vec<Delta>) {
        let Some(figures) = figures else { return };
        let later = usage_after(figures, &self.usage);
        if !later.is_unknown() {
            self.usage.overlay(&later);
            deltas.push(Delta::Usage(later));
        }
    }

    fn close_call(&mut self, deltas: &mut Vec<Delta>) {
        if let Some(call) = self.call.take()
            && !call.has_fragments
        {
            deltas.push(Delta::ToolCallArguments { index: call.block, fragment: call.input });
        }
    }
}

fn push_text(index: u32, text: String, deltas: &mut Vec<Delta>) {
    if !text.is_empty() {
        deltas.push(Delta::Text { index, text });
    }
}

fn push_reasoning(index: u32, text: String, deltas: &mut Vec<Delta>) {
    if !text.is_empty() {
        deltas.push(Delta::Reasoning { index, text });
    }
}
