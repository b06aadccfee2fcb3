//! Faults as a client on the wire sees them.

use std::io::ErrorKind;

use lunaroute_core::StopReason;
use lunaroute_sim::{Outcome, Point, Script, ScriptedError};
use serde_json::json;

use crate::client::{CHAT, GENERATIONS, MESSAGES, RESPONSES, body, last_entry, post, provider, short};

/// Cuts a stream of each dialect at every seventh byte, with an orderly close and with a reset.
#[tokio::test]
async fn a_cut_is_exact_to_the_byte_and_its_kind_is_seen() {
    let provider = provider().await;
    let mut cuts = 0;
    for path in GENERATIONS {
        let body = body(path, "m", true);
        let script = Script::text(2);
        let whole = post(&provider, path, &script, &body).await;
        cuts += 1;
        for at in (0..=whole.body.len()).step_by(7).chain([whole.body.len()]) {
            for reset in [false, true] {
                let cut =
                    Script { fault: Script::cut(Point::Bytes(at as u64), reset).fault, ..script.clone() };
                let reply = post(&provider, path, &cut, &body).await;
                cuts += 1;
                assert_eq!(reply.status, 200);
                assert_eq!(reply.body, whole.body[..at], "{path} at {at}");
                assert!(!reply.whole, "the end of the body was never told");
                let end = if reset { Err(ErrorKind::ConnectionReset) } else { Ok(()) };
                assert_eq!(reply.end, end, "{path} at {at}");
                let entry = last_entry(&provider, cuts).await;
                assert_eq!((entry.outcome, entry.bytes_sent), (Some(Outcome::Cut), at as u64));
            }
        }
    }
    println!("cuts seen exactly: {}", cuts - GENERATIONS.len());
}

#[tokio::test]
async fn a_cut_after_events_leaves_whole_events() {
    let provider = provider().await;
    for (number, delivery) in ["", ",one_write", ",separate_writes"].into_iter().enumerate() {
        let script = format!("text=9,cut_events=4{delivery}");
        let reply = short(&provider, CHAT, &script, &body(CHAT, "m", true)).await;
        assert_eq!((reply.events().len(), reply.whole), (4, false), "{script}");
        let entry = last_entry(&provider, number + 1).await;
        assert_eq!((entry.events_sent, entry.stop), (4, None));
        assert_eq!(entry.text.split(' ').count(), 3, "the first event has the role alone: {}", entry.text);
    }
    let plain = short(&provider, CHAT, "cut_bytes=10", &body(CHAT, "m", false)).await;
    assert_eq!((plain.body.len(), plain.whole), (10, false));
}

#[tokio::test]
async fn nothing_is_answered_before_a_cut_head() {
    let provider = provider().await;
    for (number, (script, end)) in
        [("cut_head", Ok(())), ("cut_head,reset", Err(ErrorKind::ConnectionReset))].into_iter().enumerate()
    {
        let reply = short(&provider, MESSAGES, script, &body(MESSAGES, "m", false)).await;
        assert_eq!((reply.status, reply.end, reply.body), (0, end, Vec::new()));
        let entry = last_entry(&provider, number + 1).await;
        assert_eq!((entry.outcome, entry.status), (Some(Outcome::Cut), 0));
    }
}

#[tokio::test]
async fn an_error_event_stands_in_place_of_the_end() {
    let provider = provider().await;
    for (number, path) in GENERATIONS.into_iter().enumerate() {
        let reply = post(&provider, path, &Script::error_event(5), &body(path, "m", true)).await;
        assert!(reply.whole);
        let events = reply.events();
        let (name, data) = events.last().expect("events");
        assert_eq!(events.len(), 6, "{path}");
        match path {
            CHAT => assert_eq!(data["error"]["type"], "server_error"),
            RESPONSES => assert_eq!((name.as_str(), &data["sequence_number"]), ("error", &json!(5))),
            _ => assert_eq!((name.as_str(), &data["error"]["type"]), ("error", &json!("overloaded_error"))),
        }
        let entry = last_entry(&provider, number + 1).await;
        assert_eq!((entry.outcome, entry.stop), (Some(Outcome::ErrorEvent), None::<StopReason>));
    }
    let plain = post(&provider, MESSAGES, &Script::error_event(5), &body(MESSAGES, "m", false)).await;
    assert_eq!((plain.status, plain.json()["type"].clone()), (500, json!("error")));
}

