//! The order in which a client of `generateContent` takes chunks.

use serde_json::Value;

use crate::dispatch::Grammar;

/// Members of which a part has exactly one.
const KINDS: [&str; 8] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
];

/// What was seen of a stream.
#[derive(Default)]
pub(super) struct Order {
    over: bool,
}

impl Grammar for Order {
    fn event(&mut self, name: Option<&str>, data: &[u8]) -> Result<(), String> {
        let data: Value =
            serde_json::from_slice(data).map_err(|error| format!("data is no JSON: {error}"))?;
        if name.is_some() {
            return Err(format!("event {name:?} in a stream whose events have no names"));
        }
        if self.over {
            return Err(format!("{data} after the end"));
        }
        if data["error"].is_object() {
            self.over = true;
            let is_whole = data["error"]["code"].is_u64() && data["error"]["status"].is_string();
            return if is_whole { Ok(()) } else { Err(format!("{data} is no error")) };
        }
        let Some(candidates) = data["candidates"].as_array().filter(|list| !list.is_empty()) else {
            return Err(format!("{data} has no candidate"));
        };
        for candidate in candidates {
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                if KINDS.iter().filter(|kind| part.get(**kind).is_some()).count() != 1 {
                    return Err(format!("{part} is not of one kind"));
                }
                if part.get("functionCall").is_some_and(|call| !call["args"].is_object()) {
                    return Err(format!("{part} has no arguments"));
                }
            }
            self.over |= candidate["finishReason"].is_string();
            // Google's SDK takes an answer whose last chunk says nothing for none, and leaves it out of a chat's history.
            if self.over && candidate["content"]["parts"].get(0).is_none() {
                return Err("the last chunk has no part".to_owned());
            }
        }
        if self.over && !data["usageMetadata"].is_object() {
            return Err("the last chunk has no figures".to_owned());
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        if self.over { Ok(()) } else { Err("neither a finish reason nor an error came".to_owned()) }
    }
}
