//! Which tools the model has to call, or may.

use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent};

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
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
