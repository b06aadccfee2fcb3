//! Sessions of agents: the model asks for a tool, the agent runs it and sends the longer history back.

use http::Method;
use lunaroute_core::{Answer, Dialect, Operation};
use lunaroute_sim::Script;
use serde_json::{Value, json};

use super::client::{Call, Caller};
use super::exchanges::Sent;

/// Turns in which the agent's model asks for a tool; one more turn answers.
const TOOL_TURNS: u32 = 4;

const QUESTION: &str = "Which tests fail in this repository, and why?";

/// A coding agent in Anthropic's dialect: five turns, four with a tool call, a history that grows, a prompt cache.
pub(super) async fn anthropic(caller: &Caller, sent: &mut Sent) -> anyhow::Result<()> {
    let tool = json!({
        "name": "run_command", "description": "Runs a shell command.",
        "input_schema": { "type": "object", "properties": { "command": { "type": "string" } }, "required": ["command"] },
    });
    let mut messages = vec![json!({ "role": "user", "content": QUESTION })];
    for turn in 0..=TOOL_TURNS {
        let call = Call {
            mark: format!("agent turn {}", turn + 1),
            dialect: Dialect::Anthropic,
            operation: Operation::Messages,
            method: Method::POST,
            path: "/v1/messages?beta=true",
            body: json!({
                "model": "claude-opus-4-8", "max_tokens": 1024, "stream": true, "tools": [tool.clone()],
                "system": "You are a careful engineer.", "messages": messages,
            }),
            headers: vec![
                ("user-agent", "claude-cli/2.1.329 (external, cli)".to_owned()),
                ("x-claude-code-session-id", "5f0d6c1e-2b1f-4a53-9d2e-7a30f3f5c001".to_owned()),
            ],
            script: Script {
                cached_tokens: u64::from(turn) * 400,
                cache_write_tokens: 400,
                event_delay_ms: 2,
                ..Script::agent(TOOL_TURNS)
            },
            hang_up_after: None,
        };
        let answer = sent.exchange(caller, call).await?;
        messages.extend(anthropic_turn(&answer));
    }
    Ok(())
}

/// The model's turn and the results of its tools, as the next request repeats them.
fn anthropic_turn(answer: &Answer) -> Vec<Value> {
    let mut content = Vec::new();
    if !answer.text.is_empty() {
        content.push(json!({ "type": "text", "text": answer.text }));
    }
    let mut results = Vec::new();
    for call in &answer.tool_calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        content.push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }));
        results
            .push(json!({ "type": "tool_result", "tool_use_id": call.id, "content": "2 passed, 1 failed" }));
    }
    let mut turn = vec![json!({ "role": "assistant", "content": content })];
    if !results.is_empty() {
        turn.push(json!({ "role": "user", "content": results }));
    }
    turn
}

/// A coding agent in OpenAI's Responses dialect: two tool turns and an answer.
pub(super) async fn responses(caller: &Caller, sent: &mut Sent) -> anyhow::Result<()> {
    let tool = json!({
        "type": "function", "name": "read_file", "strict": false,
        "parameters": { "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] },
    });
    let mut input = vec![json!({ "type": "message", "role": "user", "content": QUESTION })];
    for turn in 0..3 {
        let call = Call {
            mark: format!("codex turn {}", turn + 1),
            dialect: Dialect::OpenaiResponses,
            operation: Operation::Responses,
            method: Method::POST,
            path: "/v1/responses",
            body: json!({
                "model": "gpt-5.4", "stream": true, "store": false, "tools": [tool.clone()], "input": input,
            }),
            headers: vec![
                ("originator", "codex_cli_rs".to_owned()),
                ("user-agent", "codex_cli_rs/0.169.0".to_owned()),
                ("session-id", "019a0000-demo-7000-8000-00000000c0de".to_owned()),
            ],
            script: Script { reasoning_tokens: 6, event_delay_ms: 2, ..Script::agent(2) },
            hang_up_after: None,
        };
        let answer = sent.exchange(caller, call).await?;
        for call in &answer.tool_calls {
            input.push(json!({
                "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
            }));
            input.push(json!({
                "type": "function_call_output", "call_id": call.id, "output": "fn main() {}",
            }));
        }
    }
    Ok(())
}
