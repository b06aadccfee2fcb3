//! Calls in answers: whether they are whole, what they are called, and the seals that ride on them.

use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::{Asked, Profile};
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, blocks, call, completion, delta, done, events,
    finish, only, sent, streamed, try_sent,
};

/// What a client with a free-text tool asked of a host that has none.
fn flattened() -> Asked {
    let request = json!({
        "model": "m", "stream": true, "input": "hi", "tools": [{"type": "custom", "name": "apply_patch"}],
    });
    let profile = Profile { no_custom_tools: true, ..Profile::default() };
    try_sent(RESPONSES, CHAT, &request, &ModelFacts::default(), &profile).expect("it crosses").asked
}

#[test]
fn a_cut_call_with_free_text_is_told_as_cut() {
    for (arguments, reason, event, status) in [
        ("{\"input\":\"*** Beg", "length", "response.incomplete", "incomplete"),
        ("{\"input\":\"*** Begin\"}", "length", "response.completed", "completed"),
        ("{\"input\":\"*** Begin\"}", "tool_calls", "response.completed", "completed"),
    ] {
        let stream = done(&[call(0, Some("c"), Some("apply_patch"), arguments), finish(reason)]);
        let told = events(&streamed(CHAT, RESPONSES, &stream, flattened()));
        let item = &only(&told, event)["response"]["output"][0];
        assert_eq!(
            (&item["type"], &item["status"]),
            (&json!("custom_tool_call"), &json!(status)),
            "{arguments}"
        );
    }
}

#[test]
fn free_text_that_ends_at_the_limit_counts_as_cut_unless_more_followed() {
    let custom = |input: &str| {
        let call = json!({"index": 0, "id": "c", "type": "custom", "custom": {"name": "apply_patch", "input": input}});
        delta(json!({"tool_calls": [call]}))
    };
    let request = json!({
        "model": "m", "stream": true, "input": "hi", "tools": [{"type": "custom", "name": "apply_patch"}],
    });
    for (more, event) in
        [(None, "response.incomplete"), (Some(delta(json!({"content": "so"}))), "response.completed")]
    {
        let mut choices = vec![custom("*** Beg")];
        choices.extend(more);
        choices.push(finish("length"));
        let told = events(&streamed(CHAT, RESPONSES, &done(&choices), sent(RESPONSES, CHAT, &request).asked));
        only(&told, event);
    }
}

#[test]
fn free_text_that_waited_is_told_as_it_was_written() {
    let input = "{\"input\":\"x\",\"note\":\"y\"}";
    let custom = json!({"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "apply_patch", "input": input}});
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{\"n\":"),
        delta(json!({"tool_calls": [custom]})),
        call(0, None, None, "0}"),
        finish("tool_calls"),
    ]);
    let told = events(&streamed(CHAT, MESSAGES, &stream, asked(MESSAGES, CHAT)));
    let inputs: Vec<Value> = blocks(&told).iter().map(|block| block["input"].clone()).collect();
    assert_eq!(inputs, [json!({"n": 0}), json!({"input": input})]);
    // Of a tool that the provider got as a function it is what the arguments hold.
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{\"n\":"),
        call(1, Some("call_2"), Some("apply_patch"), "{\"input\":\"x\"}"),
        call(0, None, None, "0}"),
        finish("tool_calls"),
    ]);
    let told = events(&streamed(CHAT, RESPONSES, &stream, flattened()));
    let output = &only(&told, "response.completed")["response"]["output"];
    assert_eq!((&output[1]["type"], &output[1]["input"]), (&json!("custom_tool_call"), &json!("x")));
}

