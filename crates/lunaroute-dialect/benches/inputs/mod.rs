//! Requests and answers for the benchmarks.

use bytes::Bytes;
use lunaroute_core::Dialect;
use serde_json::{Value, json};

/// A body like that of a chat program, in bytes.
pub(super) const SMALL: usize = 1_024;
/// A body like that of a coding agent's turn, in bytes.
pub(super) const AGENT: usize = 157_000;
/// Events of one streamed answer.
pub(super) const EVENTS: usize = 500;

/// What a tool prints: code, with the quotes and line feeds that JSON escapes.
fn code(lines: usize) -> String {
    (0..lines)
        .map(|line| format!("    let field_{line} = map.get(\"field_{line}\").copied().unwrap_or({line});\n"))
        .collect()
}

fn tools(place: &str) -> Vec<Value> {
    let tool = |number: usize| {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["path", "pattern"], "properties": {
            "path": {"type": "string", "description": "The absolute path of the file, \"~\" is not expanded.\nMust exist."},
            "pattern": {"type": "string", "description": "A regular expression in the syntax of the `regex` crate."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            "mode": {"type": "string", "enum": ["content", "files", "count"]},
            "flags": {"type": "array", "items": {"type": "string", "enum": ["i", "m", "s", "x"]}},
        }});
        let text = "Finds text in files and tells where it stands. ".repeat(14);
        json!({"name": format!("tool_{number}"), "description": text, place: schema})
    };
    (0..30).map(tool).collect()
}

/// An agent's request of about `size` bytes: instructions, tools, and turns of which each reads a file. `turns` more
/// than the size asks for are added at the end.
pub(super) fn body(dialect: Dialect, size: usize, turns: usize) -> Vec<u8> {
    let wrap = |tool: Value| json!({"type": "function", "function": tool});
    let typed = |mut tool: Value| {
        tool["type"] = json!("function");
        tool
    };
    let large = size > 10 * SMALL;
    let tools = match dialect {
        _ if !large => Vec::new(),
        Dialect::OpenaiChat => tools("parameters").into_iter().map(wrap).collect(),
        Dialect::OpenaiResponses => tools("parameters").into_iter().map(typed).collect(),
        Dialect::Anthropic => tools("input_schema"),
        Dialect::Gemini => vec![json!({"functionDeclarations": tools("parametersJsonSchema")})],
    };
    let asked = "Where is the \"field\" read?";
    let mut messages = vec![match dialect {
        Dialect::Gemini => json!({"role": "user", "parts": [{"text": asked}]}),
        _ => json!({"role": "user", "content": asked}),
    }];
    if dialect == Dialect::OpenaiChat {
        messages.insert(0, json!({"role": "system", "content": "You are a careful programmer.\n".repeat(8)}));
    }
    let overhead = json!({"messages": messages, "tools": tools}).to_string().len() + 300;
    let (mut used, mut number) = (0, 0);
    while used + overhead < size {
        for message in turn(dialect, number, if large { 24 } else { 1 }) {
            used += message.to_string().len() + 1;
            messages.push(message);
        }
        number += 1;
    }
    messages.extend((number..number + turns).flat_map(|number| turn(dialect, number, 24)));
    let body = match dialect {
        Dialect::OpenaiChat => json!({
            "model": "gpt-5-mini", "messages": messages, "tools": tools, "temperature": 0.2,
            "stream": true, "stream_options": {"include_obfuscation": false},
        }),
        Dialect::OpenaiResponses => json!({
            "model": "gpt-5-codex", "instructions": "You are a careful programmer.", "input": messages, "tools": tools,
            "stream": true, "store": false, "prompt_cache_key": "0192c1f0",
        }),
        Dialect::Anthropic => json!({
            "model": "claude-sonnet-4-5", "max_tokens": 4096, "stream": true, "tools": tools, "messages": messages,
            "system": [{"type": "text", "text": "You are a careful programmer."}],
            "metadata": {"user_id": "user_1_session_2"},
        }),
        Dialect::Gemini => json!({
            "systemInstruction": {"parts": [{"text": "You are a careful programmer."}]}, "contents": messages,
            "tools": tools, "generationConfig": {"maxOutputTokens": 4096},
        }),
    };
    body.to_string().into_bytes()
}

