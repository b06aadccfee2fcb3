//! What a client of each dialect asks, and what it reads in an answer, plain or streamed.

use lunaroute_core::Dialect;
use lunaroute_dialect::cross::check_stream;
use lunaroute_dialect::sse::Framer;
use serde_json::{Value, json};

use super::client::{Answer, Call};
use super::stage::{CHAT, MESSAGES, RESPONSES};

/// Every way from a client's dialect to another one that a provider speaks.
pub(crate) fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let to = |from| Dialect::ALL.into_iter().filter(move |to| *to != from).map(move |to| (from, to));
    Dialect::ALL.into_iter().flat_map(to)
}

/// Where a generation is asked for, with the query. Gemini is told in the path what others are told in the body.
pub(crate) fn path(dialect: Dialect, model: &str, stream: bool) -> String {
    match dialect {
        Dialect::OpenaiChat => CHAT.to_owned(),
        Dialect::OpenaiResponses => RESPONSES.to_owned(),
        Dialect::Anthropic => MESSAGES.to_owned(),
        Dialect::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        Dialect::Gemini => format!("/v1beta/models/{model}:generateContent"),
    }
}

/// The call that sends a request. `model` and `stream` of one of Gemini, which has neither, go into its path.
pub(crate) fn post(dialect: Dialect, request: &Value) -> Call {
    let (model, stream) = (text(&request["model"]), request["stream"] == true);
    Call::post(&path(dialect, &model, stream), body(dialect, request))
}

/// What of a request goes into the body.
pub(crate) fn body(dialect: Dialect, request: &Value) -> String {
    let mut request = request.clone();
    if let (Dialect::Gemini, Some(members)) = (dialect, request.as_object_mut()) {
        members.retain(|name, _| name != "model" && name != "stream");
    }
    request.to_string()
}

/// The member of a request that holds its turns.
pub(crate) const fn turns(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat | Dialect::Anthropic => "messages",
        Dialect::OpenaiResponses => "input",
        Dialect::Gemini => "contents",
    }
}

/// What a client has read of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Id, name and arguments of each call.
    pub(crate) calls: Vec<(String, String, Value)>,
    /// `end`, `length` or `tools`.
    pub(crate) stop: String,
    /// All input tokens, those read from a cache, output tokens.
    pub(crate) usage: (u64, u64, u64),
    pub(crate) model: String,
    /// What the client sends back of the answer in its next request.
    pub(crate) history: Vec<Value>,
}

