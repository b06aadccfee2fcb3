//! What went wrong, whose it is and what to do next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The caller's: a retry elsewhere would fail in the same way.
    Client,
    /// The gateway's own: a limit, a missing configuration, a full queue.
    Gateway,
    /// The provider's, or the network's on the way to it.
    Upstream,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request cannot be understood.
    BadRequest,
    /// A credential is missing, wrong or ambiguous.
    Unauthenticated,
    /// The credential may not do this.
    Forbidden,
    /// No such path or model.
    NotFound,
    /// The request goes on from an earlier answer that is not known, or not the caller's.
    UnknownResponse,
    /// The method does not go with the path.
    MethodNotAllowed,
    /// The body, or what it unpacks to, is larger than the limit.
    TooLarge,
    /// The body's content coding is not known.
    UnsupportedEncoding,
    /// WebSocket was asked for and is not spoken here.
    UpgradeRequired,
    /// Too many requests.
    RateLimited,
    /// Overloaded: try again later.
    Overloaded,
    /// The caller took too long to send its request.
    RequestTimeout,
    /// No connection to the provider.
    Connect,
    /// The provider did not answer in time.
    Timeout,
    /// The provider answered what HTTP does not allow, or cut the answer short.
    Protocol,
    /// The provider answered with an error of its own.
    Provider,
    /// The caller hung up.
    Cancelled,
    /// A fault of the gateway itself.
    Internal,
}

impl FailureKind {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::UnknownResponse => "unknown_response",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::UpgradeRequired => "upgrade_required",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::RequestTimeout => "request_timeout",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Provider => "provider",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of a failure that the gateway itself reports.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        use http::StatusCode as Status;
        match self {
            Self::BadRequest | Self::UnknownResponse => Status::BAD_REQUEST,
            Self::Unauthenticated => Status::UNAUTHORIZED,
            Self::Forbidden => Status::FORBIDDEN,
            Self::NotFound => Status::NOT_FOUND,
            Self::MethodNotAllowed => Status::METHOD_NOT_ALLOWED,
            Self::TooLarge => Status::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding => Status::UNSUPPORTED_MEDIA_TYPE,
            Self::UpgradeRequired => Status::UPGRADE_REQUIRED,
            Self::RateLimited => Status::TOO_MANY_REQUESTS,
            Self::Overloaded => Status::SERVICE_UNAVAILABLE,
            Self::RequestTimeout => Status::REQUEST_TIMEOUT,
            Self::Connect | Self::Protocol | Self::Provider => Status::BAD_GATEWAY,
            Self::Timeout => Status::GATEWAY_TIMEOUT,
            Self::Cancelled | Self::Internal => Status::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What may be done after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing: the same request fails again.
    Never,
    /// The same request may succeed, at once or at another target.
    Elsewhere,
    /// The provider asks to wait this long first.
    After(Duration),
}

/// A failure on the way of one request.
///
/// `message` is a sentence for people: what happened, where, what to do. It never holds a secret, a credential or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose it is.
    pub side: Side,
    /// What kind it is.
    pub kind: FailureKind,
    /// What may be done.
    pub retry: Retry,
    /// The sentence for people.
    pub message: String,
}

impl Failure {
    /// A failure that the caller has to mend.
    #[must_use]
    pub fn client(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { side: Side::Client, kind, retry: Retry::Never, message: message.into() }
    }

    /// A failure of the gateway itself.
    #[must_use]
    pub fn gateway(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { side: Side::Gateway, kind, retry: Retry::Never, message: message.into() }
    }

    /// A failure of the provider or of the way to it.
    #[must_use]
    pub fn upstream(kind: FailureKind, retry: Retry, message: impl Into<String>) -> Self {
        Self { side: Side::Upstream, kind, retry, message: message.into() }
    }
}