fn turn(dialect: Dialect, number: usize, lines: usize) -> Vec<Value> {
    let (id, arguments) = (format!("call_{number}"), json!({"path": format!("/src/{number}.rs")}));
    match dialect {
        Dialect::OpenaiChat => vec![
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "tool_1", "arguments": arguments.to_string()}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": code(lines)}),
        ],
        Dialect::OpenaiResponses => vec![
            json!({"type": "function_call", "call_id": id, "name": "tool_1", "arguments": arguments.to_string()}),
            json!({"type": "function_call_output", "call_id": id, "output": code(lines)}),
        ],
        Dialect::Anthropic => vec![
            json!({"role": "assistant", "content": [
                {"type": "text", "text": "I look at the file."},
                {"type": "tool_use", "id": id, "name": "tool_1", "input": arguments}]}),
            json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": code(lines)}]}]}),
        ],
        Dialect::Gemini => vec![
            json!({"role": "model", "parts": [
                {"text": "I look at the file."},
                {"functionCall": {"id": id, "name": "tool_1", "args": arguments}}]}),
            json!({"role": "user", "parts": [
                {"functionResponse": {"id": id, "name": "tool_1", "response": {"output": code(lines)}}}]}),
        ],
    }
}

/// A stream with text in `EVENTS` events.
pub(super) fn stream(dialect: Dialect) -> Vec<Bytes> {
    let word = |number: usize| format!(" word{number}");
    let named = |data: Value| {
        let kind = data["type"].as_str().expect("every event has a type").to_owned();
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let mut events = Vec::new();
    match dialect {
        Dialect::OpenaiChat => {
            let chunk = |delta: Value, finish: Value| {
                let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
                format!(
                    "data: {}\n\n",
                    json!({"id": "chatcmpl-0192c1f0", "object": "chat.completion.chunk", "created": 1_700_000_000,
                    "model": "gpt-5-mini-2025-08-07", "service_tier": "default", "system_fingerprint": null, "choices": [choice], "usage": null})
                )
            };
            events.push(chunk(json!({"role": "assistant", "content": ""}), Value::Null));
            events.extend((0..EVENTS).map(|number| chunk(json!({"content": word(number)}), Value::Null)));
            events.push(chunk(json!({}), json!("stop")));
            events.push("data: [DONE]\n\n".to_owned());
        }
        Dialect::OpenaiResponses => {
            events.push(named(json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "model": "gpt-5-codex"}})));
            events.extend((0..EVENTS).map(|number| named(json!({"type": "response.output_text.delta", "sequence_number": number + 1,
                "item_id": "msg_0192c1f0", "output_index": 0, "content_index": 0, "delta": word(number), "logprobs": []}))));
            events.push(named(json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}})));
        }
        Dialect::Anthropic => {
            events.push(named(
                json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-4-5"}}),
            ));
            events.push(named(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})));
            events.extend((0..EVENTS).map(|number| {
                named(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word(number)}}))
            }));
            events.push(named(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 500}})));
            events.push(named(json!({"type": "message_stop"})));
        }
        Dialect::Gemini => {
            let chunk = |text: String, finish: Value| {
                let content = json!({"parts": [{"text": text}], "role": "model"});
                let candidate = json!({"content": content, "finishReason": finish, "index": 0});
                format!(
                    "data: {}\r\n\r\n",
                    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9},
                        "modelVersion": "gemini-3-pro", "responseId": "0192c1f0"})
                )
            };
            events.extend((0..EVENTS).map(|number| chunk(word(number), Value::Null)));
            events.push(chunk(String::new(), json!("STOP")));
        }
    }
    events.into_iter().map(Bytes::from).collect()
}

/// A whole answer of about 1 KB.
pub(super) fn answer(dialect: Dialect) -> Vec<u8> {
    let text = "A few words.\n".repeat(48);
    let answer = match dialect {
        Dialect::OpenaiChat => json!({
            "id": "chatcmpl-0192c1f0", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-5-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 96, "total_tokens": 1096,
                "prompt_tokens_details": {"cached_tokens": 0}},
        }),
        Dialect::OpenaiResponses => json!({
            "id": "resp_0192c1f0", "object": "response", "created_at": 1_700_000_000, "model": "gpt-5-codex",
            "status": "completed", "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]}],
            "usage": {"input_tokens": 1000, "output_tokens": 96, "total_tokens": 1096},
        }),
        Dialect::Anthropic => json!({
            "id": "msg_0192c1f0", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 1000, "output_tokens": 96},
        }),
        Dialect::Gemini => json!({
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 96, "totalTokenCount": 1096},
            "modelVersion": "gemini-3-pro", "responseId": "0192c1f0",
        }),
    };
    answer.to_string().into_bytes()
}

pub(super) fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "chat",
        Dialect::OpenaiResponses => "responses",
        Dialect::Anthropic => "messages",
        Dialect::Gemini => "gemini",
    }
}

pub(super) fn dialect(name: &str) -> Dialect {
    Dialect::ALL.into_iter().find(|dialect| self::name(*dialect) == name).expect("a name out of the list")
}