/// The question that begins a conversation, with one tool.
pub(crate) fn question(dialect: Dialect, model: &str, stream: bool) -> Value {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let asked = "What is the weather in Kyoto?";
    match dialect {
        Dialect::OpenaiChat => json!({
            "model": model, "stream": stream,
            "messages": [
                { "role": "system", "content": "Answer in one word." }, { "role": "user", "content": asked },
            ],
            "tools": [{ "type": "function", "function": { "name": "weather", "parameters": schema } }],
            "stream_options": if stream { json!({ "include_usage": true }) } else { Value::Null },
        }),
        Dialect::OpenaiResponses => json!({
            "model": model, "stream": stream, "instructions": "Answer in one word.",
            "input": [{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": asked }] }],
            "tools": [{ "type": "function", "name": "weather", "parameters": schema, "strict": true }],
        }),
        Dialect::Anthropic => json!({
            "model": model, "stream": stream, "max_tokens": 2048, "system": "Answer in one word.",
            "messages": [{ "role": "user", "content": asked }],
            "tools": [{ "name": "weather", "input_schema": schema }],
        }),
        Dialect::Gemini => json!({
            "model": model, "stream": stream,
            "systemInstruction": { "parts": [{ "text": "Answer in one word." }] },
            "contents": [{ "role": "user", "parts": [{ "text": asked }] }],
            "tools": [{ "functionDeclarations": [{ "name": "weather", "parametersJsonSchema": schema }] }],
            "generationConfig": { "thinkingConfig": { "includeThoughts": true } },
        }),
    }
}

/// The request that goes on with an answer and the results of its calls.
pub(crate) fn go_on(dialect: Dialect, mut request: Value, read: &Read) -> Value {
    let turns = request[turns(dialect)].as_array_mut().expect("a list of turns");
    turns.extend(read.history.iter().cloned());
    let results = read.calls.iter().map(|(id, name, _)| match dialect {
        Dialect::OpenaiChat => json!({ "role": "tool", "tool_call_id": id, "content": "rain" }),
        Dialect::OpenaiResponses => {
            let is_free_text =
                |item: &&Value| item["type"] == "custom_tool_call" && item["call_id"] == id.as_str();
            let call = if read.history.iter().any(|item| is_free_text(&item)) {
                "custom_tool_call"
            } else {
                "function_call"
            };
            json!({ "type": format!("{call}_output"), "call_id": id, "output": "rain" })
        }
        Dialect::Anthropic => json!({ "type": "tool_result", "tool_use_id": id, "content": "rain" }),
        Dialect::Gemini => {
            json!({ "functionResponse": { "id": id, "name": name, "response": { "output": "rain" } } })
        }
    });
    match dialect {
        Dialect::Gemini => {
            let results: Vec<Value> = results.collect();
            turns.push(json!({ "role": "user", "parts": results }));
        }
        Dialect::Anthropic => {
            let results: Vec<Value> = results.collect();
            turns.push(json!({ "role": "user", "content": results }));
        }
        _ => turns.extend(results),
    }
    request
}

/// Reads an answer that has to be whole.
#[track_caller]
pub(crate) fn read(dialect: Dialect, answer: &Answer, stream: bool) -> Read {
    let kind = answer.head.header("content-type").unwrap_or_default();
    assert_eq!(kind.starts_with("text/event-stream"), stream, "{kind}: {}", answer.text());
    if stream {
        if let Err(error) = check_stream(dialect, &answer.body) {
            panic!("{dialect}: {error} in\n{}", answer.text());
        }
        assembled(dialect, &events(&answer.body))
    } else {
        whole(dialect, &answer.json())
    }
}

/// The data of each event that is JSON.
pub(crate) fn events(body: &[u8]) -> Vec<Value> {
    let (mut framer, mut found) = (Framer::new(), Vec::new());
    framer.push(body, |event| found.extend(serde_json::from_slice::<Value>(event.data)));
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn arguments(value: &Value) -> Value {
    serde_json::from_str(value.as_str().expect("arguments as text")).expect("arguments in JSON")
}

fn stop(word: &str) -> String {
    match word {
        "stop" | "end_turn" | "completed" | "STOP" => "end",
        "length" | "max_tokens" | "incomplete" | "MAX_TOKENS" => "length",
        "tool_calls" | "tool_use" => "tools",
        other => other,
    }
    .to_owned()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn whole(dialect: Dialect, answer: &Value) -> Read {
    let named = if dialect == Dialect::Gemini { "modelVersion" } else { "model" };
    let model = text(&answer[named]);
    let read = match dialect {
        Dialect::OpenaiChat => of_chat(answer),
        Dialect::OpenaiResponses => of_responses(answer),
        Dialect::Anthropic => of_messages(answer),
        Dialect::Gemini => of_gemini(answer),
    };
    Read { model, ..read }
}

fn of_chat(answer: &Value) -> Read {
    let (choice, usage) = (&answer["choices"][0], &answer["usage"]);
    let message = &choice["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let function = &call["function"];
        (text(&call["id"]), text(&function["name"]), arguments(&function["arguments"]))
    });
    Read {
        text: text(&message["content"]),
        reasoning: text(&message["reasoning_content"]),
        calls: calls.collect(),
        stop: stop(&text(&choice["finish_reason"])),
        usage: (
            count(&usage["prompt_tokens"]),
            count(&usage["prompt_tokens_details"]["cached_tokens"]),
            count(&usage["completion_tokens"]),
        ),
        history: vec![message.clone()],
        ..Read::default()
    }
}

fn of_responses(answer: &Value) -> Read {
    let mut read = Read::default();
    for item in answer["output"].as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("message") => read.text.push_str(&text(&item["content"][0]["text"])),
            Some("reasoning") => read.reasoning.push_str(&text(&item["summary"][0]["text"])),
            Some("function_call") => {
                let (id, name) = (text(&item["call_id"]), text(&item["name"]));
                read.calls.push((id, name, arguments(&item["arguments"])));
            }
            Some("custom_tool_call") => {
                read.calls.push((text(&item["call_id"]), text(&item["name"]), item["input"].clone()));
            }
            other => panic!("an item {other:?}"),
        }
        read.history.push(item.clone());
    }
    read.stop = if read.calls.is_empty() { stop(&text(&answer["status"])) } else { stop("tool_use") };
    let usage = &answer["usage"];
    read.usage = (
        count(&usage["input_tokens"]),
        count(&usage["input_tokens_details"]["cached_tokens"]),
        count(&usage["output_tokens"]),
    );
    read
}

fn of_messages(answer: &Value) -> Read {
    let mut read = Read { stop: stop(&text(&answer["stop_reason"])), ..Read::default() };
    for block in answer["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => read.text.push_str(&text(&block["text"])),
            Some("thinking") => read.reasoning.push_str(&text(&block["thinking"])),
            Some("tool_use") => {
                read.calls.push((text(&block["id"]), text(&block["name"]), block["input"].clone()));
            }
            other => panic!("a block {other:?}"),
        }
    }
    let usage = &answer["usage"];
    let cached = count(&usage["cache_read_input_tokens"]);
    let input = count(&usage["input_tokens"]) + cached + count(&usage["cache_creation_input_tokens"]);
    read.usage = (input, cached, count(&usage["output_tokens"]));
    read.history = vec![json!({ "role": "assistant", "content": answer["content"] })];
    read
}

