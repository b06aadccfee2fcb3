//! How a provider of a dialect is asked, and what its caller is told beside an answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use lunaroute_core::{Dialect, Operation};

use super::meaning::Meaning;
use crate::dispatch::language;

/// Where a generation is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What that is called.
    pub operation: Operation,
    /// Path and query, with the version that the vendor's own address has.
    pub path: Cow<'static, str>,
    /// Headers without which the vendor refuses the request: names in lower case, and values.
    pub headers: &'static [(&'static str, &'static str)],
}

/// Where a generation is asked for in this dialect. Some vendors have the model and the stream in the path.
#[must_use]
pub fn endpoint(to: Dialect, model: &str, stream: bool) -> Endpoint {
    language(to).endpoint(model, stream)
}

/// Whether a credential for one dialect's vendor may be shown to providers of the other: one vendor speaks both.
#[must_use]
pub fn share_credentials(one: Dialect, other: Dialect) -> bool {
    language(one).maker() == language(other).maker()
}

/// The header, in lower case, in which clients of this dialect look for the name of their request.
#[must_use]
pub fn request_id_header(to: Dialect) -> &'static str {
    language(to).request_id_header()
}

/// A foreign provider's error as an answer in the caller's dialect: status and JSON body. Headers such as `retry-after`
/// are the caller's of this function to add.
#[must_use]
pub fn told_error(to: Dialect, meaning: Meaning, message: &str, request_id: &str) -> (StatusCode, Bytes) {
    let (status, body) = language(to).told_error(meaning, message, request_id);
    (status, Bytes::from(body.to_string()))
}

/// The answer to a question for the length of a request; `None` when the dialect has no such question.
#[must_use]
pub fn told_tokens(to: Dialect, tokens: u64) -> Option<Bytes> {
    language(to).told_tokens(tokens).map(|body| Bytes::from(body.to_string()))
}
