//! Errors as each dialect words them.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use lunaroute_core::Dialect;
use serde_json::{Value, json};

use super::{data_event, gemini, named_event};
use crate::compose::Composition;
use crate::script::ScriptedError;

/// An error answer with the dialect's body and headers. `message` replaces the vendor's sentence.
pub(crate) fn error(
    dialect: Dialect,
    status: StatusCode,
    request_id: &str,
    message: Option<&str>,
    scripted: Option<&ScriptedError>,
) -> Composition {
    let body = body(dialect, status, request_id, message).to_string();
    let mut composition = Composition::plain(status, "application/json", Bytes::from(body));
    let wait = scripted.and_then(|error| error.retry_after_ms);
    if let Some(milliseconds) = wait {
        composition.header(RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
        composition.header(HeaderName::from_static("retry-after-ms"), HeaderValue::from(milliseconds));
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        composition.header(RETRY_AFTER, HeaderValue::from(1));
    }
    if let Some(again) = scripted.and_then(|error| error.should_retry) {
        let value = HeaderValue::from_static(if again { "true" } else { "false" });
        composition.header(HeaderName::from_static("x-should-retry"), value);
    }
    composition
}

/// The event that ends a stream with an error. `place` is its number in the stream.
pub(crate) fn error_event(dialect: Dialect, place: usize) -> Bytes {
    match dialect {
        Dialect::OpenaiChat => data_event(&body(dialect, StatusCode::INTERNAL_SERVER_ERROR, "", None)),
        Dialect::OpenaiResponses => {
            let (_, code, message) = openai(500);
            let data = json!({
                "type": "error",
                "code": code.unwrap_or("server_error"),
                "message": message,
                "param": null,
                "sequence_number": place,
            });
            named_event("error", &data)
        }
        Dialect::Anthropic => {
            let (kind, message) = anthropic(529);
            named_event("error", &json!({"type": "error", "error": {"type": kind, "message": message}}))
        }
        Dialect::Gemini => gemini::event(&body(dialect, StatusCode::SERVICE_UNAVAILABLE, "", None)),
    }
}

/// An event whose data breaks off before it is JSON.
pub(crate) fn malformed_event(dialect: Dialect) -> Bytes {
    Bytes::from_static(match dialect {
        Dialect::OpenaiChat => b"data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"delta\n\n",
        Dialect::OpenaiResponses => {
            b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\n\n"
        }
        Dialect::Anthropic => {
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\n\n"
        }
        Dialect::Gemini => b"data: {\"candidates\": [{\"content\": {\"parts\": [{\"te\r\n\r\n",
    })
}

fn body(dialect: Dialect, status: StatusCode, request_id: &str, message: Option<&str>) -> Value {
    match dialect {
        Dialect::Anthropic => {
            let (kind, usual) = anthropic(status.as_u16());
            let error = json!({"type": kind, "message": message.unwrap_or(usual)});
            json!({"type": "error", "error": error, "request_id": request_id})
        }
        Dialect::Gemini => {
            let (word, usual) = google(status.as_u16());
            let message = message.unwrap_or(usual);
            json!({"error": {"code": status.as_u16(), "message": message, "status": word}})
        }
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            let (kind, code, usual) = openai(status.as_u16());
            let message = message.unwrap_or(usual);
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
    }
}

/// Type and sentence.
const fn anthropic(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low to access the API."),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
        404 => ("not_found_error", "The requested resource could not be found."),
        409 => ("conflict_error", "The request conflicts with the state of the resource."),
        413 => ("request_too_large", "Request exceeds the maximum size."),
        429 => ("rate_limit_error", "This request would exceed your rate limit. Please try again later."),
        504 => ("timeout_error", "The request timed out."),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request is invalid."),
    }
}

/// Canonical code and sentence.
const fn google(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission."),
        404 => ("NOT_FOUND", "The model is not found, or is not supported for this method."),
        409 => ("ABORTED", "The request conflicts with another one."),
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
        499 => ("CANCELLED", "The operation was cancelled."),
        503 | 529 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "The request did not end in time."),
        500.. => ("INTERNAL", "An internal error has occurred."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    }
}

/// Type, code and sentence.
const fn openai(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    const INVALID: &str = "invalid_request_error";
    match status {
        401 => (INVALID, Some("invalid_api_key"), "Incorrect API key provided."),
        403 => (INVALID, Some("permission_denied"), "You do not have access to this resource."),
        404 => {
            (INVALID, Some("model_not_found"), "The model does not exist or you do not have access to it.")
        }
        409 => (INVALID, Some("conflict"), "The request conflicts with another one."),
        413 => (INVALID, Some("request_too_large"), "The request is too large."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached. Please try again later."),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), "The server is overloaded."),
        500.. => ("server_error", None, "The server had an error while processing your request."),
        _ => (INVALID, None, "The request is invalid."),
    }
}
