//! Failures in Google's words: <https://cloud.google.com/apis/design/errors>.

use http::StatusCode;
use lunaroute_core::{Failure, FailureKind, Retry, Side};
use serde_json::{Value, json};

/// The status and the whole envelope.
pub(super) fn body(failure: &Failure, request_id: &str) -> (StatusCode, Value) {
    let (status, word) = words(failure);
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id,
    })];
    if let Retry::After(wait) = failure.retry {
        let delay = format!("{}s", wait.as_secs().max(1));
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    let error = json!({
        "code": status.as_u16(), "message": failure.message, "status": word, "details": details,
    });
    (status, json!({ "error": error }))
}

/// The HTTP status and Google's canonical code. The statuses of HTTP itself are kept where Google has a coarser one:
/// clients and proxies act on them.
fn words(failure: &Failure) -> (StatusCode, &'static str) {
    let status = failure.kind.status();
    match failure.kind {
        FailureKind::BadRequest
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
