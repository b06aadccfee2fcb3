//! The shapes that the official SDKs and documentation describe.

use lunaroute_core::{StopReason, Usage};
use lunaroute_sim::{Finish, Outcome, Script};
use serde_json::{Value, json};

use crate::client::{
    CHAT, GENERATIONS, MESSAGES, RESPONSES, Reply, body, exchange, last_entry, post, provider, short,
};

/// What an answer says, read from its wire form alone.
#[derive(Debug, Default, PartialEq)]
struct Said {
    id: String,
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    stop: String,
    usage: Value,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat_stream(reply: &Reply) -> Said {
    let events = reply.events();
    assert_eq!(events.last().expect("events").1, "[DONE]");
    assert_eq!(events[0].1["choices"][0]["delta"]["role"], "assistant");
    let mut said = Said { id: text(&events[0].1["id"]).to_owned(), ..Said::default() };
    for (name, chunk) in &events[..events.len() - 1] {
        assert_eq!((name.as_str(), &chunk["object"]), ("", &json!("chat.completion.chunk")));
        assert_eq!(chunk["id"], events[0].1["id"]);
        let delta = &chunk["choices"][0]["delta"];
        said.text.push_str(text(&delta["content"]));
        said.reasoning.push_str(text(&delta["reasoning_content"]));
        said.refusal.push_str(text(&delta["refusal"]));
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().expect("an index") as usize;
            if call.get("id").is_some() {
                assert_eq!(index, said.calls.len());
                let name = text(&call["function"]["name"]).to_owned();
                said.calls.push((text(&call["id"]).to_owned(), name, String::new()));
            }
            said.calls[index].2.push_str(text(&call["function"]["arguments"]));
        }
        said.stop.push_str(text(&chunk["choices"][0]["finish_reason"]));
        match &chunk["usage"] {
            Value::Null => {}
            usage => {
                assert_eq!(chunk["choices"], json!([]));
                said.usage = usage.clone();
            }
        }
    }
    said
}

fn chat_plain(reply: &Reply) -> Said {
    let body = reply.json();
    let message = &body["choices"][0]["message"];
    let call = |call: &Value| {
        let function = &call["function"];
        (
            text(&call["id"]).to_owned(),
            text(&function["name"]).to_owned(),
            text(&function["arguments"]).to_owned(),
        )
    };
    Said {
        id: text(&body["id"]).to_owned(),
        text: text(&message["content"]).to_owned(),
        reasoning: text(&message["reasoning_content"]).to_owned(),
        refusal: text(&message["refusal"]).to_owned(),
        calls: message["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
        stop: text(&body["choices"][0]["finish_reason"]).to_owned(),
        usage: body["usage"].clone(),
    }
}

/// Deltas, `done` events and the final response must tell the same.
fn responses_stream(reply: &Reply) -> Said {
    let events = reply.events();
    let mut joined = String::new();
    let mut done_items = Vec::new();
    for (place, (name, event)) in events.iter().enumerate() {
        assert_eq!(
            (text(&event["type"]), event["sequence_number"].as_u64()),
            (name.as_str(), Some(place as u64))
        );
        match name.as_str() {
            "response.output_item.added" => joined.clear(),
            "response.output_item.done" => done_items.push(event["item"].clone()),
            delta if delta.ends_with(".delta") => joined.push_str(text(&event["delta"])),
            "response.output_text.done" | "response.reasoning_summary_text.done" => {
                assert_eq!(joined, text(&event["text"]));
            }
            "response.refusal.done" => assert_eq!(joined, text(&event["refusal"])),
            "response.function_call_arguments.done" => assert_eq!(joined, text(&event["arguments"])),
            _ => {}
        }
    }
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("response.created", "response.in_progress"));
    let response = &events.last().expect("events").1["response"];
    assert_eq!(response["output"], json!(done_items));
    responses_body(response)
}

fn responses_body(body: &Value) -> Said {
    let mut said = Said {
        id: text(&body["id"]).to_owned(),
        stop: text(&body["status"]).to_owned(),
        usage: body["usage"].clone(),
        ..Said::default()
    };
    for item in body["output"].as_array().expect("output") {
        match text(&item["type"]) {
            "message" => {
                said.text.push_str(text(&item["content"][0]["text"]));
                said.refusal.push_str(text(&item["content"][0]["refusal"]));
            }
            "reasoning" => said.reasoning.push_str(text(&item["summary"][0]["text"])),
            "function_call" => said.calls.push((
                text(&item["call_id"]).to_owned(),
                text(&item["name"]).to_owned(),
                text(&item["arguments"]).to_owned(),
            )),
            other => panic!("an item of type {other}"),
        }
    }
    said
}