#[test]
fn ids_that_are_made_differ_from_turn_to_turn() {
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": [
            {"functionCall": {"name": "Bash", "args": {}}}, {"functionCall": {"name": "Bash", "args": {}}},
        ]}, "finishReason": "STOP"}], "modelVersion": "g", "responseId": "r",
    });
    for to in [MESSAGES, CHAT, RESPONSES] {
        let ids = |asked: &Asked| -> Vec<String> {
            let told = answered(GEMINI, to, &answer, asked);
            let calls = match to {
                MESSAGES => &told["content"],
                CHAT => &told["choices"][0]["message"]["tool_calls"],
                _ => &told["output"],
            };
            let id = |call: &Value| {
                let id = if to == RESPONSES { &call["call_id"] } else { &call["id"] };
                id.as_str().expect("an id").to_owned()
            };
            calls.as_array().expect("calls").iter().map(id).collect()
        };
        let first = ids(&asked(to, GEMINI));
        let history = |calls: usize| {
            let call =
                |n: usize| json!({"type": "tool_use", "id": format!("c{n}"), "name": "Bash", "input": {}});
            let result =
                |n: usize| json!({"type": "tool_result", "tool_use_id": format!("c{n}"), "content": "ok"});
            let request = json!({"model": "asked-model", "max_tokens": 9, "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": (0..calls).map(call).collect::<Vec<_>>()},
                {"role": "user", "content": (0..calls).map(result).collect::<Vec<_>>()},
            ]});
            sent(MESSAGES, GEMINI, &request).asked
        };
        let (second, again) = (ids(&history(2)), ids(&history(2)));
        assert_eq!(second, again, "the same request gets the same");
        let mut all: Vec<&String> = first.iter().chain(&second).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{first:?} {second:?}");
    }
}

#[test]
fn case_08_calls_of_one_id_get_distinct_ones() {
    let stream = done(&[
        call(0, Some("call_1"), Some("weather"), "{}"),
        call(1, Some("call_1"), Some("weather"), "{}"),
        call(2, Some("call_1"), Some("weather"), "{}"),
        finish("tool_calls"),
    ]);
    let asked_calls = [0, 1, 2].map(
        |_| json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}),
    );
    let plain = json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null, "tool_calls": asked_calls}}]});
    for to in [MESSAGES, RESPONSES] {
        let told = events(&streamed(CHAT, to, &stream, asked(to, CHAT)));
        let ids: Vec<Value> = match to {
            MESSAGES => blocks(&told).iter().map(|block| block["id"].clone()).collect(),
            _ => told
                .iter()
                .filter(|event| event["type"] == "response.output_item.done")
                .map(|event| event["item"]["call_id"].clone())
                .collect(),
        };
        assert_eq!((ids.len(), &ids[0]), (3, &json!("call_1")), "the first keeps its own");
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
        assert_eq!(events(&streamed(CHAT, to, &stream, asked(to, CHAT))), told, "the same again");
        let answer = answered(CHAT, to, &plain, &asked(to, CHAT));
        let (list, name) = if to == MESSAGES { ("content", "id") } else { ("output", "call_id") };
        let plain: Vec<Value> =
            answer[list].as_array().expect("calls").iter().map(|call| call[name].clone()).collect();
        assert_eq!(plain, ids);
    }
}

#[test]
fn a_signature_of_gemini_comes_back_through_a_chat_client() {
    let parts = json!([
        {"text": "hm", "thought": true},
        {"functionCall": {"id": "a", "name": "weather", "args": {}}, "thoughtSignature": "EqQB"},
        {"functionCall": {"id": "b", "name": "weather", "args": {}}},
    ]);
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "modelVersion": "g", "responseId": "r",
    });
    let plain =
        answered(GEMINI, CHAT, &answer, &asked(CHAT, GEMINI))["choices"][0]["message"]["tool_calls"].clone();
    let told = events(&streamed(GEMINI, CHAT, &format!("data: {answer}\r\n\r\n"), asked(CHAT, GEMINI)));
    assert_eq!(completion(&told)["calls"].as_array().map(Vec::len), Some(2));
    let extras: Vec<&Value> = told
        .iter()
        .flat_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten())
        .filter_map(|call| call.get("extra_content"))
        .collect();
    assert_eq!(extras, [&plain[0]["extra_content"]]);
    assert_eq!(plain[1].get("extra_content"), None);
    let back = sent(
        CHAT,
        GEMINI,
        &json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "tool_calls": plain},
            {"role": "tool", "tool_call_id": "a", "content": "sun"}, {"role": "tool", "tool_call_id": "b", "content": "rain"},
        ]}),
    );
    let parts = &back.body["contents"][1]["parts"];
    assert_eq!((&parts[0]["thoughtSignature"], parts[1].get("thoughtSignature")), (&json!("EqQB"), None));
    // Words between a signature and a call take it away.
    let said = answer
        .to_string()
        .replace(r#"{"text":"hm","thought":true}"#, r#"{"text":"hm","thought":true},{"text":"so"}"#);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let told = answered(GEMINI, CHAT, &said, &asked(CHAT, GEMINI));
    assert!(
        told["choices"][0]["message"]["tool_calls"][0]["extra_content"].is_object(),
        "it rode on the call"
    );
}
