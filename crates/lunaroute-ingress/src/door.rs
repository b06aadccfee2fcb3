//! What a path asks for. The path is taken as it was sent: nothing is decoded, no segment is resolved, letter case
//! counts. So what is decided here is decided about the very path that is forwarded.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, header};
use lunaroute_core::{Dialect, Operation};

mod gemini;

pub use gemini::{addressed, rename_model};

/// Where a request wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// The caller's dialect; `None` when nobody's path is asked for.
    pub dialect: Option<Dialect>,
    /// What is asked for.
    pub operation: Operation,
    /// A question that the gateway answers itself, without a provider.
    pub probe: Option<Probe>,
}

/// Questions that the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `HEAD /` and `HEAD /api/hello`: Claude Code looks whether anybody is there. 200 without a body.
    Reachability,
    /// `POST /api/event_logging/...`: Claude Code's telemetry. 200 `{}`, not a model call.
    Telemetry,
    /// Any other `/api/` path: Claude Code's account functions. 404 in Anthropic's envelope.
    ClientAccount,
    /// `/healthz`: is the process alive.
    Health,
    /// `/readyz`: can it serve.
    Readiness,
    /// `/metrics`.
    Metrics,
    /// `/version`.
    Version,
}

/// First segments (after an optional `/v1`) that only OpenAI has.
const OPENAI_ONLY: [&str; 16] = [
    "assistants",
    "audio",
    "batches",
    "chat",
    "chatkit",
    "completions",
    "containers",
    "embeddings",
    "evals",
    "fine_tuning",
    "images",
    "moderations",
    "realtime",
    "threads",
    "uploads",
    "vector_stores",
];

/// Says what a request asks for: by path first; where vendors share a path, by the headers that only one of them has.
///
/// Tolerated besides the documented paths: a doubled `/v1/v1/`, a trailing slash, a missing `/v1`, and Azure's
/// `/openai/...` forms. [`upstream_path`] undoes the first two.
#[must_use]
pub fn classify(method: &Method, uri: &Uri, headers: &HeaderMap) -> Door {
    if let Some(probe) = probe(method, uri.path()) {
        let dialect = matches!(probe, Probe::Telemetry | Probe::ClientAccount).then_some(Dialect::Anthropic);
        return Door { dialect, operation: Operation::Other, probe: Some(probe) };
    }
    let path = canonical(uri.path());
    let place = by_path(method, path).unwrap_or_else(|| shared(method, path, uri.query(), headers));
    Door { dialect: place.0, operation: place.1, probe: None }
}

/// Whether the client wants to leave HTTP for WebSocket. Where that is not spoken the answer is 426, on which clients fall
/// back to plain requests at once.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket")))
    })
}

/// Whether this is where Responses may be asked for over WebSocket: a GET of a path that takes their POST.
#[must_use]
pub fn is_responses_socket(method: &Method, uri: &Uri) -> bool {
    let place = by_path(&Method::POST, canonical(uri.path()));
    method == Method::GET && matches!(place, Some((_, Operation::Responses)))
}

/// The path and query to ask a provider for: as sent, but of a doubled `/v1/v1/` one is left, and a slash at the end of
/// the path is dropped. A path of nobody's stays exactly as it was sent.
#[must_use]
pub fn upstream_path(path_and_query: &str) -> Cow<'_, str> {
    let (path, query) = match path_and_query.find('?') {
        Some(mark) => path_and_query.split_at(mark),
        None => (path_and_query, ""),
    };
    let plain = canonical(path);
    if plain.len() == path.len() || by_path(&Method::POST, plain).is_none() && !plain.starts_with("/v1/") {
        return Cow::Borrowed(path_and_query);
    }
    Cow::Owned(format!("{plain}{query}"))
}

fn probe(method: &Method, path: &str) -> Option<Probe> {
    let reads = method == Method::GET || method == Method::HEAD;
    match path {
        "/" | "/api/hello" if method == Method::HEAD => Some(Probe::Reachability),
        "/healthz" if reads => Some(Probe::Health),
        "/readyz" if reads => Some(Probe::Readiness),
        "/metrics" if reads => Some(Probe::Metrics),
        "/version" if reads => Some(Probe::Version),
        _ if path.starts_with("/api/event_logging/") && method == Method::POST => Some(Probe::Telemetry),
        _ if path.starts_with("/api/") => Some(Probe::ClientAccount),
        _ => None,
    }
}

/// The path without a doubled version and without a single slash at its end. What is already plain stays as it is, and
/// so does what has more of either: the result read again is the same.
fn canonical(path: &str) -> &str {
    let is_doubled = |rest: &&str| rest.starts_with("/v1/") && !rest.starts_with("/v1/v1/");
    let path = path.strip_prefix("/v1").filter(is_doubled).unwrap_or(path);
    path.strip_suffix('/').filter(|rest| !rest.is_empty() && !rest.ends_with('/')).unwrap_or(path)
}

