//! Failures in the caller's dialect, and providers' errors for the record.

use http::StatusCode;
use lunaroute_core::{Dialect, Failure, FailureKind, Retry, Side};
use lunaroute_dialect::EndWatch;
use lunaroute_dialect::error::{keep_alive, render, seam, stream_error, upstream_error};
use serde_json::{Value, json};

use crate::{generation, headers, read_body, show};

const KINDS: [FailureKind; 18] = [
    FailureKind::BadRequest,
    FailureKind::Unauthenticated,
    FailureKind::Forbidden,
    FailureKind::NotFound,
    FailureKind::UnknownResponse,
    FailureKind::MethodNotAllowed,
    FailureKind::TooLarge,
    FailureKind::UnsupportedEncoding,
    FailureKind::UpgradeRequired,
    FailureKind::RateLimited,
    FailureKind::Overloaded,
    FailureKind::RequestTimeout,
    FailureKind::Connect,
    FailureKind::Timeout,
    FailureKind::Protocol,
    FailureKind::Provider,
    FailureKind::Cancelled,
    FailureKind::Internal,
];

fn rendered(dialect: Dialect, failure: &Failure) -> (u16, Value) {
    let (status, body) = render(dialect, failure, "req-7");
    (status.as_u16(), serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn failures_have_the_status_and_the_words_of_the_dialect() {
    let rows = [
        (FailureKind::BadRequest, 400, "invalid_request_error", 400, "invalid_request_error", Value::Null),
        (
            FailureKind::Unauthenticated,
            401,
            "authentication_error",
            401,
            "invalid_request_error",
            json!("invalid_api_key"),
        ),
        (
            FailureKind::Forbidden,
            403,
            "permission_error",
            403,
            "invalid_request_error",
            json!("permission_denied"),
        ),
        (
            FailureKind::UnknownResponse,
            400,
            "invalid_request_error",
            400,
            "invalid_request_error",
            json!("previous_response_not_found"),
        ),
        (FailureKind::NotFound, 404, "not_found_error", 404, "invalid_request_error", json!("not_found")),
        (
            FailureKind::TooLarge,
            413,
            "request_too_large",
            413,
            "invalid_request_error",
            json!("request_too_large"),
        ),
        (
            FailureKind::UpgradeRequired,
            426,
            "invalid_request_error",
            426,
            "invalid_request_error",
            json!("websocket_not_supported"),
        ),
        (FailureKind::RateLimited, 429, "rate_limit_error", 429, "requests", json!("rate_limit_exceeded")),
        (
            FailureKind::Overloaded,
            529,
            "overloaded_error",
            503,
            "service_unavailable_error",
            json!("server_is_overloaded"),
        ),
        (FailureKind::Connect, 502, "api_error", 502, "server_error", json!("upstream_unreachable")),
        (FailureKind::Timeout, 504, "timeout_error", 504, "server_error", json!("upstream_timeout")),
        (FailureKind::Internal, 500, "api_error", 500, "server_error", Value::Null),
    ];
    for (kind, status, anthropic, openai_status, openai, code) in rows {
        let failure = Failure::client(kind, "What happened.");
        let expected = json!({
            "type": "error", "error": {"type": anthropic, "message": "What happened."}, "request_id": "req-7",
        });
        assert_eq!(rendered(Dialect::Anthropic, &failure), (status, expected));
        let parameter = (kind == FailureKind::UnknownResponse).then_some("previous_response_id");
        let error = json!({"message": "What happened.", "type": openai, "param": parameter, "code": code});
        for dialect in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
            assert_eq!(rendered(dialect, &failure), (openai_status, json!({"error": error})), "{kind:?}");
        }
    }
}

#[test]
fn failures_have_googles_canonical_codes() {
    let rows = [
        (FailureKind::BadRequest, 400, "INVALID_ARGUMENT"),
        (FailureKind::Unauthenticated, 401, "UNAUTHENTICATED"),
        (FailureKind::Forbidden, 403, "PERMISSION_DENIED"),
        (FailureKind::NotFound, 404, "NOT_FOUND"),
        (FailureKind::TooLarge, 413, "INVALID_ARGUMENT"),
        (FailureKind::RateLimited, 429, "RESOURCE_EXHAUSTED"),
        (FailureKind::Internal, 500, "INTERNAL"),
        (FailureKind::Connect, 502, "UNAVAILABLE"),
        (FailureKind::Overloaded, 503, "UNAVAILABLE"),
        (FailureKind::Timeout, 504, "DEADLINE_EXCEEDED"),
    ];
    let request = json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "req-7"});
    for (kind, status, word) in rows {
        let error =
            json!({"code": status, "message": "What happened.", "status": word, "details": [request]});
        let failure = Failure::client(kind, "What happened.");
        assert_eq!(rendered(Dialect::Gemini, &failure), (status, json!({"error": error})));
    }
    let wait = Retry::After(std::time::Duration::from_secs(34));
    let (_, told) = rendered(Dialect::Gemini, &Failure::upstream(FailureKind::RateLimited, wait, "Slow."));
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"});
    assert_eq!(told["error"]["details"], json!([request, retry]));
}

#[test]
fn a_refusal_of_the_gateways_own_key_is_not_told_as_the_callers() {
    let failure =
        Failure::upstream(FailureKind::Unauthenticated, Retry::Never, "The provider refused the key.");
    assert_eq!(failure.side, Side::Upstream);
    for dialect in Dialect::ALL {
        assert_eq!(rendered(dialect, &failure).0, 502, "{dialect}");
    }
}

