//! `/sim/...`: the ledger and the reset for tests in other languages. These requests are not in the ledger.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};
use http_body_util::Full;
use hyper::Response;
use serde_json::json;

use super::Desk;
use crate::Ledger;

/// Longest wait for requests to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer to a request below `/sim/`:
/// - `GET /sim/ledger`, narrowed by `?test_id=ID`; with `?settled=N` it waits (at most 10 s) until at least N of these
///   entries are there and all have ended;
/// - `POST /sim/reset`.
pub(crate) async fn control(desk: &Desk, head: &Parts) -> Response<Full<Bytes>> {
    let query: HashMap<&str, &str> =
        head.uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')).collect();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/sim/ledger") => {
            let narrowed = |mut ledger: Ledger| {
                if let Some(test_id) = query.get("test_id") {
                    ledger.entries.retain(|entry| entry.test_id.as_deref() == Some(test_id));
                }
                ledger
            };
            if let Some(least) = query.get("settled").and_then(|number| number.parse::<usize>().ok()) {
                let settled = |ledger: &Ledger| {
                    let wanted = |test_id: &Option<String>| {
                        query.get("test_id").is_none_or(|id| test_id.as_deref() == Some(id))
                    };
                    let mut entries = ledger.entries.iter().filter(|entry| wanted(&entry.test_id)).peekable();
                    let ended = entries.clone().all(|entry| entry.outcome.is_some());
                    ended && entries.by_ref().count() >= least
                };
                // Out of patience, the account is shown as it is: it says itself what is still open.
                let _ = tokio::time::timeout(PATIENCE, desk.book.when(settled)).await;
            }
            match serde_json::to_vec(&narrowed(desk.book.ledger())) {
                Ok(body) => respond(StatusCode::OK, body),
                Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        }
        (&Method::POST, "/sim/reset") => {
            desk.reset();
            respond(StatusCode::OK, b"{}".to_vec())
        }
        _ => refuse(StatusCode::NOT_FOUND, "there are GET /sim/ledger and POST /sim/reset"),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    respond(status, json!({"error": {"message": message}}).to_string().into_bytes())
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
