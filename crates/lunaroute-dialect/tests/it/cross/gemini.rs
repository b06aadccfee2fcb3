//! Gemini as either end of a way.

use http::{HeaderMap, StatusCode};
use lunaroute_core::conversation::{ModelFacts, Sent as Told};
use lunaroute_core::{Addressed, Dialect};
use lunaroute_dialect::cross::{Meaning, Profile, decode_addressed, told_error};
use lunaroute_dialect::error::upstream_error;
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, delta, done, events, finish, sent, streamed, told,
    try_sent,
};
use crate::fixtures::{CHAT_TOOLS, GEMINI_TOOLS, MESSAGES_TOOLS, RESPONSES_TOOLS};

const OTHERS: [Dialect; 3] = [CHAT, RESPONSES, MESSAGES];

/// A request of a tool loop, as Gemini's clients send it.
fn loop_request() -> Value {
    json!({
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "look"}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "EqQB"},
                {"function_call": {"name": "weather", "args": {"city": "Oslo"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "weather", "response": {"output": "sunny"}}},
                {"function_response": {"name": "weather", "response": {"error": "no such place"}}},
            ]},
        ],
        "tools": [{"function_declarations": [{
            "name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": true}}},
        }]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "generation_config": {"max_output_tokens": 99, "thinking_config": {"thinking_budget": 8000}},
    })
}

#[test]
fn a_tool_loop_of_gemini_is_one_elsewhere() {
    let chat = sent(GEMINI, CHAT, &loop_request()).body;
    assert_eq!(chat["messages"][0]["content"], "be brief");
    let calls = chat["messages"][2]["tool_calls"].as_array().expect("calls");
    let ids: Vec<&str> = calls.iter().filter_map(|call| call["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "ids are made and differ: {calls:?}");
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    let results = &chat["messages"].as_array().expect("messages")[3..];
    assert_eq!((&results[0]["tool_call_id"], &results[0]["content"]), (&json!(ids[0]), &json!("sunny")));
    assert_eq!(
        (&results[1]["tool_call_id"], &results[1]["content"]),
        (&json!(ids[1]), &json!("Error: no such place"))
    );
    let schema = &chat["tools"][0]["function"]["parameters"];
    assert_eq!(schema["properties"]["city"]["type"], json!(["string", "null"]));
    assert_eq!((&chat["tool_choice"], &chat["reasoning_effort"]), (&json!("required"), &json!("medium")));

    let messages = sent(GEMINI, MESSAGES, &loop_request()).body;
    assert_eq!(messages["max_tokens"], 99);
    let results = messages["messages"][2]["content"].as_array().expect("results");
    assert_eq!((results[0].get("is_error"), &results[1]["is_error"]), (None, &json!(true)));
    let shown = messages.to_string();
    assert!(!shown.contains("EqQB") && !shown.contains("hm\""), "a seal goes to its maker only: {shown}");
}

#[test]
fn a_request_of_each_dialect_is_one_of_gemini() {
    let chat = json!({
        "model": "m", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "[1]"}},
            ]},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": false,
        "stop": ["1", "2", "3", "4", "5", "6"], "temperature": 2, "seed": 4, "user": "u", "logit_bias": {"1": 1},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    });
    let sent = sent(CHAT, GEMINI, &chat);
    assert_eq!(
        sent.body,
        json!({
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": " "}]},
                {"role": "model", "parts": [
                    {"functionCall": {"id": "c1", "name": "weather", "args": {}}},
                    {"functionCall": {"id": "c2", "name": "weather", "args": {"_raw": "[1]"}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "one"}}},
                    {"functionResponse": {"id": "c2", "name": "weather", "response": {"output": "two"}}},
                    {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}},
                ]},
            ],
            "tools": [{"functionDeclarations": [{"name": "weather"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
            "generationConfig": {
                "temperature": 2, "seed": 4, "stopSequences": ["1", "2", "3", "4", "5"],
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            },
        })
    );
    for path in ["!logit_bias", "!parallel_tool_calls", "!stop", "!user"] {
        assert!(sent.warnings.iter().any(|warning| warning == path), "{path}: {:?}", sent.warnings);
    }
}

#[test]
fn case_45_a_result_that_failed_says_so() {
    for (content, response) in
        [(json!([]), json!({"error": "(no output)"})), (json!("bad"), json!({"error": "bad"}))]
    {
        let request = json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": content}]},
        ]});
        let body = sent(MESSAGES, GEMINI, &request).body;
        assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["response"], response);
    }
}

