//! The order in which a Chat Completions client takes chunks.

use serde_json::Value;

use crate::dispatch::Grammar;

/// What was seen of a stream of one choice.
#[derive(Default)]
pub(super) struct Order {
    begun: bool,
    calls: u64,
    finished: bool,
    over: bool,
}

impl Grammar for Order {
    fn event(&mut self, name: Option<&str>, data: &[u8]) -> Result<(), String> {
        if let Some(name) = name {
            return Err(format!("an event named {name}; chunks have no names"));
        }
        if self.over {
            return Err("a chunk after the end".to_owned());
        }
        if data == b"[DONE]" {
            self.over = true;
            return if self.finished { Ok(()) } else { Err("[DONE] before a finish_reason".to_owned()) };
        }
        let chunk: Value =
            serde_json::from_slice(data).map_err(|error| format!("data is no JSON: {error}"))?;
        if chunk.get("error").is_some() {
            self.over = true;
            return Ok(());
        }
        let Some(choice) = chunk["choices"].get(0) else {
            return if chunk["usage"].is_object() {
                Ok(())
            } else {
                Err("a chunk without anything".to_owned())
            };
        };
        if self.finished {
            return Err("a choice after its finish_reason".to_owned());
        }
        if chunk["object"] == "text_completion" {
            self.finished = choice["finish_reason"].is_string();
            return if choice["text"].is_string() { Ok(()) } else { Err("a piece without text".to_owned()) };
        }
        if !std::mem::replace(&mut self.begun, true) && choice["delta"]["role"] != "assistant" {
            return Err("the first chunk has no role".to_owned());
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            self.call(call)?;
        }
        self.finished = choice["finish_reason"].is_string();
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        if self.over { Ok(()) } else { Err("neither [DONE] nor an error came".to_owned()) }
    }
}

impl Order {
    /// Clients join strings, so a call's id and name come once, and calls follow each other.
    fn call(&mut self, call: &Value) -> Result<(), String> {
        let index = call["index"].as_u64().ok_or("a call without its index")?;
        let begins = call.get("id").is_some();
        let named = call["function"].get("name").or(call["custom"].get("name")).is_some();
        if begins != named || begins != (index == self.calls) || index > self.calls {
            return Err(format!("fragment of call {index} after {} calls (begins: {begins})", self.calls));
        }
        if !begins && index + 1 != self.calls {
            return Err(format!("a fragment of call {index} after call {} began", self.calls - 1));
        }
        self.calls += u64::from(begins);
        Ok(())
    }
}
