//! Tools that a request offers, and how many turns have called some.

use lunaroute_core::Dialect;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Body;

/// A tool that the client would run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OfferedTool {
    pub(crate) name: String,
    /// JSON Schema of the arguments; `None` for a tool that takes free text.
    pub(crate) schema: Option<Value>,
}

/// The part of a message or item that tells what it is.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    role: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
    #[serde(default)]
    content: Value,
    /// Gemini's.
    #[serde(default)]
    parts: Value,
}

/// What one message or item is in an agent's loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Call,
    Result,
    User,
    Aside,
}

impl<'a> Body<'a> {
    /// The tools that may be called, in order; none when the request forbids calls.
    pub(crate) fn offered_tools(&self, dialect: Dialect) -> Vec<OfferedTool> {
        let none = r#"{"type":"none"}"#;
        let spaced = r#"{"type": "none"}"#;
        if self.is("tool_choice", r#""none""#)
            || self.is("tool_choice", none)
            || self.is("tool_choice", spaced)
        {
            return Vec::new();
        }
        let tools: Vec<Value> = self.get("tools").unwrap_or_default();
        if dialect == Dialect::Gemini {
            let config: Value = self.get("toolConfig").unwrap_or_default();
            if config["functionCallingConfig"]["mode"] == "NONE" {
                return Vec::new();
            }
            let declared = tools.iter().filter_map(|tool| tool["functionDeclarations"].as_array()).flatten();
            return declared.filter_map(declared_tool).collect();
        }
        tools.iter().filter_map(|tool| offered(tool, dialect)).collect()
    }

    /// Turns since the last message of the user that called tools.
    pub(crate) fn tool_turns(&self, dialect: Dialect) -> u32 {
        let list = match dialect {
            Dialect::OpenaiResponses => "input",
            Dialect::Gemini => "contents",
            Dialect::OpenaiChat | Dialect::Anthropic => "messages",
        };
        let items: Vec<&'a RawValue> = self.get(list).unwrap_or_default();
        let mut turns = 0;
        let mut later = Step::User;
        let mut any = false;
        for raw in items.into_iter().rev() {
            let step = serde_json::from_str::<Item>(raw.get()).map_or(Step::Aside, |item| item.step());
            match step {
                Step::User => break,
                Step::Call if later != Step::Call => turns += 1,
                _ => {}
            }
            any |= step == Step::Result;
            if step != Step::Aside {
                later = step;
            }
        }
        // Results without their calls: the history is at the provider, and this one keeps none. Every turn was made.
        if any && turns == 0 { u32::MAX } else { turns }
    }
}

impl Item {
    fn step(&self) -> Step {
        let holds = |kinds: &[&str]| {
            self.content.as_array().is_some_and(|blocks| {
                blocks.iter().any(|block| block["type"].as_str().is_some_and(|kind| kinds.contains(&kind)))
            })
        };
        let has = |member: &str| {
            self.parts.as_array().is_some_and(|parts| parts.iter().any(|part| part.get(member).is_some()))
        };
        match (self.kind.as_deref(), self.role.as_deref()) {
            (_, Some("model")) if has("functionCall") => Step::Call,
            (_, Some("user")) if has("functionResponse") => Step::Result,
            (Some("function_call" | "custom_tool_call"), _) => Step::Call,
            (Some("function_call_output" | "custom_tool_call_output"), _) | (_, Some("tool")) => Step::Result,
            (_, Some("user")) if holds(&["tool_result"]) => Step::Result,
            (_, Some("user")) => Step::User,
            (_, Some("assistant")) if self.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) => {
                Step::Call
            }
            (_, Some("assistant")) if holds(&["tool_use"]) => Step::Call,
            _ => Step::Aside,
        }
    }
}

/// A function as Gemini declares it: its schema is OpenAPI's or JSON Schema. Google's servers take names in camel case
/// and in snake case, and its Python SDK (3.4) sends this one so.
fn declared_tool(function: &Value) -> Option<OfferedTool> {
    let names = ["parametersJsonSchema", "parameters_json_schema", "parameters"];
    let schema = names.iter().find_map(|name| function.get(*name));
    let schema = schema.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    Some(OfferedTool { name: function["name"].as_str()?.to_owned(), schema: Some(schema) })
}

fn offered(tool: &Value, dialect: Dialect) -> Option<OfferedTool> {
    let kind = tool["type"].as_str();
    let (body, schema) = match (dialect, kind) {
        (Dialect::OpenaiChat, Some("function")) => (&tool["function"], "parameters"),
        (Dialect::OpenaiChat, Some("custom")) => (&tool["custom"], ""),
        (Dialect::OpenaiResponses, Some("function")) => (tool, "parameters"),
        (Dialect::OpenaiResponses, Some("custom")) => (tool, ""),
        (Dialect::Anthropic, None | Some("custom")) => (tool, "input_schema"),
        _ => return None,
    };
    let name = body["name"].as_str()?.to_owned();
    let schema = (!schema.is_empty()).then(|| body[schema].clone());
    Some(OfferedTool { name, schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, body: &str, turns: u32) {
        let body = Body::read(body.as_bytes()).expect("JSON");
        assert_eq!(body.tool_turns(dialect), turns);
    }

    #[test]
    fn turns_are_counted_since_the_user_spoke() {
        let chat = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{},{}]},
            {"role":"tool"},{"role":"tool"},{"role":"assistant","tool_calls":[{}]},{"role":"tool"}]}"#;
        check(Dialect::OpenaiChat, chat, 2);
        let responses = r#"{"input":[{"role":"user","content":"a"},{"type":"reasoning"},{"type":"function_call"},
            {"type":"function_call"},{"type":"function_call_output"},{"type":"function_call_output"}]}"#;
        check(Dialect::OpenaiResponses, responses, 1);
        check(Dialect::OpenaiResponses, r#"{"input":[{"type":"function_call_output"}]}"#, u32::MAX);
        check(Dialect::OpenaiResponses, r#"{"input":"hello"}"#, 0);
        let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},
            {"role":"model","parts":[{"functionCall":{}},{"functionCall":{}}]},
            {"role":"user","parts":[{"functionResponse":{}},{"functionResponse":{}}]}]}"#;
        check(Dialect::Gemini, gemini, 1);
        let anthropic = r#"{"messages":[{"role":"user","content":"a"},
            {"role":"assistant","content":[{"type":"text"},{"type":"tool_use"}]},
            {"role":"user","content":[{"type":"tool_result"}]},{"role":"user","content":"and now?"}]}"#;
        check(Dialect::Anthropic, anthropic, 0);
    }
}
