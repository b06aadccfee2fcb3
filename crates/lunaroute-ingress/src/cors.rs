//! Calls of web pages from other origins: refused unless [`Config::cors`](crate::Config::cors) allows them.
//!
//! No credentialed mode is offered: a page has to send its key in a header itself, so a browser never adds one.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::{Config, Reply};

/// Answers a browser's question whether a page may make a call; `None` when it is no such question, or is not allowed.
#[must_use]
pub fn preflight(head: &Parts, config: &Config) -> Option<Response<Reply>> {
    let cors = config.cors.as_ref()?;
    head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| head.method == Method::OPTIONS)?;
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    decorate(headers, &head.headers, config);
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return None;
    }
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    if let Some(asked) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    Some(response)
}

/// Puts on an answer what lets the asking page read it; nothing when its origin is not allowed.
pub fn decorate(response: &mut HeaderMap, request: &HeaderMap, config: &Config) {
    let Some(origin) = request.get(header::ORIGIN).filter(|origin| is_allowed(origin, config)) else {
        return;
    };
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    response.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Whether pages of this origin may call.
pub(crate) fn is_allowed(origin: &HeaderValue, config: &Config) -> bool {
    config.cors.as_ref().is_some_and(|cors| {
        cors.allowed_origins
            .iter()
            .any(|allowed| allowed == "*" || origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
    })
}
