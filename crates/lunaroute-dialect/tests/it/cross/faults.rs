//! Errors that come inside of answers.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use lunaroute_dialect::cross::{Meaning, Translation, translate_answer};
use lunaroute_dialect::error::upstream_error;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, asked, chunks, delta, events, named, only, streamed};

fn failed(reason: &str) -> Value {
    json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "I"}]}, "finishReason": reason, "finishMessage": "so it is"}],
        "modelVersion": "g", "responseId": "r",
    })
}

#[test]
fn what_gemini_failed_at_is_no_answer() {
    for reason in
        ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"]
    {
        let answer = failed(reason);
        for to in [CHAT, MESSAGES, RESPONSES] {
            let told = streamed(GEMINI, to, &format!("data: {answer}\r\n\r\n"), asked(to, GEMINI));
            assert!(told.contains("so it is"), "{reason}: {told}");
            let ends = ["message_stop", "[DONE]", "response.completed", "finish_reason\":\"stop"];
            assert!(ends.iter().all(|end| !told.contains(end)), "{reason}: {told}");
            let error = translate_answer(GEMINI, to, answer.to_string().as_bytes(), &asked(to, GEMINI))
                .expect("it is read")
                .expect_err("no answer");
            assert_eq!((error.kind.as_str(), error.message.as_str()), (reason, "so it is"));
            assert_eq!(Meaning::of(None, &error, true), Meaning::Unusable);
        }
    }
    let told = streamed(GEMINI, CHAT, &format!("data: {}\r\n\r\n", failed("OTHER")), asked(CHAT, GEMINI));
    assert!(told.contains("[DONE]"), "another end is one: {told}");
}