/// First segment and what follows its slash, after an optional version; and whether the version was there.
fn segments(path: &str) -> (&str, Option<&str>, bool) {
    let (rest, versioned) = match path.strip_prefix("/v1/") {
        Some(rest) => (rest, true),
        None => (path.strip_prefix('/').unwrap_or(path), false),
    };
    match rest.split_once('/') {
        Some((first, tail)) => (first, Some(tail), versioned),
        None => (rest, None, versioned),
    }
}

/// What a path means that only one vendor has.
fn by_path(method: &Method, path: &str) -> Option<(Option<Dialect>, Operation)> {
    let (first, tail, versioned) = segments(path);
    let posted = |operation| if method == Method::POST { operation } else { Operation::Other };
    let place = match (first, tail) {
        ("messages", None) => (Dialect::Anthropic, posted(Operation::Messages)),
        ("messages", Some("count_tokens")) => (Dialect::Anthropic, posted(Operation::CountTokens)),
        ("messages", _) | ("complete", None) => (Dialect::Anthropic, Operation::Other),
        ("responses", None) => (Dialect::OpenaiResponses, posted(Operation::Responses)),
        ("responses" | "conversations", _) | ("alpha", Some("search")) => {
            (Dialect::OpenaiResponses, Operation::Other)
        }
        ("chat", Some("completions")) => (Dialect::OpenaiChat, posted(Operation::Chat)),
        ("completions", None) => (Dialect::OpenaiChat, posted(Operation::Completions)),
        ("embeddings", None) => (Dialect::OpenaiChat, posted(Operation::Embeddings)),
        ("openai", Some(tail)) if !versioned => azure(method, tail),
        _ if let Some(operation) = gemini::operation(method, path) => (Dialect::Gemini, operation),
        (first, _) if OPENAI_ONLY.contains(&first) => (Dialect::OpenaiChat, Operation::Other),
        _ => return None,
    };
    Some((Some(place.0), place.1))
}

/// Azure's paths: `/openai/v1/...`, `/openai/...` and `/openai/deployments/{deployment}/...`.
fn azure(method: &Method, tail: &str) -> (Dialect, Operation) {
    let inner = match tail.strip_prefix("deployments/") {
        Some(rest) => rest.split_once('/').map_or("", |(_, inner)| inner),
        None => tail.strip_prefix("v1/").unwrap_or(tail),
    };
    let posted = |operation| if method == Method::POST { operation } else { Operation::Other };
    match inner {
        "chat/completions" => (Dialect::OpenaiChat, posted(Operation::Chat)),
        "completions" => (Dialect::OpenaiChat, posted(Operation::Completions)),
        "embeddings" => (Dialect::OpenaiChat, posted(Operation::Embeddings)),
        "responses" => (Dialect::OpenaiResponses, posted(Operation::Responses)),
        _ if inner.starts_with("responses/") => (Dialect::OpenaiResponses, Operation::Other),
        _ => (Dialect::OpenaiChat, Operation::Other),
    }
}

/// What a path means that several vendors have, or that is not known: the headers decide. Below `/v1/` a caller who
/// shows no sign of Anthropic is OpenAI's, as every Anthropic client sends `anthropic-version`; elsewhere a caller
/// without any sign is nobody's.
fn shared(
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> (Option<Dialect>, Operation) {
    let (first, tail, versioned) = segments(path);
    let lists_models = first == "models" && tail.is_none() && method == Method::GET;
    let operation = if lists_models { Operation::Models } else { Operation::Other };
    let names = |prefix: &str| headers.keys().any(|name| name.as_str().starts_with(prefix));
    let dialect = if names("anthropic-") || names("x-claude-code-") || only_an_x_api_key(headers) {
        Some(Dialect::Anthropic)
    } else if first == "models" && versioned && gemini::shows_in(headers, query) {
        Some(Dialect::Gemini)
    } else if headers.contains_key("originator") || lists_models && asks_as_codex(query) {
        Some(Dialect::OpenaiResponses)
    } else if versioned || lists_models || names("openai-") {
        Some(Dialect::OpenaiChat)
    } else {
        None
    };
    (dialect, operation)
}

/// Anthropic's classic credential, in the place where OpenAI's clients send a bearer token.
fn only_an_x_api_key(headers: &HeaderMap) -> bool {
    headers.contains_key("x-api-key") && !headers.contains_key(header::AUTHORIZATION)
}

/// Codex lists models with `client_version` in the query.
fn asks_as_codex(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("client_version=")))
}