#[test]
fn case_49_properties_with_the_names_of_keywords_stay_where_they_are() {
    let schema = json!({
        "$schema": "x", "type": "object", "additionalProperties": false,
        "properties": {
            "default": {"type": "string", "default": "a"}, "format": {"type": "string", "format": "odd"},
            "$schema": {"type": "integer"},
        },
    });
    let request = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}],
        "tools": [{"name": "f", "input_schema": schema}]});
    let functions = &sent(MESSAGES, GEMINI, &request).body["tools"][0]["functionDeclarations"];
    // The member for JSON Schema takes the keywords as well, so nothing at all is taken out.
    assert_eq!(*functions, json!([{"name": "f", "parametersJsonSchema": schema}]));
    // In the schemas that Gemini's clients send, its own keywords become those of JSON Schema, and properties stay.
    let open = json!({"contents": [{"parts": [{"text": "q"}]}], "tools": [{"functionDeclarations": [{
        "name": "f", "parameters": {"type": "OBJECT", "propertyOrdering": ["nullable"], "properties": {
            "nullable": {"type": "STRING", "nullable": true}, "propertyOrdering": {"type": "ARRAY", "items": {"type": "STRING"}},
        }},
    }]}]});
    let parameters = &sent(GEMINI, CHAT, &open).body["tools"][0]["function"]["parameters"];
    let properties = json!({
        "nullable": {"type": ["string", "null"]}, "propertyOrdering": {"type": "array", "items": {"type": "string"}},
    });
    assert_eq!(*parameters, json!({"type": "object", "properties": properties}));
}

#[test]
fn case_50_a_function_without_parameters_has_none() {
    let request = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}],
        "tools": [{"name": "g", "input_schema": {"type": "object", "properties": {}}}]});
    let functions = &sent(MESSAGES, GEMINI, &request).body["tools"][0]["functionDeclarations"];
    assert_eq!(*functions, json!([{"name": "g"}]));
}

/// Facts of a model that thinks by levels and wants its signatures back.
fn third() -> ModelFacts {
    ModelFacts { needs_call_seals: true, thinking: Told::Level, ..ModelFacts::default() }
}

#[test]
fn case_59_a_call_without_its_signature_gets_the_documented_one() {
    let stream = told(GEMINI, CHAT, GEMINI_TOOLS);
    let calls: Vec<&Value> =
        stream.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    assert_eq!(calls[0]["id"], "fc-1");
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "tool", "tool_call_id": "b", "content": "2"},
    ]});
    let sent = try_sent(CHAT, GEMINI, &request, &third(), &Profile::default()).expect("it crosses");
    let parts = &sent.body["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(parts[1].get("thoughtSignature").is_none(), "the first of parallel calls alone");
}

#[test]
fn geminis_signatures_come_back_through_clients_that_carry_seals() {
    for to in [MESSAGES, RESPONSES] {
        let request = match to {
            MESSAGES => {
                json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]})
            }
            _ => json!({"model": "m", "input": "q", "include": ["reasoning.encrypted_content"]}),
        };
        let asked = sent(to, GEMINI, &request).asked;
        let answer = json!({"responseId": "r", "modelVersion": "g", "candidates": [{"content": {"parts": [
            {"text": "hm", "thought": true},
            {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1}}, "thoughtSignature": "EqQB"},
            {"functionCall": {"id": "c2", "name": "f", "args": {"n": 2}}},
        ]}, "finishReason": "STOP"}]});
        let told = answered(GEMINI, to, &answer, &asked);
        let mut again = request;
        if to == MESSAGES {
            let results =
                ["c1", "c2"].map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"}));
            again["messages"] = json!([
                {"role": "user", "content": "q"}, {"role": "assistant", "content": told["content"]},
                {"role": "user", "content": results},
            ]);
        } else {
            let mut items = vec![json!({"role": "user", "content": "q"})];
            items.extend(told["output"].as_array().expect("items").iter().cloned());
            items.extend(
                ["c1", "c2"].map(|id| json!({"type": "function_call_output", "call_id": id, "output": "ok"})),
            );
            again["input"] = json!(items);
        }
        let sent = try_sent(to, GEMINI, &again, &third(), &Profile::default()).expect("it crosses");
        let parts = sent.body["contents"][1]["parts"].as_array().expect("parts");
        let signatures: Vec<Option<&str>> =
            parts.iter().map(|part| part.get("thoughtSignature").and_then(Value::as_str)).collect();
        assert_eq!(signatures, [Some("EqQB"), None], "{to}: {parts:?}");
    }
}

