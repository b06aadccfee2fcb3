//! Failures in Anthropic's words.

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Side};
use serde_json::{Value, json};

/// Anthropic's status for "overloaded"; it has no name in HTTP.
const OVERLOADED: u16 = 529;

/// The status and the whole envelope.
pub(super) fn body(failure: &Failure, request_id: &str) -> (StatusCode, Value) {
    let (status, kind) = words(failure);
    let error = json!({ "type": kind, "message": failure.message });
    (status, json!({ "type": "error", "error": error, "request_id": request_id }))
}

fn words(failure: &Failure) -> (StatusCode, &'static str) {
    let status = failure.kind.status();
    match failure.kind {
        FailureKind::BadRequest
        | FailureKind::MethodNotAllowed
        | FailureKind::UnsupportedEncoding
        | FailureKind::UpgradeRequired
        | FailureKind::RequestTimeout => (status, "invalid_request_error"),
        // A provider that refuses the gateway's own key is no fault of the caller's key: a 401 would say so.
        FailureKind::Unauthenticated => match failure.side {
            Side::Upstream => (StatusCode::BAD_GATEWAY, "api_error"),
            Side::Client | Side::Gateway => (status, "authentication_error"),
        },
        FailureKind::Forbidden => (status, "permission_error"),
        FailureKind::NotFound => (status, "not_found_error"),
        FailureKind::TooLarge => (status, "request_too_large"),
        FailureKind::RateLimited => (status, "rate_limit_error"),
        FailureKind::Overloaded => (StatusCode::from_u16(OVERLOADED).unwrap_or(status), "overloaded_error"),
        FailureKind::Timeout => (status, "timeout_error"),
        FailureKind::Connect
        | FailureKind::Protocol
        | FailureKind::Provider
        | FailureKind::Cancelled
        | FailureKind::Internal => (status, "api_error"),
    }
}
