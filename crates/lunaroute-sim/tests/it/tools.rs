//! An agent's loop: tool calls for some turns, then text.

use serde_json::{Value, json};

use crate::client::{CHAT, GENERATIONS, MESSAGES, RESPONSES, provider, short};

/// The history after the answer: the answer itself and the results of its calls. `None` when it calls nothing.
fn continued(path: &str, mut history: Vec<Value>, answer: &Value) -> Option<Vec<Value>> {
    match path {
        CHAT => {
            let message = answer["choices"][0]["message"].clone();
            let calls = message["tool_calls"].as_array()?.clone();
            history.push(message);
            let result = |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"});
            history.extend(calls.iter().map(result));
        }
        RESPONSES => {
            let output = answer["output"].as_array()?.clone();
            let calls: Vec<Value> =
                output.iter().filter(|item| item["type"] == "function_call").cloned().collect();
            history.extend(output);
            let result = |call: &Value| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "ok"});
            history.extend(calls.iter().map(result));
            if calls.is_empty() {
                return None;
            }
        }
        _ => {
            let content = answer["content"].as_array()?.clone();
            let calls: Vec<Value> =
                content.iter().filter(|block| block["type"] == "tool_use").cloned().collect();
            if calls.is_empty() {
                return None;
            }
            history.push(json!({"role": "assistant", "content": content}));
            let result =
                |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"});
            history.push(json!({"role": "user", "content": calls.iter().map(result).collect::<Vec<_>>()}));
        }
    }
    Some(history)
}

#[tokio::test]
async fn an_agent_calls_for_its_turns_and_then_speaks() {
    let provider = provider().await;
    for path in GENERATIONS {
        let tool = match path {
            CHAT => {
                json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}})
            }
            RESPONSES => json!({"type": "function", "name": "look", "parameters": {"type": "object"}}),
            _ => json!({"name": "look", "input_schema": {"type": "object"}}),
        };
        let list = if path == RESPONSES { "input" } else { "messages" };
        for (script, turns) in [("tools=2", 1), ("agent", 4), ("agent=2,tools=3", 2)] {
            let mut history = vec![json!({"role": "user", "content": "look around"})];
            let mut calling_turns = 0;
            loop {
                let mut body = json!({"model": "m", "tools": [tool], "max_tokens": 1024});
                body[list] = json!(history);
                let reply = short(&provider, path, script, &body).await;
                assert_eq!(reply.status, 200, "{path} {script}");
                match continued(path, history.clone(), &reply.json()) {
                    Some(next) if calling_turns < 10 => history = next,
                    _ => break,
                }
                calling_turns += 1;
            }
            assert_eq!(calling_turns, turns, "{path} {script}");
        }
    }
}

#[tokio::test]
async fn no_tool_is_called_that_is_not_offered_or_forbidden() {
    let provider = provider().await;
    let mut body =
        json!({"model": "sim-tools", "messages": [{"role": "user", "content": "a"}], "max_tokens": 64});
    let reply = short(&provider, MESSAGES, "tools", &body).await;
    assert_eq!(reply.json()["stop_reason"], "end_turn", "no tools");
    body["tools"] =
        json!([{"type": "web_search_20250305", "name": "web_search"}, {"name": "look", "input_schema": {}}]);
    body["tool_choice"] = json!({"type": "none"});
    assert_eq!(
        short(&provider, MESSAGES, "tools", &body).await.json()["stop_reason"],
        "end_turn",
        "forbidden"
    );
    body["tool_choice"] = json!({"type": "auto"});
    let answer = short(&provider, MESSAGES, "tools", &body).await.json();
    assert_eq!(answer["content"][0]["name"], "look", "a server's tool is not the client's to run");
}

#[tokio::test]
async fn custom_tools_get_free_text() {
    let provider = provider().await;
    let custom = json!({"name": "apply_patch"});
    let chat = json!({"model": "m", "messages": [], "tools": [{"type": "custom", "custom": custom}]});
    let call =
        short(&provider, CHAT, "tools", &chat).await.json()["choices"][0]["message"]["tool_calls"][0].clone();
    assert_eq!((&call["type"], &call["custom"]["name"]), (&json!("custom"), &json!("apply_patch")));
    assert!(call["custom"]["input"].is_string());
    let responses = json!({"model": "m", "stream": true, "input": "a", "tools": [{"type": "custom", "name": "apply_patch"}]});
    let events = short(&provider, RESPONSES, "tools", &responses).await.events();
    let done = events
        .iter()
        .find(|(name, _)| name == "response.custom_tool_call_input.done")
        .expect("a custom call");
    let item = &events.last().expect("events").1["response"]["output"][0];
    assert_eq!(item["input"], done.1["input"]);
}
