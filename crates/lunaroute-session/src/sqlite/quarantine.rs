//! What fits no row is put aside whole, and the rest goes on.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;

use super::failure::StepError;
use super::pending::Pending;
use super::state::WRITER;
use super::table::{QUARANTINE, word};

/// Puts a request aside under the event that could not be written.
pub(crate) fn put_aside(
    connection: &Connection,
    pending: &Pending,
    error: &StepError,
) -> Result<(), StepError> {
    let seq = pending.completed.as_ref().map_or(1, |completed| completed.seq);
    let at = pending.completed.as_ref().map_or(pending.first_at, |completed| completed.at);
    let row = vec![
        ("writer", word(Some(WRITER))),
        ("event_id", Value::Text(format!("{}:{seq}", pending.request))),
        ("error", Value::Text(error.to_string())),
        ("payload", Value::Text(payload(pending)?)),
        ("at", Value::Integer(at.as_millis())),
    ];
    QUARANTINE.put_sealed(connection, &row)
}

/// Everything that is known of the request, as JSON.
fn payload(pending: &Pending) -> Result<String, StepError> {
    let answer = pending.answer.whole()?;
    let attempts: Vec<_> = pending
        .attempts
        .iter()
        .map(|(ordinal, attempt)| {
            json!({
                "ordinal": ordinal,
                "started": attempt.started.as_ref().map(|(_, started)| started),
                "finished": attempt.finished.as_ref().map(|(_, outcome)| outcome),
                "body_base64": BASE64_STANDARD.encode(&attempt.body),
            })
        })
        .collect();
    let tools: Vec<_> = pending
        .tools
        .iter()
        .map(|tool| json!({ "id": tool.id, "name": tool.name, "arguments": tool.arguments }))
        .collect();
    let payload = json!({
        "session": pending.session,
        "request": pending.request,
        "started": pending.started,
        "read": pending.read,
        "attempts": attempts,
        "response_head": pending.head,
        "response": pending.response,
        "tool_calls": tools,
        "stats": pending.stats,
        "ending": pending.completed.as_ref().map(|completed| completed.ending),
        "status": pending.completed.as_ref().and_then(|completed| completed.status),
        "request_body_base64": BASE64_STANDARD.encode(pending.body.whole()),
        "response_body_base64": BASE64_STANDARD.encode(answer),
    });
    Ok(payload.to_string())
}
