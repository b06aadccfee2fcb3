//! Seals that ride on the parts of Gemini.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_dialect::without_tagged;
use serde_json::json;

use super::{GEMINI, MESSAGES, RESPONSES, answered, asked, sent};

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