#[test]
fn anthropics_signatures_come_back_through_geminis_clients() {
    for shown in [false, true] {
        let request = json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "q"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": shown, "thinkingBudget": 4096}}});
        let asked = sent(GEMINI, MESSAGES, &request).asked;
        let answer = json!({"id": "m", "model": "c", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig+/="},
            {"type": "redacted_thinking", "data": "zz"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1}},
        ], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}});
        let told = answered(MESSAGES, GEMINI, &answer, &asked);
        let content = &told["candidates"][0]["content"];
        assert_eq!(content.to_string().contains("hm"), shown, "{content}");
        let mut again = request;
        let result =
            json!({"functionResponse": {"id": "toolu_1", "name": "f", "response": {"output": "ok"}}});
        again["contents"] = json!([
            {"role": "user", "parts": [{"text": "q"}]}, content, {"role": "user", "parts": [result]},
        ]);
        let body = sent(GEMINI, MESSAGES, &again).body;
        let turn = body["messages"][1]["content"].as_array().expect("blocks");
        let kinds: Vec<&str> = turn.iter().filter_map(|block| block["type"].as_str()).collect();
        assert_eq!(kinds, ["thinking", "redacted_thinking", "tool_use"], "{turn:?}");
        assert_eq!((&turn[0]["signature"], &turn[1]["data"]), (&json!("sig+/="), &json!("zz")));
    }
}

#[test]
fn geminis_stream_is_one_of_every_other_dialect() {
    let asked = |to| asked(to, GEMINI);
    let chat = streamed(GEMINI, CHAT, GEMINI_TOOLS, asked(CHAT));
    assert!(chat.contains(r#""finish_reason":"tool_calls""#) && chat.ends_with("data: [DONE]\n\n"), "{chat}");
    assert!(chat.contains(r#""prompt_tokens":1007"#) && chat.contains(r#""cached_tokens":600"#), "{chat}");
    assert!(
        chat.contains(r#""reasoning_tokens":30"#) && chat.contains(r#""completion_tokens":50"#),
        "{chat}"
    );
    let messages = events(&streamed(GEMINI, MESSAGES, GEMINI_TOOLS, asked(MESSAGES)));
    let kinds: Vec<&str> =
        messages.iter().filter_map(|event| event.pointer("/content_block/type")?.as_str()).collect();
    assert_eq!(kinds, ["thinking", "text", "thinking", "tool_use", "tool_use", "text"]);
    let last = &messages[messages.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    let responses = streamed(GEMINI, RESPONSES, GEMINI_TOOLS, asked(RESPONSES));
    assert!(
        responses.contains("response.completed") && responses.contains(r#""name":"list""#),
        "{responses}"
    );
    for to in OTHERS {
        let open = &GEMINI_TOOLS[..GEMINI_TOOLS.rfind("data:").expect("the last event")];
        let broken = streamed(GEMINI, to, open, asked(to));
        assert!(broken.contains("error"), "a stream without a finish reason is no whole one: {broken}");
    }
}

#[test]
fn every_other_dialects_stream_is_one_of_gemini() {
    for (from, stream) in [(CHAT, CHAT_TOOLS), (RESPONSES, RESPONSES_TOOLS), (MESSAGES, MESSAGES_TOOLS)] {
        let chunks = told(from, GEMINI, stream);
        let parts: Vec<&Value> = chunks
            .iter()
            .filter_map(|chunk| chunk.pointer("/candidates/0/content/parts"))
            .flat_map(|parts| parts.as_array().expect("parts"))
            .collect();
        assert_eq!(parts[0]["thought"], true, "{from}: {parts:?}");
        let calls: Vec<&Value> = parts.iter().filter_map(|part| part.get("functionCall")).collect();
        assert_eq!(calls[0]["args"], json!({"p": 1}), "{from}");
        assert!(calls.len() >= 2 && calls.iter().all(|call| call["id"].is_string()), "{from}: {calls:?}");
        let last = chunks.last().expect("a chunk");
        assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{from}");
        let figures = &last["usageMetadata"];
        let count = |name: &str| figures[name].as_u64().unwrap_or_default();
        let sum = count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount");
        assert!(sum > 0 && sum == count("totalTokenCount"), "{from}: {figures}");
    }
    let cut = told(CHAT, GEMINI, &done(&[delta(json!({"content": "a"})), finish("length")]));
    assert_eq!(cut.last().expect("a chunk")["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn what_google_filters_is_a_refusal_elsewhere() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
    let chat = answered(GEMINI, CHAT, &blocked, &asked(CHAT, GEMINI));
    assert_eq!(chat["choices"][0]["finish_reason"], "content_filter");
    let filtered = json!({"candidates": [{"finishReason": "SAFETY"}]});
    let message = answered(GEMINI, MESSAGES, &filtered, &asked(MESSAGES, GEMINI));
    assert_eq!(message["stop_reason"], "refusal");
}

#[test]
fn effort_is_a_level_or_a_budget() {
    let request = |effort: &str| json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "reasoning_effort": effort});
    let told = |effort: &str, facts: &ModelFacts| {
        let sent = try_sent(CHAT, GEMINI, &request(effort), facts, &Profile::default()).expect("it crosses");
        sent.body["generationConfig"]["thinkingConfig"].clone()
    };
    let second = ModelFacts { thinking: Told::Budget, budget: (0, 24_576), ..ModelFacts::default() };
    for (effort, level, budget) in [
        ("minimal", "MINIMAL", 512),
        ("low", "LOW", 1_024),
        ("medium", "MEDIUM", 8_192),
        ("high", "HIGH", 24_576),
    ] {
        assert_eq!(told(effort, &third()), json!({"thinkingLevel": level}));
        assert_eq!(told(effort, &second), json!({"thinkingBudget": budget}));
    }
    assert_eq!(told("none", &second), json!({"thinkingBudget": 0}));
    assert_eq!(told("none", &third()), json!({"thinkingLevel": "MINIMAL"}));
}

#[test]
fn what_cannot_cross_is_refused_by_name() {
    for (member, value) in
        [("cachedContent", json!("c")), ("generationConfig", json!({"responseModalities": ["IMAGE"]}))]
    {
        let mut request = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}]});
        request[member] = value;
        for to in OTHERS {
            let failure = try_sent(GEMINI, to, &request, &ModelFacts::default(), &Profile::default());
            assert!(failure.expect_err("refused").message.contains(member), "{to} {member}");
        }
    }
    let url = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
    ]}]});
    let failure = try_sent(CHAT, GEMINI, &url, &ModelFacts::default(), &Profile::default());
    assert!(failure.expect_err("Google fetches nothing").message.contains("messages[0].content[0]"));
}

