//! What holds for every request, whatever stands in it.

use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cross::{Crossing, Profile, decode_request, encode_request};

/// Requests as clients send them, one of each kind of thing.
fn requests(dialect: Dialect) -> Vec<Value> {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    match dialect {
        Dialect::OpenaiChat => vec![
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
            json!({
                "model": "m", "stream": true, "stream_options": {"include_usage": true}, "n": 1, "seed": 7,
                "temperature": 0.5, "stop": "END", "max_tokens": 9, "logprobs": true, "top_logprobs": 2,
                "messages": [
                    {"role": "system", "content": "be brief"}, {"role": "developer", "content": [{"type": "text", "text": "d"}]},
                    {"role": "user", "name": "u", "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                        {"type": "odd", "x": [1, null]},
                    ]},
                    {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}},
                        {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
                    ]},
                    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                    {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "done"}]},
                    {"role": "assistant", "content": "It is sunny.", "refusal": "no"},
                    {"role": "user", "content": "thanks"},
                ],
                "tools": [
                    {"type": "function", "function": {"name": "weather", "description": "d", "parameters": schema, "strict": true}},
                    {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
                    {"type": "function", "name": "flat", "parameters": schema},
                ],
                "tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": false,
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}},
                "reasoning_effort": "high", "verbosity": "low", "service_tier": "flex", "user": "u1",
                "prompt_cache_key": "k", "metadata": {"a": "b"}, "unknown": {"deep": [1.50, 1e9]},
            }),
            json!({
                "model": "m", "functions": [{"name": "f", "parameters": {}}], "function_call": "auto",
                "messages": [
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
                    {"role": "function", "name": "f", "content": "r"},
                ],
            }),
        ],
        Dialect::OpenaiResponses => vec![
            json!({"model": "m", "input": "hi"}),
            json!({
                "model": "m", "stream": true, "instructions": "be brief", "store": false,
                "include": ["reasoning.encrypted_content"], "max_output_tokens": 99, "temperature": 0.5,
                "input": [
                    {"role": "user", "content": "look"},
                    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d"}]},
                    {"type": "message", "role": "user", "content": [
                        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
                        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
                    ]},
                    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "xyz", "content": null},
                    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "namespace": "files", "arguments": "{}", "status": "completed"},
                    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
                    {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin\n"},
                    {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
                    {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
                    {"type": "message", "id": "msg_1", "role": "assistant", "phase": "final_answer", "content": [{"type": "output_text", "text": "done", "annotations": []}]},
                ],
                "tools": [
                    {"type": "function", "name": "f", "parameters": schema, "strict": false},
                    {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
                    {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read", "parameters": schema}]},
                    {"type": "web_search"},
                ],
                "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "high", "summary": "auto"},
                "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": schema}},
                "prompt_cache_key": "k", "client_metadata": {"session_id": "s"}, "service_tier": "auto",
            }),
        ],
        Dialect::Anthropic => vec![
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
            json!({
                "model": "m", "max_tokens": 4096, "stream": true, "temperature": 1, "top_k": 5, "stop_sequences": ["END"],
                "system": [
                    {"type": "text", "text": "x-anthropic-billing-header: a"},
                    {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                ],
                "messages": [
                    {"role": "user", "content": [
                        {"type": "text", "text": "look", "citations": null},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}, "title": "A", "context": "c"},
                        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "r"}]},
                    ]},
                    {"role": "assistant", "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "sig"},
                        {"type": "redacted_thinking", "data": "zz"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                        {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}, "caller": {"type": "direct"}},
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "cache_control": {"type": "ephemeral"}},
                        {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": [
                            {"type": "text", "text": "broken"},
                            {"type": "image", "source": {"type": "url", "url": "https://x.test/b.png"}},
                        ]},
                        {"type": "text", "text": "go on"},
                    ]},
                    {"role": "system", "content": "careful"},
                ],
                "tools": [
                    {"name": "weather", "description": "d", "input_schema": schema, "strict": true, "defer_loading": true},
                    {"type": "bash_20250124", "name": "bash"},
                    {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
                ],
                "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": true},
                "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
                "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": schema}, "task_budget": 3},
                "metadata": {"user_id": "u"}, "service_tier": "auto", "context_management": {"edits": []},
            }),
            json!({
                "model": "m", "max_tokens": 1, "system": "plain", "thinking": {"type": "between_tools"}, "stream": false,
                "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": []}]}],
                "tool_choice": {"type": "auto"},
            }),
        ],
        Dialect::Gemini => vec![
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            json!({
                "systemInstruction": {"role": "user", "parts": [{"text": "be brief"}, {"text": "d"}]},
                "contents": [
                    {"role": "user", "parts": [
                        {"text": "look"},
                        {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "mediaResolution": {"level": "LOW"}},
                        {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
                    ]},
                    {"role": "model", "parts": [
                        {"text": "hm", "thought": true, "thoughtSignature": "EqQB"},
                        {"text": "I look."},
                        {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "EqQC"},
                        {"functionCall": {"name": "weather", "args": {}}},
                        {"executableCode": {"language": "PYTHON", "code": "1"}},
                    ]},
                    {"role": "user", "parts": [
                        {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}},
                        {"functionResponse": {"name": "weather", "response": {"error": "broken", "more": [1, null]}}},
                        {"text": "go on"},
                    ]},
                    {"role": "model", "parts": [{"text": "", "thoughtSignature": "EqQD"}]},
                    {"role": "user", "parts": [{"text": "thanks"}]},
                ],
                "tools": [
                    {"functionDeclarations": [
                        {"name": "weather", "description": "d", "parametersJsonSchema": schema, "behavior": "BLOCKING"},
                        {"name": "now"},
                    ]},
                    {"googleSearch": {}},
                    {"codeExecution": {}},
                ],
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]},
                    "retrievalConfig": {"languageCode": "de"},
                },
                "generationConfig": {
                    "temperature": 0.5, "topP": 0.9, "topK": 5, "seed": 7, "maxOutputTokens": 99, "candidateCount": 1,
                    "stopSequences": ["END"], "presencePenalty": 0.5, "frequencyPenalty": 0.25,
                    "responseLogprobs": true, "logprobs": 2, "mediaResolution": "MEDIA_RESOLUTION_LOW",
                    "responseMimeType": "application/json", "responseJsonSchema": schema,
                    "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 2000},
                },
                "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "labels": {"a": "b"},
            }),
            json!({
                "contents": [{"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
                "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}, "responseMimeType": "text/plain"},
                "cachedContent": "cachedContents/x",
            }),
        ],
    }
}

