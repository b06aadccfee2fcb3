//! Failures in OpenAI's words, for Chat Completions and Responses alike.

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Side};
use serde_json::{Value, json};

/// The status, and the members of the error object.
pub(crate) fn members(failure: &Failure) -> (StatusCode, Value) {
    let (kind, code) = words(failure);
    // A provider that refuses the gateway's own key is no fault of the caller's key: a 401 would say so.
    let status = match (failure.side, failure.kind) {
        (Side::Upstream, FailureKind::Unauthenticated) => StatusCode::BAD_GATEWAY,
        (_, kind) => kind.status(),
    };
    (status, json!({ "message": failure.message, "type": kind, "param": null, "code": code }))
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
