//! Which tools the model has to call, or may.

use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent, try_sent};

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

fn chat(tools: Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools})
}

#[test]
fn as_many_tools_as_a_body_holds_are_looked_up_once() {
    let names: Vec<String> = (0..20_000).map(|number| format!("f{number}")).collect();
    let functions: Vec<Value> = names.iter().map(|name| json!({"type": "function", "name": name})).collect();
    let listed: Vec<&Value> = functions.iter().rev().collect();
    let hosted: Vec<Value> =
        (0..20_000).map(|number| json!({"type": format!("of_tomorrow_{number}")})).collect();
    let request = |mode: &str| {
        let choice = json!({"type": "allowed_tools", "mode": mode, "tools": listed});
        let tools: Vec<&Value> = functions.iter().chain(&hosted).collect();
        json!({"model": "m", "input": "hi", "tools": tools, "tool_choice": choice})
    };
    // To look through the list of names for each tool would be hundreds of millions of steps.
    for (to, mode) in [(MESSAGES, "auto"), (GEMINI, "auto"), (GEMINI, "required"), (CHAT, "auto")] {
        let tools = sent(RESPONSES, to, &request(mode)).body["tools"].clone();
        let tools = if to == GEMINI { &tools[0]["functionDeclarations"] } else { &tools };
        assert_eq!(tools.as_array().map(Vec::len), Some(names.len()), "{to} {mode}");
    }
}

#[test]
fn a_forced_tool_is_found_in_its_group() {
    let read = json!({"type": "function", "name": "read", "parameters": {"type": "object"}});
    let write = json!({"type": "custom", "name": "write"});
    let request = |choice: Value| {
        json!({
            "model": "m", "input": "hi", "tool_choice": choice,
            "tools": [{"type": "namespace", "name": "fs", "tools": [read, write]}, {"type": "function", "name": "ls"}],
        })
    };
    let one = request(json!({"type": "function", "name": "read"}));
    let some = request(json!({"type": "allowed_tools", "mode": "required", "tools": [
        {"type": "function", "name": "read"}, {"type": "function", "name": "ls"},
    ]}));
    let choice = |to, request: &Value| sent(RESPONSES, to, request).body;
    assert_eq!(
        choice(CHAT, &one)["tool_choice"],
        json!({"type": "function", "function": {"name": "fs__read"}})
    );
    assert_eq!(choice(MESSAGES, &one)["tool_choice"], json!({"type": "tool", "name": "fs__read"}));
    let listed = choice(CHAT, &some)["tool_choice"]["allowed_tools"]["tools"].clone();
    assert_eq!(listed, json!([function("fs__read"), function("ls")]));
    for (request, names) in [(&one, json!(["fs__read"])), (&some, json!(["fs__read", "ls"]))] {
        let config = choice(GEMINI, request)["toolConfig"]["functionCallingConfig"].clone();
        assert_eq!(config["allowedFunctionNames"], names);
    }
    let custom = request(json!({"type": "custom", "name": "write"}));
    assert_eq!(
        choice(CHAT, &custom)["tool_choice"],
        json!({"type": "custom", "custom": {"name": "fs__write"}})
    );
}

#[test]
fn a_choice_among_no_tools_is_none_or_says_what_is_wrong() {
    let chat = |mode: &str, tools: Value| {
        let mut request = chat(json!([function("f")]));
        request["tool_choice"] =
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}});
        request
    };
    let body = |to, request: &Value| sent(CHAT, to, request).body;
    let free = chat("auto", json!([]));
    assert_eq!(body(MESSAGES, &free)["tool_choice"], json!({"type": "none"}));
    assert_eq!(body(MESSAGES, &free)["tools"].as_array().map(Vec::len), Some(1), "the history may need it");
    assert_eq!(body(RESPONSES, &free)["tool_choice"], json!("none"));
    assert_eq!(body(GEMINI, &free)["toolConfig"]["functionCallingConfig"], json!({"mode": "NONE"}));
    assert_eq!(body(CHAT, &free)["tool_choice"], free["tool_choice"]);
    for (to, request) in [
        (MESSAGES, chat("required", json!([]))),
        (RESPONSES, chat("required", json!([]))),
        (GEMINI, chat("required", json!([]))),
        (MESSAGES, chat("auto", json!([function("other")]))),
    ] {
        let tried = try_sent(CHAT, to, &request, &ModelFacts::default(), &Profile::default());
        let message = tried.expect_err("nobody can honour it").message;
        assert!(message.contains("'tool_choice' allows none of the tools"), "{to}: {message}");
    }
}
