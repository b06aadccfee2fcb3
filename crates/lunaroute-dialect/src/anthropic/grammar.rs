//! The order in which a Messages client takes events.

use serde_json::Value;

use crate::dispatch::Grammar;

/// What was seen of a stream.
#[derive(Default)]
pub(super) struct Order {
    begun: bool,
    open: Option<u64>,
    /// The type of the open block.
    kind: String,
    blocks: u64,
    stopped: bool,
    over: bool,
}

impl Grammar for Order {
    fn event(&mut self, name: Option<&str>, data: &[u8]) -> Result<(), String> {
        let data: Value =
            serde_json::from_slice(data).map_err(|error| format!("data is no JSON: {error}"))?;
        let kind = data["type"].as_str().unwrap_or_default();
        if name != Some(kind) {
            return Err(format!("event {name:?} holds {kind}"));
        }
        if self.over {
            return Err(format!("{kind} after the end"));
        }
        let index = data["index"].as_u64();
        match kind {
            "message_start" if !self.begun => self.begun = true,
            "error" => self.over = true,
            _ if !self.begun => return Err(format!("{kind} before message_start")),
            "ping" => {}
            "content_block_start" if self.open.is_none() && index == Some(self.blocks) && !self.stopped => {
                self.open = index;
                self.kind = data["content_block"]["type"].as_str().unwrap_or_default().to_owned();
                self.blocks += 1;
            }
            "content_block_delta" if self.open.is_some() && index == self.open => {
                let delta = data["delta"]["type"].as_str().unwrap_or_default();
                if !belongs(delta, &self.kind) {
                    return Err(format!("a {delta} in a block of {}", self.kind));
                }
            }
            "content_block_stop" if self.open.is_some() && index == self.open => self.open = None,
            "message_delta" if self.open.is_none() && data["usage"].is_object() => {
                self.stopped |= data["delta"]["stop_reason"].is_string();
            }
            "message_stop" if self.stopped => self.over = true,
            _ => return Err(format!("{kind} (index {index:?}) while block {:?} is open", self.open)),
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        if self.over { Ok(()) } else { Err("neither message_stop nor error came".to_owned()) }
    }
}

/// Whether a block of this type may go on in this way.
fn belongs(delta: &str, block: &str) -> bool {
    match delta {
        "text_delta" | "citations_delta" => block == "text",
        "thinking_delta" | "signature_delta" => block == "thinking",
        "input_json_delta" => matches!(block, "tool_use" | "server_tool_use" | "mcp_tool_use"),
        _ => false,
    }
}