fn of_gemini(answer: &Value) -> Read {
    let candidate = &answer["candidates"][0];
    let mut read = Read { stop: stop(&text(&candidate["finishReason"])), ..Read::default() };
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if let Some(call) = part["functionCall"].as_object() {
            read.calls.push((text(&call["id"]), text(&call["name"]), call["args"].clone()));
        } else {
            let to = if part["thought"] == true { &mut read.reasoning } else { &mut read.text };
            to.push_str(part["text"].as_str().expect("a part of text"));
        }
    }
    if !read.calls.is_empty() {
        // Gemini stops in the same way whether it asks for tools or not.
        assert_eq!(read.stop, "end");
        read.stop = "tools".to_owned();
    }
    let usage = &answer["usageMetadata"];
    read.usage = (
        count(&usage["promptTokenCount"]),
        count(&usage["cachedContentTokenCount"]),
        count(&usage["candidatesTokenCount"]) + count(&usage["thoughtsTokenCount"]),
    );
    read.history = vec![candidate["content"].clone()];
    read
}

/// The plain answer that a stream's events add up to, as a client adds them up.
fn assembled(dialect: Dialect, events: &[Value]) -> Read {
    match dialect {
        Dialect::OpenaiChat => whole(dialect, &chat(events)),
        Dialect::OpenaiResponses => {
            let is_end = |event: &&Value| {
                matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete"))
            };
            whole(dialect, &events.iter().find(is_end).expect("an end")["response"])
        }
        Dialect::Anthropic => whole(dialect, &messages(events)),
        Dialect::Gemini => whole(dialect, &chunks(events)),
    }
}

fn append(to: &mut Value, more: &Value) {
    if let Some(more) = more.as_str() {
        *to = Value::from(text(to) + more);
    }
}

fn chat(chunks: &[Value]) -> Value {
    let mut answer = json!({ "choices": [{ "message": { "role": "assistant" } }] });
    for chunk in chunks {
        answer["model"] = chunk["model"].clone();
        if chunk["usage"].is_object() {
            answer["usage"] = chunk["usage"].clone();
        }
        let told = &chunk["choices"][0];
        let choice = &mut answer["choices"][0];
        if told["finish_reason"].is_string() {
            choice["finish_reason"] = told["finish_reason"].clone();
        }
        for name in ["content", "reasoning_content"] {
            append(&mut choice["message"][name], &told["delta"][name]);
        }
        for call in told["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let calls = &mut choice["message"]["tool_calls"];
            if calls.is_null() {
                *calls = json!([]);
            }
            let place = usize::try_from(call["index"].as_u64().expect("an index")).expect("a small index");
            let calls = calls.as_array_mut().expect("a list");
            if place == calls.len() {
                calls.push(json!({
                    "id": call["id"], "type": "function",
                    "function": { "name": call["function"]["name"], "arguments": "" },
                }));
            }
            append(&mut calls[place]["function"]["arguments"], &call["function"]["arguments"]);
        }
    }
    answer
}

fn messages(events: &[Value]) -> Value {
    let mut answer = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    for event in events {
        let place = usize::try_from(event["index"].as_u64().unwrap_or_default()).expect("a small index");
        match event["type"].as_str() {
            Some("message_start") => answer = event["message"].clone(),
            Some("content_block_start") => {
                answer["content"].as_array_mut().expect("a list").push(event["content_block"].clone());
                inputs.push(String::new());
            }
            Some("content_block_delta") => {
                let (delta, block) = (&event["delta"], &mut answer["content"][place]);
                for name in ["text", "thinking", "signature"] {
                    append(&mut block[name], &delta[name]);
                }
                inputs[place].push_str(&text(&delta["partial_json"]));
            }
            Some("content_block_stop") if !inputs[place].is_empty() => {
                let input = serde_json::from_str(&inputs[place]).expect("an input in JSON");
                answer["content"][place]["input"] = input;
            }
            Some("message_delta") => {
                answer["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    answer["usage"][name] = value.clone();
                }
            }
            _ => {}
        }
    }
    // Members that the blocks of other types do not have.
    for block in answer["content"].as_array_mut().into_iter().flatten() {
        if let Some(members) = block.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
    }
    answer
}

/// Chunks are answers whose parts follow each other; each has its own signature.
fn chunks(events: &[Value]) -> Value {
    let (mut answer, mut parts) = (Value::Null, Vec::new());
    for chunk in events {
        let said = chunk["candidates"][0]["content"]["parts"].as_array();
        parts.extend(said.into_iter().flatten().cloned());
        answer = chunk.clone();
    }
    answer["candidates"][0]["content"] = json!({ "role": "model", "parts": parts });
    answer
}
