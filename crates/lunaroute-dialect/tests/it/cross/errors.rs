//! Errors and figures.

use http::{HeaderMap, StatusCode};
use lunaroute_core::{Dialect, Failure, FailureKind, Retry};
use lunaroute_dialect::cross::{Meaning, Translation, told_error};
use lunaroute_dialect::error::upstream_error;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, chunks};

/// A provider's error as the caller is told.
fn told(to: Dialect, status: u16, body: &Value, own_key: bool) -> (u16, Value) {
    let status = StatusCode::from_u16(status).expect("a status");
    let error = upstream_error(status, &HeaderMap::new(), body.to_string().as_bytes()).expect("an error");
    let meaning = Meaning::of(Some(status), &error, own_key);
    let (status, body) = told_error(to, meaning, &error.message, "req_1");
    (status.as_u16(), serde_json::from_slice(&body).expect("JSON"))
}

fn openai(kind: &str, code: &str) -> Value {
    json!({"error": {"message": "so it is", "type": kind, "param": null, "code": code}})
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"})
}

#[test]
fn case_25_overloaded_has_the_status_that_the_caller_knows() {
    let body = anthropic("overloaded_error", "Overloaded");
    assert_eq!(told(CHAT, 529, &body, true).0, 503);
    assert_eq!(told(RESPONSES, 529, &body, true).1["error"]["code"], "server_is_overloaded");
    let (status, body) =
        told(MESSAGES, 503, &openai("service_unavailable_error", "server_is_overloaded"), true);
    assert_eq!((status, &body["error"]["type"]), (529, &json!("overloaded_error")));
}

#[test]
fn case_27_no_credit_is_not_too_many_requests() {
    let (status, body) = told(MESSAGES, 429, &openai("insufficient_quota", "insufficient_quota"), true);
    assert_eq!((status, &body["error"]["type"]), (402, &json!("billing_error")));
    let (status, body) = told(MESSAGES, 429, &openai("requests", "rate_limit_exceeded"), true);
    assert_eq!((status, &body["error"]["type"]), (429, &json!("rate_limit_error")));
    let (status, body) = told(CHAT, 402, &anthropic("billing_error", "pay"), true);
    assert_eq!((status, &body["error"]["code"]), (429, &json!("insufficient_quota")));
}

#[test]
fn case_29_a_refused_key_of_the_gateway_is_not_the_callers() {
    for (to, from) in [
        (CHAT, anthropic("authentication_error", "no")),
        (MESSAGES, openai("invalid_request_error", "invalid_api_key")),
    ] {
        assert_eq!(told(to, 401, &from, true).0, 502);
        assert_eq!(told(to, 401, &from, false).0, 401, "the caller's own key is its own matter");
    }
}

#[test]
fn a_conversation_that_is_too_long_is_told_in_the_words_by_which_clients_shorten_it() {
    let (status, body) =
        told(MESSAGES, 400, &openai("invalid_request_error", "context_length_exceeded"), true);
    let message = body["error"]["message"].as_str().expect("a message");
    assert_eq!(status, 400);
    assert!(
        message.starts_with("prompt is too long") && message.contains("capability_rejected: prompt_too_long")
    );
    let long = anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum");
    assert_eq!(told(RESPONSES, 400, &long, true).1["error"]["code"], "context_length_exceeded");
    let vllm = json!({"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400});
    assert_eq!(told(CHAT, 400, &vllm, true).1["error"]["code"], "context_length_exceeded");
}

#[test]
fn case_58_cached_tokens_are_counted_once() {
    let chat = json!({
        "id": "c", "model": "m", "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10_000, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9_000}},
    });
    let message = answered(CHAT, MESSAGES, &chat, &asked(MESSAGES, CHAT));
    let usage = &message["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(1_000), &json!(9_000)));
    for to in [CHAT, RESPONSES] {
        let back = answered(MESSAGES, to, &message, &asked(to, MESSAGES));
        let prompt =
            if to == CHAT { &back["usage"]["prompt_tokens"] } else { &back["usage"]["input_tokens"] };
        assert_eq!(*prompt, json!(10_000));
    }
}

#[test]
fn every_class_of_tokens_survives_the_way_there_and_back() {
    let message = json!({
        "id": "m", "model": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 5, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 7, "output_tokens": 11,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens_details": {"thinking_tokens": 3},
        },
    });
    let response = answered(MESSAGES, RESPONSES, &message, &asked(RESPONSES, MESSAGES));
    assert_eq!(response["usage"]["total_tokens"], 53);
    let back = answered(RESPONSES, MESSAGES, &response, &asked(MESSAGES, RESPONSES));
    assert_eq!(back["usage"], message["usage"]);
}

#[test]
fn statuses_without_a_word_of_their_own_are_kept() {
    for status in [409, 422] {
        assert_eq!(told(MESSAGES, status, &openai("invalid_request_error", ""), true).0, status);
        for to in [CHAT, RESPONSES, GEMINI] {
            let body = anthropic("invalid_request_error", "not now");
            assert_eq!(told(to, status, &body, true).0, status, "{to}");
        }
    }
    let long = json!({"detail": "This model's maximum context length is 4096 tokens."});
    assert_eq!(told(CHAT, 422, &long, true).0, 400, "vLLM's word for a conversation that is too long");
}

#[test]
fn an_error_within_a_stream_has_the_words_by_which_clients_act() {
    let begun = |to: Dialect| {
        let (mut translation, mut out) = (Translation::new(CHAT, to, asked(to, CHAT)), Vec::new());
        translation.push(chunks(&[json!({"index": 0, "delta": {"content": "Hi"}})]).as_bytes(), &mut out);
        (translation, out)
    };
    let (mut translation, mut out) = begun(MESSAGES);
    let long = openai("invalid_request_error", "context_length_exceeded");
    let mut long = long["error"].clone();
    long["message"] = json!("This model's maximum context length is 4096 tokens.");
    let event = format!("data: {}\n\n", json!({"error": long}));
    translation.push(event.as_bytes(), &mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains(r#""message":"prompt is too long: This"#), "{text}");
    for (to, kind, expected) in [
        (MESSAGES, FailureKind::Timeout, r#""type":"timeout_error""#),
        (CHAT, FailureKind::Timeout, r#""code":"upstream_timeout""#),
        (RESPONSES, FailureKind::Timeout, r#""code":"upstream_timeout""#),
        (GEMINI, FailureKind::Timeout, r#""status":"DEADLINE_EXCEEDED""#),
        (MESSAGES, FailureKind::Overloaded, r#""type":"overloaded_error""#),
        (MESSAGES, FailureKind::Protocol, r#""type":"api_error""#),
    ] {
        let (mut translation, mut out) = begun(to);
        translation.fail(&Failure::upstream(kind, Retry::Never, "it is silent"), &mut out);
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains(expected), "{to}: {text}");
    }
}
