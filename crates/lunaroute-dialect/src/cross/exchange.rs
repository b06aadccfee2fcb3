//! How a provider of a dialect is asked, and what its caller is told beside an answer.

use bytes::Bytes;
use http::StatusCode;
use lunaroute_core::Dialect;

use super::meaning::Meaning;
use crate::dispatch::language;

/// A foreign provider's error as an answer in the caller's dialect: status and JSON body. Headers such as `retry-after`
/// are the caller's of this function to add.
#[must_use]
pub fn told_error(to: Dialect, meaning: Meaning, message: &str, request_id: &str) -> (StatusCode, Bytes) {
    let (status, body) = language(to).told_error(meaning, message, request_id);
    (status, Bytes::from(body.to_string()))
}
