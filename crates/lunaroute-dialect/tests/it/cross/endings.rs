//! How streams end: by what the provider says last, and with nothing that broke told as success.

use lunaroute_core::Dialect;
use lunaroute_dialect::cross::{Translation, check_stream, translate_answer};
use lunaroute_dialect::sse::EVENT_LIMIT;
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, asked, blocks, call, chunks, completion, delta, done, events, finish,
    named, only, streamed, told,
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

/// A stream that broke: the caller gets an error and no end.
#[track_caller]
fn breaks(from: Dialect, stream: &str) -> Value {
    for to in [CHAT, MESSAGES, RESPONSES].into_iter().filter(|to| *to != from) {
        let text = streamed(from, to, stream, asked(to, from));
        for end in ["message_stop", "[DONE]", "response.completed", "finish_reason\":\""] {
            assert!(!text.contains(end), "{from} to {to}: {text}");
        }
    }
    let to = if from == MESSAGES { CHAT } else { MESSAGES };
    let told = events(&streamed(from, to, stream, asked(to, from)));
    told.last().expect("an event")["error"].clone()
}

#[test]
fn a_response_that_failed_is_no_answer_however_little_it_says() {
    let created = json!({"type": "response.created", "response": {"id": "r", "model": "m"}});
    let text =
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "I"});
    let slow = json!({"code": "rate_limit_exceeded", "message": "slow"});
    for (failed, kind) in [
        (json!({"type": "response.failed"}), "api_error"),
        (json!({"type": "response.failed", "response": {"id": "r", "output": []}}), "api_error"),
        (json!({"type": "response.failed", "response": {"id": "r", "status": "completed"}}), "api_error"),
        (json!({"type": "response.failed", "response": {"id": "r", "error": slow}}), "rate_limit_error"),
        (json!({"type": "response.failed", "error": slow}), "rate_limit_error"),
    ] {
        let error = breaks(RESPONSES, &named(&[created.clone(), text.clone(), failed.clone()]));
        assert_eq!(error["type"], kind, "{failed}");
    }
}

#[test]
fn a_reason_that_is_a_failure_is_no_end() {
    let cause = json!({"code": 429, "message": "slow"});
    for (choice, kind) in [
        (finish("error"), "api_error"),
        (json!({"index": 0, "delta": {}, "finish_reason": "error", "error": cause}), "rate_limit_error"),
        (finish("insufficient_system_resource"), "overloaded_error"),
    ] {
        let error = breaks(CHAT, &done(&[delta(json!({"content": "I"})), choice.clone()]));
        assert_eq!(error["type"], kind, "{choice}");
        let mut plain = json!({"id": "c", "model": "m", "choices": [choice]});
        plain["choices"][0]["message"] = json!({"role": "assistant", "content": "I"});
        let told = translate_answer(CHAT, MESSAGES, plain.to_string().as_bytes(), &asked(MESSAGES, CHAT));
        assert!(told.expect("it is read").is_err(), "{plain}");
    }
}

#[test]
fn what_is_too_large_to_be_read_is_not_passed_over() {
    let part = json!({"functionCall": {"id": "a", "name": "f", "args": {"x": "y".repeat(EVENT_LIMIT)}}});
    let call = candidate(&json!({"content": {"role": "model", "parts": [part]}}));
    let stream = format!("{}{call}{}", says("I", None), says("", Some("STOP")));
    let mut translation = Translation::new(GEMINI, MESSAGES, asked(MESSAGES, GEMINI));
    let mut out = Vec::new();
    for piece in stream.as_bytes().chunks(1 << 20) {
        translation.push(piece, &mut out);
    }
    translation.end(&mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(translation.has_lost() && text.contains("event: error"), "{text}");
    assert!(!text.contains("message_stop"), "{text}");
    let whole = streamed(GEMINI, CHAT, &stream, asked(CHAT, GEMINI));
    assert!(whole.contains("error") && !whole.contains("[DONE]"), "{whole}");
}

#[test]
fn calls_that_are_whole_do_not_wait_for_the_figures() {
    let told_by = |choices: &[Value], to, interleaved_calls| {
        let mut asked = asked(to, CHAT);
        asked.interleaved_calls = interleaved_calls;
        let (mut translation, mut out) = (Translation::new(CHAT, to, asked), Vec::new());
        translation.push(chunks(choices).as_bytes(), &mut out);
        let before = String::from_utf8(out.clone()).expect("text");
        translation.push(b"data: [DONE]\n\n", &mut out);
        translation.end(&mut out);
        check_stream(to, &out).expect("the grammar");
        before
    };
    let whole = [
        call(0, Some("call_1"), Some("weather"), "{\"n\":"),
        call(1, Some("call_2"), Some("weather"), "{\"n\":1}"),
        call(0, None, None, "0}"),
        finish("tool_calls"),
    ];
    for (to, word) in [
        (MESSAGES, "event: content_block_stop"),
        (RESPONSES, "event: response.function_call_arguments.done"),
        (GEMINI, "\"functionCall\""),
    ] {
        for interleaved in [false, true] {
            assert_eq!(told_by(&whole, to, interleaved).matches(word).count(), 2, "{to}");
        }
    }
    // One that is not whole may go on, and so may words: some hosts give the reason with every chunk.
    let early = |mut choice: Value| {
        choice["finish_reason"] = json!("tool_calls");
        choice
    };
    let torn = [early(call(0, Some("call_1"), Some("weather"), "{\"n\":")), early(call(0, None, None, "0}"))];
    assert!(!told_by(&torn[..1], MESSAGES, false).contains("content_block_stop"));
    let told = told(CHAT, MESSAGES, &done(&torn));
    assert_eq!(blocks(&told)[0]["input"], json!({"n": 0}));
    let words = [early(delta(json!({"content": "Hel"})))];
    assert!(!told_by(&words, MESSAGES, false).contains("content_block_stop"));
}