#[test]
fn the_code_of_an_error_in_a_stream_tells_what_its_type_does_not() {
    for (error, kind) in [
        (json!({"type": "requests", "code": "rate_limit_exceeded"}), "rate_limit_error"),
        (json!({"type": "service_unavailable_error", "code": "server_is_overloaded"}), "overloaded_error"),
        (
            json!({"type": "invalid_request_error", "code": "context_length_exceeded"}),
            "invalid_request_error",
        ),
        (json!({"type": "invalid_request_error", "code": "unsupported_value"}), "invalid_request_error"),
        (json!({"type": "BadRequestError", "code": 400}), "invalid_request_error"),
        (json!({"code": 429}), "rate_limit_error"),
        (json!({"code": "503"}), "overloaded_error"),
        (json!({"type": "server_error", "code": null}), "api_error"),
        (json!({"code": "invalid_prompt"}), "invalid_request_error"),
        (json!({"code": "bio_policy"}), "invalid_request_error"),
        (json!({"code": "misalignment_policy_violation"}), "invalid_request_error"),
        (json!({"code": "data_residency_mismatch"}), "invalid_request_error"),
        (json!({"code": "image_too_large"}), "invalid_request_error"),
        (json!({"code": "invalid_base64_image"}), "invalid_request_error"),
        (json!({"code": "vector_store_timeout"}), "api_error"),
        (json!({"type": "odd", "code": 42}), "api_error"),
    ] {
        let told_by = |stream: &str, from| {
            let told = events(&streamed(from, MESSAGES, stream, asked(MESSAGES, from)));
            told.last().expect("an event")["error"]["type"].clone()
        };
        let stream = chunks(&[delta(json!({"content": "I"})), json!({"error": error})]);
        assert_eq!(told_by(&stream, CHAT), kind, "{error}");
        let mut event = json!({"type": "error"});
        let failed = named(&[
            json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
            json!({"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error}}),
        ]);
        assert_eq!(told_by(&failed, RESPONSES), kind, "{error}");
        event["error"] = error;
        let mut out = Vec::new();
        let mut translation = Translation::new(CHAT, MESSAGES, asked(MESSAGES, CHAT));
        translation.push(chunks(&[json!({"error": event["error"]})]).as_bytes(), &mut out);
        let refusal = translation.refusal().expect("it came first");
        assert_eq!(refusal.code.is_some(), !event["error"]["code"].is_null());
    }
}

#[test]
fn an_error_in_a_plain_200_says_what_it_would_say_in_a_stream() {
    for (body, meaning) in [
        (json!({"error": {"type": "invalid_request_error", "message": "no"}}), Meaning::BadRequest),
        (json!({"error": {"type": "not_found_error", "message": "no"}}), Meaning::NotFound),
        (json!({"error": {"code": 429, "message": "slow"}}), Meaning::RateLimit),
        (json!({"error": {"code": 502, "message": "broke"}}), Meaning::Connect),
        (json!({"error": {"message": "broke"}}), Meaning::Upstream),
    ] {
        let error =
            upstream_error(StatusCode::OK, &HeaderMap::new(), body.to_string().as_bytes()).expect("an error");
        assert_eq!(Meaning::of(Some(StatusCode::OK), &error, false), meaning, "{body}");
    }
    let said = json!({"error": {"code": 429, "type": "odd", "message": "no"}});
    let status = StatusCode::BAD_REQUEST;
    let error = upstream_error(status, &HeaderMap::new(), said.to_string().as_bytes()).expect("an error");
    assert_eq!(
        Meaning::of(Some(status), &error, false),
        Meaning::BadRequest,
        "the status goes before a number"
    );
}

#[test]
fn a_success_that_says_nothing_is_no_answer() {
    let response =
        |status: &str| json!({"object": "response", "id": "r", "model": "m", "status": status, "output": []});
    for (from, body) in [
        (CHAT, json!({"code": 11101, "msg": "Parse message failed"})),
        (CHAT, json!({"id": "c", "choices": []})),
        (MESSAGES, json!({})),
        (MESSAGES, json!({"content": "no list"})),
        (GEMINI, json!({"candidates": []})),
        (GEMINI, json!({"usageMetadata": {"promptTokenCount": 3}, "modelVersion": "g"})),
        (RESPONSES, json!({"id": "r", "status": "completed"})),
        (RESPONSES, response("queued")),
        (RESPONSES, response("in_progress")),
        (RESPONSES, response("cancelled")),
    ] {
        let to = if from == MESSAGES { CHAT } else { MESSAGES };
        let text = body.to_string();
        assert!(translate_answer(from, to, text.as_bytes(), &asked(to, from)).is_none(), "{from}: {body}");
        let (mut translation, mut out) = (Translation::new(from, to, asked(to, from)), Vec::new());
        assert!(!translation.whole(text.as_bytes(), &mut out), "{from}: {body}");
        assert!(out.is_empty(), "nothing of it is told");
    }
}

#[test]
fn an_answer_of_no_words_is_one() {
    for (from, body) in [
        (CHAT, json!({"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]})),
        (MESSAGES, json!({"type": "message", "content": [], "stop_reason": "end_turn"})),
        (GEMINI, json!({"candidates": [{"finishReason": "STOP"}]})),
        (GEMINI, json!({"promptFeedback": {"blockReason": "SAFETY"}})),
        (RESPONSES, json!({"status": "completed", "output": []})),
        (RESPONSES, json!({"output": []})),
    ] {
        let to = if from == MESSAGES { CHAT } else { MESSAGES };
        let told = translate_answer(from, to, body.to_string().as_bytes(), &asked(to, from));
        assert!(told.is_some_and(|told| told.is_ok()), "{from}: {body}");
    }
}

/// Gemini's error for too many requests, as the event of a stream.
fn exhausted(message: &str, delay: &str) -> String {
    let wait = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay});
    let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": [wait]});
    format!("data: {}\r\n\r\n", json!({"error": error}))
}

#[test]
fn the_wait_that_an_error_in_a_stream_asks_for_is_told() {
    let (mut translation, mut out) =
        (Translation::new(GEMINI, MESSAGES, asked(MESSAGES, GEMINI)), Vec::new());
    translation.push(exhausted("slow down", "34s").as_bytes(), &mut out);
    let refusal = translation.refusal().expect("it came first");
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(34)), "for the header");
    let begun = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"I\"}]}}],\"modelVersion\":\"g\"}\r\n\r\n";
    for (message, delay, told) in [
        ("slow down", "34s", "slow down Please try again in 34s."),
        ("", "0.250s", "Please try again in 250ms."),
        ("Try again in 9s.", "34s", "Try again in 9s."),
    ] {
        let stream = format!("{begun}{}", exhausted(message, delay));
        let events = events(&streamed(GEMINI, RESPONSES, &stream, asked(RESPONSES, GEMINI)));
        let error = &only(&events, "response.failed")["response"]["error"];
        assert_eq!(*error, json!({"code": "rate_limit_exceeded", "message": told}));
    }
}