#[test]
fn within_a_dialect_the_requests_of_clients_come_back_as_they_were() {
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let mut count = 0;
    for dialect in Dialect::ALL {
        for request in requests(dialect) {
            let decoded = decode_request(dialect, request.to_string().as_bytes()).expect("a request");
            let mut crossing = Crossing::new(&facts, &profile, "m");
            let encoded = encode_request(dialect, decoded, &mut crossing).expect("encodes");
            assert_eq!(encoded, request, "{dialect}");
            assert!(crossing.warnings.is_empty());
            count += 1;
        }
    }
    println!("{count} requests of {} dialects came back as they were", Dialect::ALL.len());
}

#[test]
fn within_a_dialect_the_model_gets_the_name_that_the_provider_knows() {
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    // Gemini's path names the model.
    for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::Gemini) {
        for mut request in requests(dialect) {
            let decoded = decode_request(dialect, request.to_string().as_bytes()).expect("a request");
            let mut crossing = Crossing::new(&facts, &profile, "theirs");
            let encoded = encode_request(dialect, decoded.clone(), &mut crossing).expect("encodes");
            request["model"] = "theirs".into();
            assert_eq!(encoded, request, "{dialect}");
        }
    }
}

#[test]
fn an_odd_request_comes_back_as_it_was() {
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let call = |call: Value| json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
    for (dialect, request) in [
        (Dialect::OpenaiChat, call(json!({"function": {"arguments": ""}}))),
        (Dialect::OpenaiChat, call(json!({"function": {"name": ""}}))),
        (Dialect::OpenaiChat, call(json!({"function": {"name": "f"}}))),
        (Dialect::OpenaiChat, call(json!({"custom": {"input": ""}, "type": "custom"}))),
        (Dialect::OpenaiChat, json!({"model": "m", "messages": [], "top_p": 1e42})),
        (Dialect::Gemini, json!({})),
        (Dialect::Gemini, json!({"contents": [], "tools": [], "toolConfig": {}, "generationConfig": {}})),
        (Dialect::Gemini, json!({"model": "models/m", "toolConfig": {"functionCallingConfig": {}}})),
        (
            Dialect::Gemini,
            json!({"toolConfig": {"functionCallingConfig": {"mode": "NONE", "allowedFunctionNames": ["a", "a"]}}}),
        ),
        (
            Dialect::Gemini,
            json!({"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "x": 1}, "y": {"z": 1}}}),
        ),
        (
            Dialect::Gemini,
            json!({"model": "m", "generateContentRequest": {"model": "models/m", "contents": [{}]}}),
        ),
        (
            Dialect::Gemini,
            json!({"systemInstruction": "be brief", "contents": [{"parts": []}, {"role": null}]}),
        ),
        (
            Dialect::Gemini,
            json!({"generationConfig": {
                "responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}, "responseLogprobs": true,
                "logprobs": 0, "thinkingConfig": {"thinkingLevel": "high", "thinkingBudget": -7, "odd": 1},
                "responseModalities": ["TEXT"], "stopSequences": [],
            }}),
        ),
        (
            Dialect::Gemini,
            json!({"tools": [
                {"googleSearch": {}, "functionDeclarations": [{"name": "a", "description": "", "parameters": {"type": "OBJECT"}}]},
                {"codeExecution": null}, {},
                {"functionDeclarations": [{"name": "b", "parameters": {}, "parametersJsonSchema": {}}, {"name": "c"}]},
                {"functionDeclarations": [], "odd": 7},
            ]}),
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"role": "model", "parts": [
                {"text": "a", "thought": false}, {"thought": true}, {"thought": true, "thoughtSignature": "s"}, {"text": "", "thought": true},
                {"thoughtSignature": "s"}, {"functionCall": {"id": "", "name": "f"}, "thoughtSignature": ""},
                {"functionCall": {"name": "f", "args": {}}, "odd": 1}, {"functionCall": {"name": "f", "args": null}},
                // A seal of another maker, in the alphabet for addresses.
                {"text": "b", "thoughtSignature": "bHIxLntvcGVuYWlfcmVzcG9uc2Vz_-"},
                {"inlineData": {"mimeType": "image/jpg", "data": "AA==", "odd": 1}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a"}}, {"fileData": {"fileUri": "https://x.test/a", "odd": 2}},
                {}, {"functionResponse": {"id": "", "parts": []}}, {"executable_code": {"code": "1"}},
            ]}]}),
        ),
    ] {
        let text = request.to_string();
        let decoded = decode_request(dialect, text.as_bytes()).expect("a request");
        let mut crossing = Crossing::new(&facts, &profile, "m");
        let encoded = encode_request(dialect, decoded, &mut crossing).expect("encodes");
        assert_eq!(encoded, spelled(dialect, &request), "{dialect}");
    }
}

