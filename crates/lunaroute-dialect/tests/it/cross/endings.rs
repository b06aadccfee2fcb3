//! How streams end: by what the provider says last, and with nothing that broke told as success.

use lunaroute_dialect::cross::Translation;
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, asked, blocks, chunks, completion, delta, done, events, finish, only, streamed,
    told,
};

/// A chunk of Gemini.
fn candidate(candidate: &Value) -> String {
    format!("data: {}\r\n\r\n", json!({"candidates": [candidate], "modelVersion": "g", "responseId": "r"}))
}

fn says(text: &str, reason: Option<&str>) -> String {
    let mut said = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if let Some(reason) = reason {
        said["finishReason"] = json!(reason);
    }
    candidate(&said)
}

#[test]
fn an_empty_reason_is_none() {
    let empty = |text: &str| json!({"index": 0, "delta": {"content": text}, "finish_reason": ""});
    for (reason, expected) in [("length", "max_tokens"), ("content_filter", "refusal")] {
        let told = told(CHAT, MESSAGES, &done(&[empty("Hel"), empty("lo"), finish(reason)]));
        assert_eq!(blocks(&told), [json!({"type": "text", "text": "Hello"})]);
        assert_eq!(only(&told, "message_delta")["delta"]["stop_reason"], expected);
    }
    let torn = streamed(CHAT, MESSAGES, &chunks(&[empty("Hel")]), asked(MESSAGES, CHAT));
    assert!(torn.contains("event: error") && !torn.contains("message_stop"), "{torn}");
    let mut translation = Translation::new(CHAT, MESSAGES, asked(MESSAGES, CHAT));
    translation.push(chunks(&[empty("Hel")]).as_bytes(), &mut Vec::new());
    assert!(!translation.has_stopped());
}

#[test]
fn a_provider_that_goes_on_after_a_reason_has_not_stopped() {
    let early = |text: &str| json!({"index": 0, "delta": {"content": text}, "finish_reason": "stop"});
    let more = delta(json!({"content": "lo"}));
    let chat = [early("Hel"), more.clone(), finish("length")];
    let gemini = [says("Hel", Some("STOP")), says("lo", Some("STOP")), says("", Some("MAX_TOKENS"))];
    for (from, stream) in [(CHAT, done(&chat)), (CHAT, chunks(&chat)), (GEMINI, gemini[..2].concat())] {
        let told = told(from, MESSAGES, &stream);
        assert_eq!(blocks(&told), [json!({"type": "text", "text": "Hello"})]);
        let expected = if from == CHAT { "max_tokens" } else { "end_turn" };
        assert_eq!(only(&told, "message_delta")["delta"]["stop_reason"], expected, "{stream}");
    }
    let last = says(" world", Some("MAX_TOKENS"));
    let told = told(GEMINI, CHAT, &format!("{}{last}", gemini[..2].concat()));
    assert_eq!(
        (&completion(&told)["content"], &completion(&told)["finish"]),
        (&json!("Hello world"), &json!("length"))
    );
    // What broke off behind words that have no reason is torn, and such a provider's word is not enough any more.
    for (from, stream) in
        [(CHAT, chunks(&[early("Hel"), more])), (GEMINI, format!("{}{}", gemini[0], says("lo", None)))]
    {
        let mut translation = Translation::new(from, MESSAGES, asked(MESSAGES, from));
        let mut out = Vec::new();
        translation.push(stream.as_bytes(), &mut out);
        assert!(!translation.has_stopped(), "{from}");
        translation.end(&mut out);
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("event: error") && !text.contains("message_stop"), "{from}: {text}");
    }
    let mut translation = Translation::new(GEMINI, MESSAGES, asked(MESSAGES, GEMINI));
    translation.push(gemini[0].as_bytes(), &mut Vec::new());
    assert!(translation.has_stopped(), "nothing speaks against it yet");
    translation.push(gemini[1].as_bytes(), &mut Vec::new());
    assert!(!translation.has_stopped(), "it said so before and went on");
}

#[test]
fn words_behind_the_reason_do_not_change_it() {
    let stream = done(&[delta(json!({"content": "Hi"})), finish("length"), delta(json!({"content": "\n"}))]);
    let told = events(&streamed(CHAT, MESSAGES, &stream, asked(MESSAGES, CHAT)));
    assert_eq!(blocks(&told), [json!({"type": "text", "text": "Hi\n"})]);
    assert_eq!(only(&told, "message_delta")["delta"]["stop_reason"], "max_tokens");
    let twice = done(&[delta(json!({"content": "Hi"})), finish("length"), finish("stop")]);
    assert_eq!(
        only(&super::told(CHAT, MESSAGES, &twice), "message_delta")["delta"]["stop_reason"],
        "max_tokens"
    );
}
