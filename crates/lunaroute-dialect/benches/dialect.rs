//! What reading costs: the first look and the splices on the client's path, the readings of the recorder beside it.
//!
//! `cargo bench -p lunaroute-dialect`

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use http::HeaderMap;
use lunaroute_core::{Dialect, Earlier, Exchange, Interpreter as _, Operation, ResponseHead};
use lunaroute_dialect::{Dialects, EndWatch, peek, splice, sse::Framer};
use serde_json::{Value, json};

/// A body like that of a chat program, in bytes.
const SMALL: usize = 1_024;
/// A body like that of a coding agent's turn, in bytes.
const AGENT: usize = 157_000;
/// Events of one streamed answer.
const EVENTS: usize = 500;

fn main() {
    divan::main();
}

fn exchange(dialect: Dialect) -> Exchange {
    let operation = match dialect {
        Dialect::OpenaiChat => Operation::Chat,
        Dialect::OpenaiResponses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::GenerateContent,
    };
    Exchange { dialect, operation, headers: Arc::new(HeaderMap::new()), addressed: None }
}

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
fn body(dialect: Dialect, size: usize, turns: usize) -> Vec<u8> {
    let wrap = |tool: Value| json!({"type": "function", "function": tool});
    let large = size > 10 * SMALL;
    let tools = match dialect {
        _ if !large => Vec::new(),
        Dialect::OpenaiChat => tools("parameters").into_iter().map(wrap).collect(),
        Dialect::OpenaiResponses => tools("parameters"),
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
fn stream(dialect: Dialect) -> Vec<Bytes> {
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

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "chat",
        Dialect::OpenaiResponses => "responses",
        Dialect::Anthropic => "messages",
        Dialect::Gemini => "gemini",
    }
}

fn dialect(name: &str) -> Dialect {
    Dialect::ALL.into_iter().find(|dialect| self::name(*dialect) == name).expect("a name out of the list")
}

const NAMES: [&str; 4] = ["chat", "responses", "messages", "gemini"];

#[divan::bench(args = NAMES)]
fn peek_1_kb(bencher: Bencher, name: &str) {
    let body = body(dialect(name), SMALL, 0);
    bencher.counter(BytesCount::from(body.len())).bench(|| peek(dialect(name), black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn peek_157_kb(bencher: Bencher, name: &str) {
    let body = body(dialect(name), AGENT, 0);
    bencher.counter(BytesCount::from(body.len())).bench(|| peek(dialect(name), black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn request_1_kb(bencher: Bencher, name: &str) {
    let (exchange, body) = (exchange(dialect(name)), body(dialect(name), SMALL, 0));
    bencher.counter(BytesCount::from(body.len())).bench(|| Dialects.request(&exchange, black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn request_157_kb(bencher: Bencher, name: &str) {
    let (exchange, body) = (exchange(dialect(name)), body(dialect(name), AGENT, 0));
    bencher.counter(BytesCount::from(body.len())).bench(|| Dialects.request(&exchange, black_box(&body)));
}

/// The next turn of a conversation whose earlier body is known.
#[divan::bench(args = NAMES)]
fn request_after_157_kb(bencher: Bencher, name: &str) {
    after(bencher, dialect(name), |body| body);
}

/// The same when something outside the messages has changed too.
#[divan::bench(args = NAMES)]
fn request_after_with_another_model(bencher: Bencher, name: &str) {
    after(bencher, dialect(name), |body| {
        let text = String::from_utf8(body).expect("the body is text");
        text.replacen("\"stream\":true", "\"stream\":false", 1).into_bytes()
    });
}

fn after(bencher: Bencher, dialect: Dialect, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let (exchange, old, new) = (exchange(dialect), body(dialect, AGENT, 0), change(body(dialect, AGENT, 1)));
    let reading = Dialects.request(&exchange, &old);
    let prefix = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len() - prefix;
    let suffix =
        old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
    let earlier = Earlier { body: &old, reading: &reading, prefix, suffix };
    assert_eq!(Dialects.request_after(&exchange, &new, &earlier), Dialects.request(&exchange, &new));
    bencher
        .counter(BytesCount::from(new.len()))
        .bench(|| Dialects.request_after(&exchange, black_box(&new), &earlier));
}

#[divan::bench]
fn splice_157_kb(bencher: Bencher) {
    let body = Bytes::from(body(Dialect::OpenaiChat, AGENT, 0));
    let found = peek(Dialect::OpenaiChat, &body);
    bencher.bench(|| splice(black_box(&body), &found, Some("gpt-5"), true));
}

/// Per event.
#[divan::bench(args = NAMES)]
fn sse_split(bencher: Bencher, name: &str) {
    let frames = stream(dialect(name));
    bencher.counter(divan::counter::ItemsCount::new(frames.len())).bench(|| {
        let (mut framer, mut bytes) = (Framer::new(), 0);
        for frame in &frames {
            framer.push(black_box(frame), |event| bytes += event.data.len());
        }
        bytes
    });
}

/// Per event, each in a frame of its own.
#[divan::bench(args = NAMES)]
fn response_events(bencher: Bencher, name: &str) {
    response(bencher, dialect(name), stream(dialect(name)));
}

/// Per event, all in one piece.
#[divan::bench(args = NAMES)]
fn response_events_in_one_frame(bencher: Bencher, name: &str) {
    response(bencher, dialect(name), vec![stream(dialect(name)).concat().into()]);
}

fn response(bencher: Bencher, dialect: Dialect, frames: Vec<Bytes>) {
    let exchange = exchange(dialect);
    let head = ResponseHead { status: 200, headers: Arc::new(HeaderMap::new()) };
    let events = stream(dialect).len();
    bencher.counter(divan::counter::ItemsCount::new(events)).bench(|| {
        let mut deltas = Vec::new();
        let mut reader = Dialects.response(&exchange, &head);
        for frame in &frames {
            reader.read(black_box(frame), &mut deltas);
        }
        reader.finish(&mut deltas);
        deltas
    });
}

#[divan::bench]
fn plain_answer_1_kb(bencher: Bencher) {
    let answer = json!({"id": "chatcmpl-0192c1f0", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-5-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A few words.\n".repeat(48), "refusal": null, "annotations": []},
            "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 96, "total_tokens": 1096, "prompt_tokens_details": {"cached_tokens": 0}}});
    response_plain(bencher, answer.to_string().into_bytes());
}

fn response_plain(bencher: Bencher, answer: Vec<u8>) {
    let exchange = exchange(Dialect::OpenaiChat);
    let head = ResponseHead { status: 200, headers: Arc::new(HeaderMap::new()) };
    bencher.counter(BytesCount::from(answer.len())).bench(|| {
        let mut deltas = Vec::new();
        let mut reader = Dialects.response(&exchange, &head);
        reader.read(black_box(&answer), &mut deltas);
        reader.finish(&mut deltas);
        deltas
    });
}

/// Per frame of one event.
#[divan::bench(args = NAMES)]
fn end_watch(bencher: Bencher, name: &str) {
    watch(bencher, dialect(name), stream(dialect(name)));
}

/// Per event, all in one frame.
#[divan::bench(args = NAMES)]
fn end_watch_in_one_frame(bencher: Bencher, name: &str) {
    watch(bencher, dialect(name), vec![stream(dialect(name)).concat().into()]);
}

fn watch(bencher: Bencher, dialect: Dialect, frames: Vec<Bytes>) {
    let events = stream(dialect).len();
    bencher.counter(divan::counter::ItemsCount::new(events)).bench(|| {
        let mut watch = EndWatch::new(dialect, exchange(dialect).operation);
        for frame in &frames {
            watch.push(black_box(frame));
        }
        watch.ended()
    });
}
