//! Which tools the model has to call, or may.

use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent};

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
