//! Schemas of tools and of answers: what each provider takes of them, and what it is asked to hold answers to.

use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent};

/// A request with one function of this schema, and whether its arguments are to be held to it.
fn with_tool(from: lunaroute_core::Dialect, schema: &Value, strict: Option<bool>) -> Value {
    let mut request = match from {
        CHAT => json!({
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        }),
        RESPONSES => {
            json!({"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": schema}]})
        }
        MESSAGES => json!({
            "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f", "input_schema": schema}],
        }),
        GEMINI => json!({
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}],
        }),
    };
    request["model"] = json!("m");
    if let Some(strict) = strict {
        let tool = &mut request["tools"][0];
        let tool = if from == CHAT { &mut tool["function"] } else { tool };
        tool["strict"] = json!(strict);
    }
    request
}

/// The first tool of a request: its schema, and whether the provider is asked to hold arguments to it.
fn told(to: lunaroute_core::Dialect, body: &Value) -> (Value, Value) {
    let tool = &body["tools"][0];
    let (tool, member) = match to {
        CHAT => (&tool["function"], "parameters"),
        RESPONSES => (tool, "parameters"),
        MESSAGES => (tool, "input_schema"),
        GEMINI => (&tool["functionDeclarations"][0], "parametersJsonSchema"),
    };
    (tool[member].clone(), tool["strict"].clone())
}

#[test]
fn parameters_say_that_they_are_an_object_and_what_is_in_it() {
    let empty = json!({"type": "object", "properties": {}});
    let city = json!({"city": {"type": "string"}});
    for (schema, expected) in [
        (json!({}), empty.clone()),
        (json!({"type": "object"}), empty.clone()),
        (json!({"type": null, "properties": null}), empty.clone()),
        (json!({"type": "object", "properties": null}), empty),
        (json!({"properties": city}), json!({"type": "object", "properties": city})),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
        ),
        (json!({"anyOf": [{"type": "object"}]}), json!({"anyOf": [{"type": "object"}]})),
    ] {
        for from in [CHAT, RESPONSES, MESSAGES, GEMINI] {
            for to in [CHAT, RESPONSES, MESSAGES].into_iter().filter(|to| *to != from) {
                let body = sent(from, to, &with_tool(from, &schema, None)).body;
                assert_eq!(told(to, &body).0, expected, "{from} to {to}: {schema}");
            }
        }
    }
    // Google takes a function without any, and refuses an object of no properties.
    let body = sent(CHAT, GEMINI, &with_tool(CHAT, &json!({"type": "object"}), None)).body;
    assert_eq!(told(GEMINI, &body).0, Value::Null);
}
