//! Answers that are given byte for byte.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Bytes to answer with, registered under a name by [`Provider::register`](crate::Provider::register) and called for
/// with [`Source::Registered`](crate::Source::Registered). Pauses, flushes, cuts and framing are the script's.
#[derive(Debug, Clone, Default)]
pub struct RawResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers, besides those that frame the message. A `content-length` given here is sent as it is.
    pub headers: HeaderMap,
    /// The body in pieces; each counts as one event for the script's delays and cuts.
    pub chunks: Vec<Bytes>,
}

impl RawResponse {
    /// A `200` answer of one content type.
    ///
    /// # Panics
    /// When the content type is no header value.
    #[must_use]
    pub fn new(content_type: &'static str, chunks: Vec<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        Self { status: StatusCode::OK, headers, chunks }
    }
}
