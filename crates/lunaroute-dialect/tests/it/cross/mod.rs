//! The ways between two dialects: what goes in as a client or a provider writes it, and what comes out.
//!
//! The cases are those of a list of sixty, by their numbers. Cases 28, 30 to 32, 37, 54, 55, 57 and 60, and the HTTP of 25 and
//! 27, stand with the binary (`lunaroute-cli`).

mod calls;
mod choices;
mod completions;
mod endings;
mod errors;
mod faults;
mod gemini;
mod golden;
mod grammar;
mod history;
mod limits;
mod losses;
mod media;
mod refusals;
mod requests;
mod results;
mod schemas;
mod seals;
mod sources;
mod streams;
mod tools;
mod unnumbered;

use lunaroute_core::conversation::ModelFacts;
use lunaroute_core::{Dialect, Failure};
use lunaroute_dialect::cross::{
    Asked, Crossing, Profile, Translation, check_stream, decode_request, encode_request, translate_answer,
};
use lunaroute_dialect::sse::Framer;
use serde_json::{Value, json};

pub(crate) const CHAT: Dialect = Dialect::OpenaiChat;
pub(crate) const RESPONSES: Dialect = Dialect::OpenaiResponses;
pub(crate) const MESSAGES: Dialect = Dialect::Anthropic;
pub(crate) const GEMINI: Dialect = Dialect::Gemini;

/// A request as a provider gets it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) body: Value,
    /// Fields that were dropped or changed: `!` before those whose loss means something.
    pub(crate) warnings: Vec<String>,
    pub(crate) asked: Asked,
}

/// Takes a request from one dialect into another, to a model and a host of which nothing is known.
#[track_caller]
pub(crate) fn sent(from: Dialect, to: Dialect, request: &Value) -> Sent {
    try_sent(from, to, request, &ModelFacts::default(), &Profile::default()).expect("it crosses")
}

pub(crate) fn try_sent(
    from: Dialect,
    to: Dialect,
    request: &Value,
    facts: &ModelFacts,
    profile: &Profile,
) -> Result<Sent, Failure> {
    let decoded = decode_request(from, request.to_string().as_bytes())?;
    let mut crossing = Crossing::new(facts, profile, "target-model");
    crossing.asked.seed = "seed".to_owned();
    crossing.asked.answer_id = "answer".to_owned();
    crossing.asked.created = 1_700_000_000;
    let body = encode_request(to, decoded, &mut crossing)?;
    let mark = |loses: bool| if loses { "!" } else { "" };
    let warnings = crossing.warnings.iter();
    let warnings =
        warnings.map(|warning| format!("{}{}", mark(warning.loses_meaning), warning.path)).collect();
    Ok(Sent { body, warnings, asked: crossing.asked })
}

/// What was asked by a plain request of a dialect.
pub(crate) fn asked(from: Dialect, to: Dialect) -> Asked {
    let request = match from {
        Dialect::OpenaiChat => json!({
            "model": "asked-model", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}],
        }),
        Dialect::OpenaiResponses => json!({"model": "asked-model", "stream": true, "input": "hi"}),
        Dialect::Anthropic => json!({
            "model": "asked-model", "max_tokens": 99, "stream": true, "messages": [{"role": "user", "content": "hi"}],
        }),
        Dialect::Gemini => json!({
            "model": "models/asked-model", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
        }),
    };
    sent(from, to, &request).asked
}

/// A provider's stream as the caller gets it; the order of its events is checked.
#[track_caller]
pub(crate) fn streamed(from: Dialect, to: Dialect, stream: &str, asked: Asked) -> String {
    let mut out = Vec::new();
    let mut translation = Translation::new(from, to, asked);
    translation.push(stream.as_bytes(), &mut out);
    translation.end(&mut out);
    let text = String::from_utf8(out).expect("text");
    if let Err(error) = check_stream(to, text.as_bytes()) {
        panic!("{error}\n{text}");
    }
    text
}

/// The same for an answer to a plain request.
#[track_caller]
pub(crate) fn told(from: Dialect, to: Dialect, stream: &str) -> Vec<Value> {
    events(&streamed(from, to, stream, asked(to, from)))
}

/// The data of a stream's events; what is no JSON as a string.
pub(crate) fn events(stream: &str) -> Vec<Value> {
    let (mut framer, mut events) = (Framer::new(), Vec::new());
    framer.push(stream.as_bytes(), |event| {
        let data = String::from_utf8_lossy(event.data);
        events.push(serde_json::from_str(&data).unwrap_or_else(|_| json!(data)));
    });
    events
}

/// A provider's whole answer as the caller gets it.
#[track_caller]
pub(crate) fn answered(from: Dialect, to: Dialect, answer: &Value, asked: &Asked) -> Value {
    translate_answer(from, to, answer.to_string().as_bytes(), asked)
        .expect("an answer")
        .expect("one that did not fail")
}