#[test]
fn every_request_crosses_into_every_other_dialect_and_is_taken_there() {
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    for from in Dialect::ALL {
        for request in requests(from) {
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                let decoded = decode_request(from, request.to_string().as_bytes()).expect("a request");
                let mut crossing = Crossing::new(&facts, &profile, "target");
                match encode_request(to, decoded, &mut crossing) {
                    Ok(encoded) => {
                        // Gemini's path names the model.
                        assert_eq!(encoded["model"] == "target", to != Dialect::Gemini, "{encoded:#}");
                        let again = decode_request(to, encoded.to_string().as_bytes());
                        assert!(again.is_ok(), "{from} to {to}: {again:?}\n{encoded:#}");
                    }
                    // What cannot cross is named.
                    Err(failure) => assert!(failure.message.contains('\''), "{from} to {to}: {failure}"),
                }
            }
        }
    }
}

/// Every place in a document.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            let inside = members.iter().map(|(name, value)| (name.clone(), value));
            inside.for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(elements) => {
            let inside = elements.iter().enumerate();
            inside.for_each(|(place, value)| places(value, &format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

/// A document in the one spelling of its dialect: Gemini takes each name in camel case and in snake case, and the two are
/// the same name.
fn spelled(dialect: Dialect, value: &Value) -> Value {
    if dialect != Dialect::Gemini {
        return value.clone();
    }
    let camel = |name: &str| {
        let mut pieces = name.split('_');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |name, piece| {
            let (head, tail) = piece.split_at(piece.chars().next().map_or(0, char::len_utf8));
            name + &head.to_ascii_uppercase() + tail
        })
    };
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (camel(name), spelled(dialect, value)));
            Value::Object(members.collect())
        }
        Value::Array(elements) => elements.iter().map(|value| spelled(dialect, value)).collect(),
        value => value.clone(),
    }
}

/// The places at which two documents differ, with what the first one has there.
fn different(one: &Value, other: &Value) -> Vec<String> {
    let (mut found, mut theirs) = (Vec::new(), Vec::new());
    places(one, "", &mut found);
    places(other, "", &mut theirs);
    found.extend(theirs);
    found.retain(|place| {
        let inside = |value: &Value| value.as_object().is_some_and(|members| !members.is_empty());
        let (one, other) = (one.pointer(place), other.pointer(place));
        one != other && !(one.is_some_and(inside) && other.is_some_and(inside))
    });
    found.iter().map(|place| format!("{place} was {:?}", one.pointer(place))).collect()
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(0.25)),
        "[a-z]{0,4}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"type": "text", "text": "x"}])),
        Just(json!({"type": "auto", "odd": [1]})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Whatever stands in a request in place of what belongs there: it is refused, or it comes back as it was.
    #[test]
    fn within_a_dialect_what_is_taken_comes_back_as_it_was(
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..3),
    ) {
        let requests = requests(dialect);
        let mut request = which.get(&requests).clone();
        for (place, value) in changes {
            let mut found = Vec::new();
            places(&request, "", &mut found);
            let place = place.get(&found);
            if let Some(old) = request.pointer_mut(place).filter(|_| !place.is_empty()) {
                *old = value;
            }
        }
        let (facts, profile) = (ModelFacts::default(), Profile::default());
        if let Ok(decoded) = decode_request(dialect, request.to_string().as_bytes())
            && decoded.origin == dialect
        {
            let mut crossing = Crossing::new(&facts, &profile, &decoded.model);
            let encoded = encode_request(dialect, decoded.clone(), &mut crossing).expect("encodes");
            let lost: Vec<String> = different(&spelled(dialect, &request), &spelled(dialect, &encoded));
            prop_assert!(lost.is_empty(), "{}: {:?}", dialect, lost);
            for to in Dialect::ALL {
                // Into the others it goes or is refused; what it never does is to panic.
                let mut crossing = Crossing::new(&facts, &profile, "m");
                let _ = encode_request(to, decoded.clone(), &mut crossing);
            }
        }
    }
}
