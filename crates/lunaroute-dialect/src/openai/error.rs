//! Failures in OpenAI's words, for Chat Completions and Responses alike.

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Side};
use serde_json::{Value, json};

use crate::cross::Meaning;

/// The status, and the members of the error object.
pub(crate) fn members(failure: &Failure) -> (StatusCode, Value) {
    let (kind, code) = words(failure);
    // A provider that refuses the gateway's own key is no fault of the caller's key: a 401 would say so.
    let status = match (failure.side, failure.kind) {
        (Side::Upstream, FailureKind::Unauthenticated) => StatusCode::BAD_GATEWAY,
        (_, kind) => kind.status(),
    };
    let parameter = match failure.kind {
        FailureKind::UnknownResponse => Some("previous_response_id"),
        _ => None,
    };
    (status, json!({ "message": failure.message, "type": kind, "param": parameter, "code": code }))
}

/// OpenAI's `type` and `code` for a failure.
pub(crate) const fn words(failure: &Failure) -> (&'static str, Option<&'static str>) {
    match failure.kind {
        FailureKind::BadRequest => ("invalid_request_error", None),
        FailureKind::Unauthenticated => match failure.side {
            Side::Upstream => ("server_error", Some("upstream_auth")),
            Side::Client | Side::Gateway => ("invalid_request_error", Some("invalid_api_key")),
        },
        FailureKind::Forbidden => ("invalid_request_error", Some("permission_denied")),
        FailureKind::NotFound => ("invalid_request_error", Some("not_found")),
        FailureKind::UnknownResponse => ("invalid_request_error", Some("previous_response_not_found")),
        FailureKind::MethodNotAllowed => ("invalid_request_error", Some("method_not_allowed")),
        FailureKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        FailureKind::UnsupportedEncoding => ("invalid_request_error", Some("unsupported_content_encoding")),
        FailureKind::UpgradeRequired => ("invalid_request_error", Some("websocket_not_supported")),
        FailureKind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        FailureKind::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
        FailureKind::RequestTimeout => ("invalid_request_error", Some("request_timeout")),
        FailureKind::Timeout => ("server_error", Some("upstream_timeout")),
        FailureKind::Connect => ("server_error", Some("upstream_unreachable")),
        FailureKind::Protocol => ("server_error", Some("upstream_protocol")),
        FailureKind::Provider | FailureKind::Cancelled | FailureKind::Internal => ("server_error", None),
    }
}

/// A foreign provider's error: the status and the whole envelope.
pub(crate) fn told(meaning: Meaning, message: &str, _request_id: &str) -> (StatusCode, Value) {
    let (status, kind, code) = meant(meaning);
    (status, json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
}

/// OpenAI's status, `type` and `code` for what an error means.
pub(crate) const fn meant(meaning: Meaning) -> (StatusCode, &'static str, Option<&'static str>) {
    use StatusCode as Status;
    match meaning {
        Meaning::BadRequest => (Status::BAD_REQUEST, "invalid_request_error", None),
        Meaning::Conflict => (Status::CONFLICT, "invalid_request_error", None),
        Meaning::Unprocessable => (Status::UNPROCESSABLE_ENTITY, "invalid_request_error", None),
        Meaning::ContextTooLong => {
            (Status::BAD_REQUEST, "invalid_request_error", Some("context_length_exceeded"))
        }
        Meaning::BadKey => (Status::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key")),
        Meaning::OwnKey => (Status::BAD_GATEWAY, "server_error", Some("upstream_auth")),
        Meaning::NoCredit => (Status::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota")),
        Meaning::Forbidden => (Status::FORBIDDEN, "invalid_request_error", Some("permission_denied")),
        Meaning::NotFound => (Status::NOT_FOUND, "invalid_request_error", Some("model_not_found")),
        Meaning::TooLarge => (Status::PAYLOAD_TOO_LARGE, "invalid_request_error", Some("request_too_large")),
        Meaning::RateLimit => (Status::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded")),
        Meaning::Overloaded => {
            (Status::SERVICE_UNAVAILABLE, "service_unavailable_error", Some("server_is_overloaded"))
        }
        Meaning::Upstream => (Status::INTERNAL_SERVER_ERROR, "server_error", None),
        Meaning::Timeout => (Status::GATEWAY_TIMEOUT, "server_error", Some("upstream_timeout")),
        Meaning::Connect => (Status::BAD_GATEWAY, "server_error", Some("upstream_unreachable")),
        Meaning::Unusable => (Status::BAD_GATEWAY, "server_error", None),
    }
}