fn messages_stream(reply: &Reply) -> Said {
    let events = reply.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("message_start", "message_stop"));
    assert_eq!(names[names.len() - 2], "message_delta");
    assert!(
        names.contains(&"ping")
            || !names.contains(&"content_block_delta")
            || !reply.text().contains("text_delta")
    );
    let mut message = events[0].1["message"].clone();
    let mut inputs: Vec<String> = Vec::new();
    for (name, event) in &events {
        assert_eq!(event["type"], name.as_str());
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        match name.as_str() {
            "content_block_start" => {
                let content = message["content"].as_array_mut().expect("content");
                assert_eq!(content.len(), index);
                content.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = &mut message["content"][index];
                match text(&delta["type"]) {
                    "text_delta" => {
                        block["text"] = json!(format!("{}{}", text(&block["text"]), text(&delta["text"])))
                    }
                    "thinking_delta" => {
                        block["thinking"] =
                            json!(format!("{}{}", text(&block["thinking"]), text(&delta["thinking"])));
                    }
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => inputs[index].push_str(text(&delta["partial_json"])),
                    other => panic!("a delta of type {other}"),
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
                if let Some(details) = event["delta"].get("stop_details") {
                    message["stop_details"] = details.clone();
                }
            }
            _ => {}
        }
    }
    for (index, input) in inputs.iter().enumerate().filter(|(_, input)| !input.is_empty()) {
        message["content"][index]["input"] = serde_json::from_str(input).expect("whole arguments");
    }
    messages_body(&message)
}

fn messages_body(body: &Value) -> Said {
    let mut said = Said {
        id: text(&body["id"]).to_owned(),
        stop: text(&body["stop_reason"]).to_owned(),
        usage: body["usage"].clone(),
        refusal: text(&body["stop_details"]["explanation"]).to_owned(),
        ..Said::default()
    };
    for block in body["content"].as_array().expect("content") {
        match text(&block["type"]) {
            "text" => said.text.push_str(text(&block["text"])),
            "thinking" => {
                assert!(!text(&block["signature"]).is_empty());
                said.reasoning.push_str(text(&block["thinking"]));
            }
            "tool_use" => said.calls.push((
                text(&block["id"]).to_owned(),
                text(&block["name"]).to_owned(),
                block["input"].to_string(),
            )),
            other => panic!("a block of type {other}"),
        }
    }
    said
}

fn read(path: &str, stream: bool, reply: &Reply) -> Said {
    assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.head);
    match (path, stream) {
        (CHAT, true) => chat_stream(reply),
        (CHAT, false) => chat_plain(reply),
        (RESPONSES, true) => responses_stream(reply),
        (RESPONSES, false) => responses_body(&reply.json()),
        (_, true) => messages_stream(reply),
        (_, false) => messages_body(&reply.json()),
    }
}

/// The request's body with two tools in the dialect's shape.
fn with_tools(path: &str, stream: bool) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = |name: &str| match path {
        CHAT => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
        RESPONSES => json!({"type": "function", "name": name, "parameters": schema}),
        _ => json!({"name": name, "input_schema": schema}),
    };
    let mut body = body(path, "gpt-sim", stream);
    body["tools"] = json!([tool("weather"), tool("time")]);
    body
}

/// Streams and plain answers of all dialects, against each other and against the ledger.
#[tokio::test]
async fn plain_streamed_and_written_down_are_the_same() {
    let scripts = [
        Script::default(),
        Script { text: Some("Ünïcode \"quoted\"\n\u{1f319} text".to_owned()), ..Script::default() },
        Script { reasoning_tokens: 7, cached_tokens: 900, cache_write_tokens: 30, ..Script::text(5) },
        Script::tools(1),
        Script { reasoning_tokens: 3, ..Script::tools(3) },
        Script { finish: Finish::Length, ..Script::default() },
        Script { finish: Finish::Refusal, ..Script::default() },
    ];
    let provider = provider().await;
    let mut number = 0;
    for path in GENERATIONS {
        for script in &scripts {
            // A plain answer's length counts the request's: the stream flag and its options are of another length.
            let mut told = Vec::new();
            for stream in [true, false] {
                let mut body = with_tools(path, stream);
                body["stream"] = json!(stream);
                let reply = post(&provider, path, script, &body).await;
                let said = read(path, stream, &reply);
                number += 1;
                let entry = last_entry(&provider, number).await;
                assert_eq!(entry.outcome, Some(Outcome::Completed));
                assert_eq!(
                    (entry.text.as_str(), entry.reasoning.as_str()),
                    (said.text.as_str(), said.reasoning.as_str())
                );
                assert_eq!(entry.tool_calls as usize, said.calls.len());
                assert_eq!(entry.usage, usage(path, &said.usage), "{path} {script:?}");
                assert_eq!(entry.stop, Some(stop(&said)), "{path} {script:?}");
                assert_eq!((entry.model.as_deref(), entry.stream), (Some("gpt-sim"), stream));
                assert_eq!(entry.bytes_sent, reply.body.len() as u64);
                let events = if stream { reply.events().len() as u64 } else { 1 };
                assert_eq!(entry.events_sent, events);
                told.push(said);
            }
            let shape = |said: &Said| {
                let names: Vec<String> = said.calls.iter().map(|(_, name, _)| name.clone()).collect();
                (said.stop.clone(), names, said.text.split(' ').count(), said.refusal.clone())
            };
            assert_eq!(shape(&told[0]), shape(&told[1]), "{path} {script:?}");
            for (_, _, arguments) in told.iter().flat_map(|said| &said.calls) {
                let arguments: Value = serde_json::from_str(arguments).expect("JSON");
                assert!(arguments["city"].is_string(), "{arguments}");
            }
        }
    }
    println!("answers compared: {number}");
}

