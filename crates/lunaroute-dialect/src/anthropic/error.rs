//! Failures in Anthropic's words.

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Side};
use serde_json::{Value, json};

use crate::cross::Meaning;

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
        | FailureKind::UnknownResponse
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

/// A foreign provider's error: the status and the whole envelope.
pub(super) fn told(meaning: Meaning, message: &str, request_id: &str) -> (StatusCode, Value) {
    let (status, kind) = meant(meaning);
    let error = json!({ "type": kind, "message": sentence(meaning, message) });
    (status, json!({ "type": "error", "error": error, "request_id": request_id }))
}

/// The sentence of an error. Claude Code compacts a conversation when it reads these words, and only then.
pub(super) fn sentence(meaning: Meaning, message: &str) -> String {
    match meaning {
        Meaning::ContextTooLong => {
            format!("prompt is too long: {message} (capability_rejected: prompt_too_long)")
        }
        _ => message.to_owned(),
    }
}

/// Anthropic's status and type for what an error means.
pub(super) fn meant(meaning: Meaning) -> (StatusCode, &'static str) {
    use StatusCode as Status;
    match meaning {
        Meaning::BadRequest | Meaning::ContextTooLong => (Status::BAD_REQUEST, "invalid_request_error"),
        Meaning::Conflict => (Status::CONFLICT, "invalid_request_error"),
        Meaning::Unprocessable => (Status::UNPROCESSABLE_ENTITY, "invalid_request_error"),
        Meaning::BadKey => (Status::UNAUTHORIZED, "authentication_error"),
        Meaning::OwnKey | Meaning::Connect | Meaning::Unusable => (Status::BAD_GATEWAY, "api_error"),
        Meaning::NoCredit => (Status::PAYMENT_REQUIRED, "billing_error"),
        Meaning::Forbidden => (Status::FORBIDDEN, "permission_error"),
        Meaning::NotFound => (Status::NOT_FOUND, "not_found_error"),
        Meaning::TooLarge => (Status::PAYLOAD_TOO_LARGE, "request_too_large"),
        Meaning::RateLimit => (Status::TOO_MANY_REQUESTS, "rate_limit_error"),
        Meaning::Overloaded => {
            (Status::from_u16(OVERLOADED).unwrap_or(Status::SERVICE_UNAVAILABLE), "overloaded_error")
        }
        Meaning::Upstream => (Status::INTERNAL_SERVER_ERROR, "api_error"),
        Meaning::Timeout => (Status::GATEWAY_TIMEOUT, "timeout_error"),
    }
}
