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

#[test]
fn objects_of_any_members_are_never_closed() {
    let format = |property: &Value| {
        let schema = json!({"type": "object", "properties": {"headers": property}, "required": ["headers"]});
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "response_format": format})
    };
    for free in [
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}),
        json!({"type": ["object", "null"], "patternProperties": {"^x": {"type": "string"}}}),
    ] {
        let sent = sent(CHAT, MESSAGES, &format(&free));
        assert_eq!(sent.body.get("output_config"), None, "{free}");
        assert_eq!(sent.body["tools"][0]["input_schema"]["properties"]["headers"], free);
        assert_eq!(sent.body["tool_choice"]["name"], sent.body["tools"][0]["name"]);
    }
    let named = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let held = sent(CHAT, MESSAGES, &format(&named)).body["output_config"]["format"]["schema"].clone();
    assert_eq!(held["properties"]["headers"]["additionalProperties"], json!(false));
    // Calls that Google is to validate are strict tools elsewhere.
    let parameters = json!({"type": "OBJECT", "properties": {"headers": {"type": "OBJECT"}}});
    let request = json!({
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": parameters}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
    });
    let sent = sent(GEMINI, MESSAGES, &request);
    let expected = json!({"type": "object", "properties": {"headers": {"type": "object"}}});
    assert_eq!(
        (told(MESSAGES, &sent.body), &sent.warnings[..]),
        ((expected, Value::Null), &["tools[0].strict".to_owned()][..])
    );
}

/// A schema of so many required and so many optional properties of these types.
fn properties(required: usize, optional: usize, kind: &Value) -> Value {
    let name = |number: usize| format!("p{number}");
    let all: serde_json::Map<String, Value> =
        (0..required + optional).map(|number| (name(number), json!({"type": kind}))).collect();
    let required: Vec<String> = (0..required).map(name).collect();
    json!({"type": "object", "properties": all, "required": required, "additionalProperties": false})
}

#[test]
fn what_a_request_may_hold_of_strict_schemas_is_counted_over_all_of_them() {
    let (string, union) = (json!("string"), json!(["string", "null"]));
    let chat = |schemas: &[Value], format: Option<&Value>| {
        let tools: Vec<Value> = schemas.iter().enumerate().map(|(number, schema)| {
            json!({"type": "function", "function": {"name": format!("f{number}"), "parameters": schema, "strict": true}})
        }).collect();
        let mut request =
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools});
        if let Some(schema) = format {
            request["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
        }
        request
    };
    // The numbers of the tools that are not strict; each is named.
    let loose = |schemas: &[Value], format: Option<&Value>| {
        let sent = sent(CHAT, MESSAGES, &chat(schemas, format));
        let tools = sent.body["tools"].as_array().expect("tools").iter().take(schemas.len());
        let loose: Vec<usize> = tools
            .enumerate()
            .filter(|(_, tool)| tool["strict"] != json!(true))
            .map(|(number, _)| number)
            .collect();
        let paths: Vec<String> = loose.iter().map(|number| format!("tools[{number}].strict")).collect();
        let of_tools = sent.warnings.into_iter().filter(|path| path.starts_with("tools"));
        assert_eq!(of_tools.collect::<Vec<_>>(), paths);
        (loose, sent.body["output_config"]["format"].is_object())
    };
    let small = || properties(1, 0, &string);
    assert_eq!(loose(&[properties(16, 0, &union)], None).0, [0; 0]);
    assert_eq!(loose(&[properties(17, 0, &union), small()], None).0, [0]);
    assert_eq!(loose(&[properties(0, 24, &string)], None).0, [0; 0]);
    assert_eq!(
        loose(&[properties(0, 20, &string), properties(0, 5, &string), properties(0, 4, &string)], None).0,
        [1]
    );
    assert_eq!(loose(&vec![small(); 22], None).0, [20, 21]);
    // The answer's form comes first, and counts with them.
    assert_eq!(loose(&[properties(0, 20, &string)], Some(&properties(0, 5, &string))), (vec![0], true));
    assert_eq!(loose(&[properties(0, 24, &string)], Some(&properties(0, 25, &string))), (vec![], false));
    // A schema that comes back to itself in whichever way cannot be held.
    let mut tree = small();
    tree["properties"]["n"] =
        json!({"type": "object", "properties": {"n": {"$ref": "#/properties/n"}}, "required": ["n"]});
    assert_eq!(loose(&[tree, small()], None).0, [0]);
}