/// Vendors' figures in disjoint classes.
fn usage(path: &str, told: &Value) -> Usage {
    let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64);
    if path == MESSAGES {
        return Usage {
            input: number("/input_tokens"),
            cache_read: number("/cache_read_input_tokens"),
            cache_write_5m: number("/cache_creation/ephemeral_5m_input_tokens"),
            cache_write_1h: number("/cache_creation/ephemeral_1h_input_tokens"),
            output: number("/output_tokens"),
            reasoning: number("/output_tokens_details/thinking_tokens"),
        };
    }
    let (input, output) = if path == CHAT { ("prompt", "completion") } else { ("input", "output") };
    let cache_read = number(&format!("/{input}_tokens_details/cached_tokens"));
    let cache_write = number(&format!("/{input}_tokens_details/cache_write_tokens"));
    let all = number(&format!("/{input}_tokens")).expect("input tokens");
    let output_tokens = number(&format!("/{output}_tokens"));
    assert_eq!(number("/total_tokens"), output_tokens.map(|output| output + all));
    Usage {
        input: Some(all - cache_read.unwrap_or(0) - cache_write.unwrap_or(0)),
        cache_read,
        cache_write_5m: cache_write,
        cache_write_1h: None,
        output: output_tokens,
        reasoning: number(&format!("/{output}_tokens_details/reasoning_tokens")),
    }
}

fn stop(said: &Said) -> StopReason {
    match said.stop.as_str() {
        "length" | "max_tokens" | "incomplete" => StopReason::Length,
        _ if !said.refusal.is_empty() => StopReason::Refusal,
        _ if !said.calls.is_empty() => StopReason::ToolUse,
        "stop" | "end_turn" | "completed" => StopReason::EndTurn,
        other => panic!("an unexpected stop: {other}"),
    }
}

#[tokio::test]
async fn a_token_limit_of_the_request_ends_the_text() {
    let provider = provider().await;
    for (path, field) in
        [(CHAT, "max_completion_tokens"), (RESPONSES, "max_output_tokens"), (MESSAGES, "max_tokens")]
    {
        let mut body = body(path, "m", true);
        body[field] = json!(5);
        let said = read(path, true, &short(&provider, path, "text=50", &body).await);
        assert_eq!((said.text.split(' ').count(), stop(&said)), (5, StopReason::Length), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_generation_has_its_shape_too() {
    let provider = provider().await;
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 4, "messages": [], "prompt": "a"})
        .to_string();
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let sent = if method == "POST" { body.as_bytes() } else { b"" };
        let reply = exchange(&provider, method, path, headers, sent).await;
        assert_eq!(reply.status, 200, "{path}");
        reply.json()
    };
    let openai = ask("GET", "/v1/models", &[]).await;
    assert_eq!((&openai["object"], &openai["data"][0]["object"]), (&json!("list"), &json!("model")));
    let anthropic = ask("GET", "/v1/models?limit=1000", &[("anthropic-version", "2023-06-01")]).await;
    assert_eq!((&anthropic["has_more"], &anthropic["data"][0]["type"]), (&json!(false), &json!("model")));
    assert_eq!(ask("GET", "/v1/models/any", &[]).await["id"], "any");
    let embeddings = ask("POST", "/v1/embeddings", &[]).await;
    assert_eq!(embeddings["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(embeddings["data"][1]["embedding"].as_array().map(Vec::len), Some(4));
    let counted = ask("POST", "/v1/messages/count_tokens?beta=true", &[]).await;
    assert_eq!(counted["input_tokens"], body.len().div_ceil(4));
    assert_eq!(ask("POST", "/v1/completions", &[]).await["object"], "text_completion");
    let other = ask("POST", "/v1/files?purpose=x", &[]).await;
    assert_eq!((&other["method"], &other["path"]), (&json!("POST"), &json!("/v1/files?purpose=x")));
    assert_eq!(other["body_digest"], blake3::hash(body.as_bytes()).to_hex().as_str());
}
