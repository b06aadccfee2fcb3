//! Failures in the caller's dialect, and providers' errors for the record.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use lunaroute_core::{Delta, Dialect, Failure};
use memchr::memmem;

use crate::coding::decode_request;
use crate::dispatch::language;
use crate::json::Json;

/// How much of a provider's sentence a record keeps, in bytes.
const MESSAGE_LIMIT: usize = 4096;

/// How much of an error body is unpacked to be read.
const BODY_LIMIT: usize = 1024 * 1024;

/// A failure as an answer in the caller's dialect: status and JSON body. Headers such as `retry-after` are the caller's
/// of this function to add.
#[must_use]
pub fn render(dialect: Dialect, failure: &Failure, request_id: &str) -> (StatusCode, Bytes) {
    let (status, body) = language(dialect).error_body(failure, request_id);
    (status, Bytes::from(body.to_string()))
}

/// The event with which a stream that broke ends, whole with its blank line. `sequence` is the number that a Responses
/// stream's next event has (0 when it was not counted); the other dialects do not number events.
///
/// Put [`seam`] before it.
#[must_use]
pub fn stream_error(dialect: Dialect, failure: &Failure, request_id: &str, sequence: u64) -> Bytes {
    Bytes::from(language(dialect).error_event(failure, request_id, sequence))
}

/// What goes before an event that the gateway puts into a stream: nothing between two events, and what closes the torn
/// event otherwise.
#[must_use]
pub fn seam(dialect: Dialect, at_boundary: bool) -> &'static [u8] {
    if at_boundary { b"" } else { language(dialect).seam() }
}

/// The bytes that keep a silent stream alive in its own form. `after_start` says whether the stream's first event has
/// gone out: Anthropic's `ping` may only follow `message_start`, a comment may stand anywhere.
#[must_use]
pub fn keep_alive(dialect: Dialect, after_start: bool) -> &'static [u8] {
    language(dialect).keep_alive(after_start)
}

/// An error as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderError {
    /// The provider's type, such as `rate_limit_error`; its code when it gives no type, else `status_<n>`.
    pub kind: String,
    /// The provider's sentence, cut at 4 KiB; empty when it gives none.
    pub message: String,
    /// The provider's code, such as `model_not_found`.
    pub code: Option<String>,
    /// The provider's id of the request, from the body or the headers.
    pub request_id: Option<String>,
    /// How long the provider asks to wait, where its body says so: Google's `RetryInfo`.
    pub retry_after: Option<Duration>,
}

impl From<ProviderError> for Delta {
    /// The error as a piece of the answer that it came in.
    fn from(error: ProviderError) -> Self {
        let retry_after_ms = error.retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        Self::Error { kind: error.kind, code: error.code, message: error.message, retry_after_ms }
    }
}

/// Reads a provider's error from a whole answer: from any body when the status is 400 or above, and from a body of a
/// lower status only when it says that it is an error (some hosts answer 200 with one). `headers` may name a content
/// coding. The envelopes of all dialects are known to it. `None` when the answer is no error.
#[must_use]
pub fn upstream_error(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<ProviderError> {
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let decoded = decode_request(coding, body, BODY_LIMIT).unwrap_or_default();
    // Without the word there is nothing to read: see `may_be`.
    if status.as_u16() < 400 && memmem::find(&decoded, b"\"error\"").is_none() {
        return None;
    }
    let mut error = read_body(status, &decoded, Json::whole(&decoded))?;
    let named =
        || ["request-id", "x-request-id", "apim-request-id"].iter().find_map(|name| headers.get(*name));
    error.request_id =
        error.request_id.or_else(|| named().and_then(|value| value.to_str().ok()).map(str::to_owned));
    Some(error)
}

/// The same for a body that is not coded, without headers; `json` is the body when it is whole JSON.
pub(crate) fn read_body(status: StatusCode, body: &[u8], json: Option<Json<'_>>) -> Option<ProviderError> {
    let failed = status.as_u16() >= 400;
    if let Some(error) = json.and_then(|json| read(json, failed)) {
        return Some(error);
    }
    failed.then(|| ProviderError {
        kind: format!("status_{}", status.as_u16()),
        message: cut(&String::from_utf8_lossy(&body[..body.len().min(MESSAGE_LIMIT)])),
        code: None,
        request_id: None,
        retry_after: None,
    })
}

/// Whether an object with these members (`error`, `type`, `object`) may be an error at all; nothing else is one.
pub(crate) fn may_be(error: Option<Json<'_>>, kind: Option<Json<'_>>, object: Option<Json<'_>>) -> bool {
    let says_error = |value: Option<Json<'_>>| value.is_some_and(|value| value.says("error"));
    error.is_some() || says_error(kind) || says_error(object)
}

/// The error that a JSON value tells, in any of the envelopes that providers use. `certain` says that the value is an
/// error whatever it looks like.
pub(crate) fn read(json: Json<'_>, certain: bool) -> Option<ProviderError> {
    // Gemini's OpenAI endpoint wraps the envelope in an array.
    let json = if json.is_array() { json.elements().next()? } else { json };
    if !json.is_object() {
        return None;
    }
    let [error, kind, object, message, detail, request_id] =
        json.fields(["error", "type", "object", "message", "detail", "request_id"]);
    let inner = match error {
        Some(error) if error.is_object() => error,
        Some(error) if error.text().is_some_and(|text| !text.is_empty()) => {
            return Some(assemble(json, error.text(), request_id));
        }
        // Old vLLM and the flat events of Responses put the members beside `type` or `object`.
        _ if certain || may_be(None, kind, object) => json,
        _ => return None,
    };
    let sentence = match inner.range() == json.range() {
        true => message.or(detail).and_then(Json::text),
        false => inner.text_of("message"),
    };
    Some(assemble(inner, sentence, request_id))
}

fn assemble(
    inner: Json<'_>,
    message: Option<std::borrow::Cow<'_, str>>,
    request_id: Option<Json<'_>>,
) -> ProviderError {
    let [kind, code, status, details] = inner.fields(["type", "code", "status", "details"]);
    // A code may be a number (vLLM).
    let word = |value: Option<Json<'_>>| {
        let value = value?;
        value
            .text()
            .map(|text| cut(&text))
            .or_else(|| value.count().map(|number| number.to_string()))
            .filter(|word| !word.is_empty())
    };
    let code = word(code);
    // The flat envelope's own type says only that it is an error.
    let kind = word(kind).filter(|kind| kind != "error").or_else(|| word(status)).or_else(|| code.clone());
    ProviderError {
        kind: kind.unwrap_or_else(|| "error".to_owned()),
        message: message.map(|text| cut(&text)).unwrap_or_default(),
        code,
        request_id: request_id.and_then(Json::text).map(|id| cut(&id)),
        retry_after: details.and_then(wait_of),
    }
}

/// The wait that one of the details of Google's errors asks for: `google.rpc.RetryInfo`, whose delay is a duration of
/// protocol buffers in JSON, such as `34s` or `0.250s`.
fn wait_of(details: Json<'_>) -> Option<Duration> {
    details.objects(["@type", "retryDelay"]).find_map(|(_, [kind, delay])| {
        kind?.text().filter(|kind| kind.ends_with("google.rpc.RetryInfo"))?;
        let delay = delay?.text()?;
        Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
    })
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MESSAGE_LIMIT)].to_owned()
}
