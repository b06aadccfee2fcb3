//! Whose seals go where: back to the provider that made them, and away from parts on their way to Google.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::{Crossing, Profile, decode_request, encode_request};
use lunaroute_dialect::without_tagged;
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, blocks, delta, done, events, finish, sent, streamed,
};

/// A request as this provider gets it.
fn sent_to(provider: &str, from: Dialect, to: Dialect, request: &Value) -> String {
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let decoded = decode_request(from, request.to_string().as_bytes()).expect("a request");
    let mut crossing = Crossing::new(&facts, &profile, "m");
    crossing.asked.provider = provider.to_owned();
    encode_request(to, decoded, &mut crossing).expect("it crosses").to_string()
}

#[test]
fn a_seal_goes_back_to_the_provider_that_made_it_and_to_no_other_of_its_dialect() {
    let message = json!({
        "id": "m", "model": "m", "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "thinking", "thinking": "hm", "signature": "SEAL"}, {"type": "text", "text": "Hi"}],
    });
    let response = json!({
        "id": "r", "model": "m", "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1},
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEAL"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        ],
    });
    let content = json!({
        "responseId": "g", "modelVersion": "m", "candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "SEAL"},
        ]}}],
    });
    for (from, to, answer) in [
        (RESPONSES, MESSAGES, &message),
        (GEMINI, MESSAGES, &message),
        (MESSAGES, RESPONSES, &response),
        (RESPONSES, GEMINI, &content),
        (MESSAGES, GEMINI, &content),
    ] {
        let mut asked = asked(from, to);
        asked.provider = "theirs".to_owned();
        let told = answered(to, from, answer, &asked);
        let ask = |role: &str| json!({"role": role, "content": "and now?"});
        let request = match from {
            RESPONSES => {
                let mut input = vec![ask("user")];
                input.extend(told["output"].as_array().expect("items").iter().cloned());
                input.push(ask("user"));
                json!({"model": "m", "input": input})
            }
            MESSAGES => {
                let said = json!({"role": "assistant", "content": told["content"]});
                json!({"model": "m", "max_tokens": 9, "messages": [ask("user"), said, ask("user")]})
            }
            _ => {
                let ask = json!({"role": "user", "parts": [{"text": "and now?"}]});
                json!({"contents": [ask, told["candidates"][0]["content"], ask]})
            }
        };
        for (provider, expected) in [("theirs", true), ("another", false), ("", false)] {
            let sent = sent_to(provider, from, to, &request);
            assert_eq!(sent.contains("SEAL"), expected, "{from} to {to} at '{provider}': {sent}");
            assert!(!sent.contains("lr1."), "{sent}");
        }
    }
}

#[test]
fn foreign_seals_are_taken_from_parts_on_their_way_to_google_and_nothing_else_is_touched() {
    let tag = STANDARD.encode("lr1.anthropic.eyJkYXRhIjoiRXEifQ");
    let alone = format!(r#"{{"text": "", "thoughtSignature":"{tag}"}}"#);
    let call = |seal: &str| {
        format!(r#"{{ "functionCall": {{"name":"f","args":{{"n":1.0}}}},"thoughtSignature" : "{seal}" }}"#)
    };
    let text = |seal: &str| format!(r#"{{"thought_signature":"{seal}","text":"\u00e9"}}"#);
    let own = r#"{"functionCall":{"name":"g"},"thoughtSignature":"EqQB"}"#;
    let body = |parts: &str| {
        let before =
            r#"{"big":12345678901234567890,"contents":[{"role":"user","parts":[{"text":"bHIxLm"}]},"#;
        Bytes::from(format!(r#"{before}{{"role":"model","parts":[{parts}]}}]}}"#))
    };
    let stand_in = call("skip_thought_signature_validator");
    for (parts, kept) in [
        (call(&tag), stand_in.clone()),
        (format!("{} , {own}", call(&tag)), format!("{stand_in} , {own}")),
        (format!("{own},{}", text(&tag)), format!("{own},{}", text(""))),
        (format!("{alone}, {own},{alone}"), own.to_owned()),
    ] {
        let cut = without_tagged(GEMINI, &body(&parts)).expect("it has one");
        assert_eq!(String::from_utf8_lossy(&cut), String::from_utf8_lossy(&body(&kept)));
        let again = without_tagged(GEMINI, &cut);
        assert_eq!(again, None, "words that look like it stay");
    }
    let silent = Bytes::from(format!(
        r#"{{"contents":[{{"role":"model","parts":[{alone}]}},{{"role":"user","parts":[{{"text":"hi"}}]}}]}}"#
    ));
    let cut = without_tagged(GEMINI, &silent).expect("it has one");
    assert_eq!(&cut[..], br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#);
}

#[test]
fn a_signature_on_words_of_gemini_comes_back_on_them() {
    let parts = json!([
        {"text": "hm", "thought": true},
        {"text": "Sunny.", "thoughtSignature": "EqQA"},
        {"text": "", "thoughtSignature": "EqQB"},
    ]);
    let answer =
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    for client in [MESSAGES, RESPONSES] {
        let told = answered(GEMINI, client, &answer, &asked(client, GEMINI));
        let shown = told.to_string();
        assert!(!shown.contains("EqQA") && shown.contains("lr1."), "under the gateway's tag: {shown}");
        let request = match client {
            MESSAGES => json!({"model": "m", "max_tokens": 9, "messages": [
                {"role": "user", "content": "q"}, {"role": "assistant", "content": told["content"]},
                {"role": "user", "content": "go on"}]}),
            _ => {
                let mut input = vec![json!({"role": "user", "content": "q"})];
                input.extend(told["output"].as_array().expect("items").iter().cloned());
                input.push(json!({"role": "user", "content": "go on"}));
                json!({"model": "m", "input": input})
            }
        };
        let sent = sent(client, GEMINI, &request).body;
        let expected =
            json!([{"text": "Sunny.", "thoughtSignature": "EqQA"}, {"text": "", "thoughtSignature": "EqQB"}]);
        assert_eq!(sent["contents"][1]["parts"], expected, "{client}");
    }
}

#[test]
fn a_signature_of_gemini_behind_its_chat_endpoint_comes_back_on_its_call() {
    let call = |index: u64, extra: &Value| {
        let function = json!({"name": "f", "arguments": "{}"});
        json!({"index": index, "id": format!("c{index}"), "type": "function", "function": function, "extra_content": extra})
    };
    let signed = json!({"google": {"thought_signature": "EqQA"}});
    let calls = json!([call(0, &signed), call(1, &Value::Null)]);
    let stream = done(&[delta(json!({"tool_calls": calls})), finish("tool_calls")]);
    let mut asked = asked(MESSAGES, CHAT);
    asked.provider = "google".to_owned();
    let told = blocks(&events(&streamed(CHAT, MESSAGES, &stream, asked)));
    let kinds: Vec<_> = told.iter().map(|block| block["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["thinking", "tool_use", "tool_use"]);
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "1"});
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "q"}, {"role": "assistant", "content": told},
        {"role": "user", "content": [result("c0"), result("c1")]}]});
    for (provider, expected) in [("google", signed), ("another", Value::Null)] {
        let sent: Value = serde_json::from_str(&sent_to(provider, MESSAGES, CHAT, &request)).expect("JSON");
        let calls = &sent["messages"][1]["tool_calls"];
        assert_eq!((&calls[0]["extra_content"], &calls[1]["extra_content"]), (&expected, &Value::Null));
        assert_eq!(calls[1]["id"], "c1");
    }
}
