//! Failures in Google's words: <https://cloud.google.com/apis/design/errors>.

use std::time::Duration;

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Retry, Side};
use serde_json::{Value, json};

use crate::cross::Meaning;

/// The status and the whole envelope.
pub(super) fn body(failure: &Failure, request_id: &str) -> (StatusCode, Value) {
    let (status, word) = words(failure);
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id,
    })];
    if let Retry::After(wait) = failure.retry {
        details.push(retry_info(Duration::from_secs(wait.as_secs().max(1))));
    }
    let error = json!({
        "code": status.as_u16(), "message": failure.message, "status": word, "details": details,
    });
    (status, json!({ "error": error }))
}

/// How long to wait, as a detail of an error.
pub(super) fn retry_info(wait: Duration) -> Value {
    let delay = format!("{}s", wait.as_secs_f64());
    json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })
}

/// The HTTP status and Google's canonical code. The statuses of HTTP itself are kept where Google has a coarser one:
/// clients and proxies act on them.
fn words(failure: &Failure) -> (StatusCode, &'static str) {
    let status = failure.kind.status();
    match failure.kind {
        FailureKind::BadRequest
        | FailureKind::UnknownResponse
        | FailureKind::MethodNotAllowed
        | FailureKind::TooLarge
        | FailureKind::UnsupportedEncoding
        | FailureKind::UpgradeRequired => (status, "INVALID_ARGUMENT"),
        // A provider that refuses the gateway's own key is no fault of the caller's key: a 401 would say so.
        FailureKind::Unauthenticated => match failure.side {
            Side::Upstream => (StatusCode::BAD_GATEWAY, "INTERNAL"),
            Side::Client | Side::Gateway => (status, "UNAUTHENTICATED"),
        },
        FailureKind::Forbidden => (status, "PERMISSION_DENIED"),
        FailureKind::NotFound => (status, "NOT_FOUND"),
        FailureKind::RateLimited => (status, "RESOURCE_EXHAUSTED"),
        FailureKind::Overloaded => (status, "UNAVAILABLE"),
        FailureKind::RequestTimeout | FailureKind::Timeout => (status, "DEADLINE_EXCEEDED"),
        FailureKind::Connect | FailureKind::Protocol => (status, "UNAVAILABLE"),
        FailureKind::Cancelled => (status, "CANCELLED"),
        FailureKind::Provider | FailureKind::Internal => (status, "INTERNAL"),
    }
}

/// A foreign provider's error: the status and the whole envelope.
pub(super) fn told(meaning: Meaning, message: &str, request_id: &str) -> (StatusCode, Value) {
    let (status, word) = meant(meaning);
    let request = json!({ "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id });
    let error = json!({ "code": status.as_u16(), "message": message, "status": word, "details": [request] });
    (status, json!({ "error": error }))
}

/// The HTTP status and Google's canonical code for what an error means.
pub(super) const fn meant(meaning: Meaning) -> (StatusCode, &'static str) {
    match meaning {
        Meaning::BadRequest | Meaning::ContextTooLong | Meaning::TooLarge => {
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT")
        }
        Meaning::Conflict => (StatusCode::CONFLICT, "ABORTED"),
        Meaning::Unprocessable => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
        Meaning::BadKey => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Meaning::OwnKey | Meaning::Unusable => (StatusCode::BAD_GATEWAY, "INTERNAL"),
        Meaning::NoCredit | Meaning::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Meaning::Forbidden => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Meaning::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Meaning::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Meaning::Upstream => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        Meaning::Timeout => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        Meaning::Connect => (StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
    }
}