#[test]
fn what_is_rendered_is_read_back_as_an_error() {
    for dialect in Dialect::ALL {
        for kind in KINDS {
            let failure = Failure::gateway(kind, "A sentence with \"quotes\"\nand a line.");
            let (status, body) = render(dialect, &failure, "req-7");
            assert!(status.is_client_error() || status.is_server_error(), "{kind:?}");
            let error = upstream_error(StatusCode::OK, &headers(&[]), &body).expect("an error");
            assert_eq!(error.message, failure.message, "{dialect} {kind:?}");
        }
    }
}

#[test]
fn a_broken_stream_ends_in_an_error_and_never_in_an_end() {
    let failure = Failure::upstream(FailureKind::Timeout, Retry::Elsewhere, "The provider fell silent.");
    for dialect in Dialect::ALL {
        let event = stream_error(dialect, &failure, "req-7", 12);
        let text = std::str::from_utf8(&event).expect("text");
        assert!(text.ends_with("\n\n") && !text.contains("[DONE]"), "{text}");
        let shown = show(&read_body(dialect, 200, text));
        assert!(
            shown.contains(": The provider fell silent.") && !shown.contains("end"),
            "{dialect}: {shown}"
        );
        let mut watch = EndWatch::new(dialect, generation(dialect));
        watch.push(&event);
        assert!(watch.ended() && watch.at_boundary(), "{dialect}");
        let data: Value = serde_json::from_str(
            text.lines().last().and_then(|line| line.strip_prefix("data: ")).unwrap_or_default(),
        )
        .or_else(|_| serde_json::from_str(text.split("data: ").nth(1).expect("data").trim()))
        .expect("JSON");
        assert!(data["error"]["message"].is_string(), "SDKs raise on this member: {data}");
    }
    let flat = stream_error(Dialect::OpenaiResponses, &failure, "req-7", 12);
    let text = std::str::from_utf8(&flat).expect("text");
    let data: Value = serde_json::from_str(text.split("data: ").nth(1).expect("data")).expect("JSON");
    assert_eq!((&data["type"], &data["sequence_number"]), (&json!("error"), &json!(12)));
}

#[test]
fn own_bytes_leave_a_stream_between_events() {
    for dialect in Dialect::ALL {
        assert_eq!(seam(dialect, true), b"");
        for torn in ["data: {\"x", "data: {}\n", "event: message_stop", "data: {}\r"] {
            let mut watch = EndWatch::new(dialect, generation(dialect));
            watch.push(torn.as_bytes());
            watch.push(seam(dialect, watch.at_boundary()));
            assert!(watch.at_boundary() && !watch.ended(), "{dialect} {torn:?}");
            for after_start in [false, true] {
                watch.push(keep_alive(dialect, after_start));
                assert!(watch.at_boundary() && !watch.ended(), "{dialect}");
            }
        }
        let sign = keep_alive(dialect, false);
        assert!(sign.starts_with(b":") || sign == b"\n", "before the start only what is no event is safe");
    }
    assert_eq!(keep_alive(Dialect::Anthropic, true), b"event: ping\ndata: {\"type\": \"ping\"}\n\n");
}

#[test]
fn providers_errors_are_read_in_every_envelope() {
    let long = "x".repeat(10_000);
    let rows: Vec<(u16, String, Option<[&str; 4]>)> = vec![
        (429, r#"{"error":{"message":"slow","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#.into(), Some(["requests", "slow", "rate_limit_exceeded", "header"])),
        (401, r#"{"type":"error","error":{"type":"authentication_error","message":"bad key"},"request_id":"req_body"}"#.into(), Some(["authentication_error", "bad key", "-", "req_body"])),
        (400, r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#.into(), Some(["INVALID_ARGUMENT", "bad", "400", "header"])),
        (400, r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#.into(), Some(["BadRequestError", "too long", "400", "header"])),
        (500, r#"{"detail":"exploded"}"#.into(), Some(["error", "exploded", "-", "header"])),
        (404, r#"{"error":"no such model"}"#.into(), Some(["error", "no such model", "-", "header"])),
        (413, "Request Entity Too Large".into(), Some(["status_413", "Request Entity Too Large", "-", "header"])),
        (503, long.clone(), Some(["status_503", &long[..4096], "-", "header"])),
        (200, r#"{"error":{"message":"hidden","code":502}}"#.into(), Some(["502", "hidden", "502", "header"])),
        (200, r#"{"id":"resp","error":null,"status":"completed","type":"message"}"#.into(), None),
        (200, r#"{"choices":[],"message":"fine"}"#.into(), None),
        (200, "not json".into(), None),
    ];
    for (status, body, expected) in rows {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = upstream_error(status, &headers(&[("x-request-id", "header")]), body.as_bytes());
        let shown = error.as_ref().map(|error| {
            let code = error.code.as_deref().unwrap_or("-");
            [error.kind.as_str(), &error.message, code, error.request_id.as_deref().unwrap_or("-")]
        });
        assert_eq!(shown, expected, "{status} {body}");
    }
    let coded = crate::coding::encode("gzip", br#"{"error":{"message":"packed","type":"t"}}"#);
    let error = upstream_error(StatusCode::BAD_REQUEST, &headers(&[("content-encoding", "gzip")]), &coded);
    assert_eq!(error.map(|error| error.message).as_deref(), Some("packed"));
}