#[tokio::test]
async fn a_malformed_event_is_no_json_and_the_stream_goes_on() {
    let provider = provider().await;
    for path in GENERATIONS {
        let sound = short(&provider, path, "text=9", &body(path, "m", true)).await;
        let broken = short(&provider, path, "text=9,malformed=4", &body(path, "m", true)).await;
        let (sound, broken) = (sound.events(), broken.events());
        assert_eq!(broken.len(), sound.len() + 1);
        assert!(broken[4].1.is_string(), "kept as text because it is no JSON: {:?}", broken[4]);
        let mut without = broken;
        without.remove(4);
        assert_eq!(without, sound);
    }
}

#[tokio::test]
async fn error_statuses_have_the_dialects_body_and_headers() {
    let provider = provider().await;
    let expected = [
        (400, "invalid_request_error", "invalid_request_error", json!(null)),
        (401, "authentication_error", "invalid_request_error", json!("invalid_api_key")),
        (403, "permission_error", "invalid_request_error", json!("permission_denied")),
        (404, "not_found_error", "invalid_request_error", json!("model_not_found")),
        (413, "request_too_large", "invalid_request_error", json!("request_too_large")),
        (429, "rate_limit_error", "requests", json!("rate_limit_exceeded")),
        (500, "api_error", "server_error", json!(null)),
        (503, "api_error", "service_unavailable_error", json!("server_is_overloaded")),
        (529, "overloaded_error", "server_error", json!(null)),
    ];
    for (status, anthropic, openai, code) in expected {
        for path in GENERATIONS {
            let reply = post(&provider, path, &Script::error(status), &body(path, "m", true)).await;
            assert_eq!(reply.status, status);
            let retry_after = (status == 429).then_some("1");
            assert_eq!(reply.header("retry-after"), retry_after);
            let error = reply.json();
            if path == MESSAGES {
                assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(anthropic)));
                assert_eq!(reply.header("request-id"), error["request_id"].as_str());
            } else {
                assert_eq!((&error["error"]["type"], &error["error"]["code"]), (&json!(openai), &code));
                assert!(reply.header("x-request-id").is_some());
            }
        }
    }
    let ledger = provider.ledger();
    assert!(ledger.entries.iter().all(|entry| entry.outcome == Some(Outcome::ErrorStatus)));
}

#[tokio::test]
async fn so_many_requests_fail_and_the_next_succeeds() {
    let provider = provider().await;
    let error =
        ScriptedError { status: 429, times: Some(2), retry_after_ms: Some(1_200), should_retry: Some(true) };
    let script =
        |id: &str| Script { id: Some(id.to_owned()), error: Some(error.clone()), ..Script::default() };
    for id in ["one", "other"] {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let reply = post(&provider, CHAT, &script(id), &body(CHAT, "m", false)).await;
            if reply.status == 429 {
                assert_eq!(
                    (reply.header("retry-after"), reply.header("retry-after-ms")),
                    (Some("2"), Some("1200"))
                );
                assert_eq!(reply.header("x-should-retry"), Some("true"));
            }
            statuses.push(reply.status);
        }
        assert_eq!(statuses, [429, 429, 200, 200], "{id}");
    }
}

#[tokio::test]
async fn requests_that_cannot_be_understood_are_refused_in_their_dialect() {
    let provider = provider().await;
    for (path, pointer) in [(CHAT, "/error/type"), (RESPONSES, "/error/type"), (MESSAGES, "/error/type")] {
        for body in [json!("no object"), json!({"messages": []})] {
            let reply = short(&provider, path, "text", &body).await;
            let kind = reply.json().pointer(pointer).cloned();
            assert_eq!((reply.status, kind), (400, Some(json!("invalid_request_error"))));
        }
    }
}