/// A stream of chunks out of their only choices; a value with `usage` or without `delta` is a chunk of its own.
pub(crate) fn chunks(choices: &[Value]) -> String {
    let chunk = |choice: &Value| {
        let mut chunk = json!({"id": "chatcmpl-up", "object": "chat.completion.chunk", "model": "gpt-up"});
        if choice.get("delta").is_some() {
            chunk["choices"] = json!([choice]);
        } else {
            for (name, value) in choice.as_object().expect("an object") {
                chunk[name] = value.clone();
            }
        }
        format!("data: {chunk}\n\n")
    };
    choices.iter().map(chunk).collect()
}

/// The same with its end.
pub(crate) fn done(choices: &[Value]) -> String {
    format!("{}data: [DONE]\n\n", chunks(choices))
}

pub(crate) fn delta(delta: Value) -> Value {
    json!({"index": 0, "delta": delta, "finish_reason": null})
}

pub(crate) fn finish(reason: &str) -> Value {
    json!({"index": 0, "delta": {}, "finish_reason": reason})
}

/// A fragment of a function call.
pub(crate) fn call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if let Some(id) = id {
        call["id"] = json!(id);
    }
    if let Some(name) = name {
        call["function"]["name"] = json!(name);
    }
    delta(json!({"tool_calls": [call]}))
}

/// A stream of named events.
pub(crate) fn named(events: &[Value]) -> String {
    let event =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
    events.iter().map(event).collect()
}

/// The events of a message with these blocks, each with its deltas.
pub(crate) fn message(blocks: &[(Value, Vec<Value>)], stop_reason: &str) -> String {
    let mut all = vec![json!({"type": "message_start", "message": {
        "id": "msg_up", "type": "message", "role": "assistant", "model": "claude-up", "content": [],
        "usage": {"input_tokens": 12, "output_tokens": 1},
    }})];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        all.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for delta in deltas {
            all.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 7}}));
    all.push(json!({"type": "message_stop"}));
    named(&all)
}

pub(crate) fn text_block(text: &str) -> (Value, Vec<Value>) {
    (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": text})])
}

pub(crate) fn tool_block(id: &str, input: Value, fragments: &[&str]) -> (Value, Vec<Value>) {
    let deltas = fragments.iter().map(|part| json!({"type": "input_json_delta", "partial_json": part}));
    (json!({"type": "tool_use", "id": id, "name": "weather", "input": input}), deltas.collect())
}

/// What a Messages stream adds up to: its blocks as a whole message has them.
pub(crate) fn blocks(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut json = String::new();
    for event in events {
        let add = |block: &mut Value, member: &str, text: &Value| {
            let joined = format!(
                "{}{}",
                block[member].as_str().unwrap_or_default(),
                text.as_str().unwrap_or_default()
            );
            block[member] = json!(joined);
        };
        match event["type"].as_str() {
            Some("content_block_start") => {
                blocks.push(event["content_block"].clone());
                json.clear();
            }
            Some("content_block_delta") => {
                let (delta, block) = (&event["delta"], blocks.last_mut().expect("an open block"));
                match delta["type"].as_str() {
                    Some("text_delta") => add(block, "text", &delta["text"]),
                    Some("thinking_delta") => add(block, "thinking", &delta["thinking"]),
                    Some("signature_delta") => block["signature"] = delta["signature"].clone(),
                    Some("input_json_delta") => json.push_str(delta["partial_json"].as_str().expect("text")),
                    other => panic!("a delta of type {other:?}"),
                }
            }
            Some("content_block_stop") if !json.is_empty() => {
                let block = blocks.last_mut().expect("an open block");
                block["input"] =
                    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
                json.clear();
            }
            _ => {}
        }
    }
    blocks
}

/// What a Chat stream adds up to, as a client joins it: the message, the finish reason and the last figures.
pub(crate) fn completion(events: &[Value]) -> Value {
    let mut joined =
        json!({"content": "", "reasoning": "", "refusal": "", "calls": [], "finish": null, "usage": null});
    let append = |place: &mut Value, text: &Value| {
        if let Some(text) = text.as_str() {
            *place = json!(format!("{}{text}", place.as_str().unwrap_or_default()));
        }
    };
    for event in events {
        let choice = &event["choices"][0];
        append(&mut joined["content"], &choice["delta"]["content"]);
        append(&mut joined["reasoning"], &choice["delta"]["reasoning_content"]);
        append(&mut joined["refusal"], &choice["delta"]["refusal"]);
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
            let calls = joined["calls"].as_array_mut().expect("an array");
            if calls.len() == index {
                calls.push(json!({"id": "", "name": "", "arguments": ""}));
            }
            let known = &mut calls[index];
            let body = if call["custom"].is_object() { &call["custom"] } else { &call["function"] };
            append(&mut known["id"], &call["id"]);
            append(&mut known["name"], &body["name"]);
            append(&mut known["arguments"], &body["arguments"]);
            append(&mut known["arguments"], &body["input"]);
        }
        if choice["finish_reason"].is_string() {
            joined["finish"] = choice["finish_reason"].clone();
        }
        if event["usage"].is_object() {
            joined["usage"] = event["usage"].clone();
        }
    }
    joined
}

/// The last event of this type.
#[track_caller]
pub(crate) fn only<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let mut found = events.iter().filter(|event| event["type"] == kind);
    let event = found.next().unwrap_or_else(|| panic!("no {kind} in {events:#?}"));
    assert!(found.next().is_none(), "more than one {kind}");
    event
}