#[test]
fn the_path_says_model_and_stream() {
    let addressed = Addressed { model: "gemini-3-pro".to_owned(), stream: true };
    let decoded = decode_addressed(GEMINI, &addressed, br#"{"contents":[]}"#).expect("a request");
    assert_eq!((decoded.model.as_str(), decoded.stream), ("gemini-3-pro", true));
}

#[test]
fn errors_have_googles_words_and_its_own_are_understood() {
    let cases = [
        (Meaning::ContextTooLong, 400, "INVALID_ARGUMENT"),
        (Meaning::NoCredit, 429, "RESOURCE_EXHAUSTED"),
        (Meaning::Overloaded, 503, "UNAVAILABLE"),
        (Meaning::OwnKey, 502, "INTERNAL"),
        (Meaning::Timeout, 504, "DEADLINE_EXCEEDED"),
    ];
    for (meaning, status, word) in cases {
        let (told, body) = told_error(GEMINI, meaning, "so it is", "req_1");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((told.as_u16(), &body["error"]["status"]), (status, &json!(word)));
        assert_eq!(body["error"]["code"], status);
    }
    let body =
        |status: &str, message: &str| json!({"error": {"code": 400, "message": message, "status": status}});
    let rows = [
        (429, body("RESOURCE_EXHAUSTED", "quota"), Meaning::RateLimit),
        (503, body("UNAVAILABLE", "overloaded"), Meaning::Overloaded),
        (400, body("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Meaning::OwnKey),
        (
            400,
            body("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum"),
            Meaning::ContextTooLong,
        ),
        (404, body("NOT_FOUND", "no model"), Meaning::NotFound),
    ];
    for (status, body, meaning) in rows {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = upstream_error(status, &HeaderMap::new(), body.to_string().as_bytes()).expect("an error");
        assert_eq!(Meaning::of(Some(status), &error, true), meaning, "{body}");
    }
}
