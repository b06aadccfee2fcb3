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

#[test]
fn openai_is_asked_to_hold_what_it_can_and_what_was_asked_for() {
    let with = |property: Value| json!({"type": "object", "properties": {"a": property}, "required": ["a"], "additionalProperties": false});
    // Absent means strict in Responses where the schema allows it.
    for (schema, strict) in [
        (with(json!({"type": "string"})), json!(true)),
        (with(json!({"oneOf": [{"type": "string"}]})), Value::Null),
        (with(json!({})), Value::Null),
        (json!({}), Value::Null),
    ] {
        let held = sent(RESPONSES, CHAT, &with_tool(RESPONSES, &schema, None));
        assert_eq!((told(CHAT, &held.body).1, held.warnings.len()), (strict, 0), "{schema}");
    }
    let asked = sent(MESSAGES, CHAT, &with_tool(MESSAGES, &with(json!({})), Some(true)));
    assert_eq!(
        (told(CHAT, &asked.body).1, &asked.warnings[..]),
        (json!(false), &["tools[0].strict".to_owned()][..])
    );
    // Whoever says nothing of an answer's form wants it held where it always is.
    let chat = |schema: &Value| {
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "response_format": format})
    };
    let responses = |schema: &Value| json!({"model": "m", "input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}});
    let messages = |schema: &Value| {
        let format = json!({"format": {"type": "json_schema", "schema": schema}});
        json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}], "output_config": format})
    };
    let gemini = |schema: &Value| {
        let config = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": config})
    };
    let (closed, open) =
        (with(json!({"type": "string"})), json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    for (from, to, request, strict, warnings) in [
        (CHAT, RESPONSES, chat(&closed), false, 0),
        (CHAT, RESPONSES, chat(&open), false, 0),
        (RESPONSES, CHAT, responses(&closed), false, 0),
        (MESSAGES, CHAT, messages(&closed), true, 0),
        (MESSAGES, RESPONSES, messages(&open), false, 1),
        (GEMINI, RESPONSES, gemini(&closed), true, 0),
    ] {
        let sent = sent(from, to, &request);
        let format = if to == CHAT {
            &sent.body["response_format"]["json_schema"]
        } else {
            &sent.body["text"]["format"]
        };
        assert_eq!(
            (&format["strict"], sent.warnings.len()),
            (&json!(strict), warnings),
            "{from}: {:?}",
            sent.warnings
        );
    }
}
