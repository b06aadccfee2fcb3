//! The columns of a request's own row, from what is known of it so far.

use blake3::Hash;
use lunaroute_core::{Ending, Usage};
use rusqlite::types::Value;

use super::failure::StepError;
use super::pending::Pending;
use super::request::BodyReferences;
use super::sessions::TOKEN_COLUMNS;
use super::table::{Fields, hash, integer, text};
use crate::event::{Started, Stats};

/// The request's status in the words of the schema.
pub(crate) fn request_status(pending: &Pending) -> &'static str {
    let Some(completed) = &pending.completed else { return "running" };
    match completed.ending {
        Ending::Completed if completed.status.is_some_and(|status| status >= 400) => "error",
        Ending::Completed => "success",
        Ending::UpstreamError | Ending::GatewayError => "error",
        Ending::Cancelled => "cancelled",
        Ending::Interrupted => "interrupted",
    }
}

/// The row, in the order of its table.
pub(crate) fn request_row(
    pending: &Pending,
    references: Option<&BodyReferences>,
    answer: Option<Hash>,
) -> Result<Fields, StepError> {
    let mut row = head(pending);
    row.extend(times(pending)?);
    row.extend(tokens(pending)?);
    row.extend(outcome(pending));
    row.extend(bodies(pending, references, answer)?);
    Ok(row)
}

/// Who asked what of whom.
fn head(pending: &Pending) -> Fields {
    let started = pending.started.as_deref();
    let of = |word: fn(&Started) -> &str| text(started.map(word));
    let read = pending.read.as_deref();
    let attempt = pending.attempts.values().rev().find_map(|attempt| attempt.started.as_ref());
    let attempt = attempt.map(|(_, started)| started);
    let answered_by = pending.response.as_ref().and_then(|response| response.model.as_deref());
    vec![
        ("id", Value::Text(pending.request.to_string())),
        ("session_id", text(Some(pending.session.as_str()))),
        ("kind", of(|started| started.operation.as_str())),
        ("method", of(|started| &started.method)),
        ("path", of(|started| &started.path)),
        ("dialect", of(|started| started.dialect.as_str())),
        ("provider", text(attempt.map(|attempt| attempt.provider.as_str()))),
        ("model_requested", text(read.and_then(|read| read.model.as_deref()))),
        ("model_used", text(answered_by.or(attempt.and_then(|attempt| attempt.model.as_deref())))),
        ("is_stream", read.map(|read| read.stream).into()),
    ]
}

/// How it stands, and when.
fn times(pending: &Pending) -> Result<Fields, StepError> {
    let completed = pending.completed.as_ref();
    let stats = figures(pending);
    let total_us = stats.map_or_else(
        || completed.map(|completed| completed.at.micros_since(pending.first_at)),
        |stats| Some(stats.total_us),
    );
    let pre_us = stats.map(|stats| stats.overhead_pre_us);
    let begun = pending.started.as_ref().filter(|_| completed.is_some());
    let pre_us = pre_us.or(begun.map(|started| started.overhead_pre_us));
    let status = completed.and_then(|completed| completed.status);
    let status = status.or(pending.head.as_ref().map(|(status, _)| *status));
    Ok(vec![
        ("status", text(Some(request_status(pending)))),
        ("ending", text(completed.map(|completed| completed.ending.as_str()))),
        ("http_status", status.map(i64::from).into()),
        ("started_at", Value::Integer(pending.first_at.as_millis())),
        ("completed_at", completed.map(|completed| completed.at.as_millis()).into()),
        ("total_ms", integer("total_us", total_us.map(|micros| micros / 1_000))?),
        ("overhead_pre_us", integer("overhead_pre_us", pre_us)?),
        ("overhead_post_us", integer("overhead_post_us", stats.map(|stats| stats.overhead_post_us))?),
        ("ttft_ms", integer("ttft_us", stats.and_then(|stats| stats.ttft_us).map(|micros| micros / 1_000))?),
    ])
}

/// Figures are told once, when the request is over: the session's sums are those of its rows at any time.
fn figures(pending: &Pending) -> Option<&Stats> {
    pending.stats.as_ref().filter(|_| pending.completed.is_some())
}

fn tokens(pending: &Pending) -> Result<Fields, StepError> {
    let over = pending.completed.is_some();
    let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } =
        pending.response.as_ref().filter(|_| over).map(|response| response.usage).unwrap_or_default();
    let tokens = [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning];
    TOKEN_COLUMNS
        .into_iter()
        .zip(tokens)
        .map(|(column, tokens)| Ok((column, integer(column, tokens)?)))
        .collect()
}

/// What came of it.
fn outcome(pending: &Pending) -> Fields {
    let response = pending.response.as_deref();
    let completed = pending.completed.as_ref();
    let mishap = pending.mishaps.last();
    let kind = completed.and_then(|completed| completed.error).or(mishap.map(|mishap| mishap.kind));
    let message = completed.and_then(|completed| completed.message.as_deref());
    let message = message.or(mishap.map(|mishap| mishap.message.as_str()));
    vec![
        ("attempts", Value::Integer(i64::try_from(pending.attempts.len()).unwrap_or(i64::MAX))),
        ("tool_calls", response.map(|response| i64::from(response.tool_calls)).into()),
        ("finish_reason", text(response.and_then(|response| response.stop).map(|stop| stop.as_str()))),
        ("finish_reason_raw", text(response.and_then(|response| response.stop_raw.as_deref()))),
        ("error_kind", text(kind.map(|kind| kind.as_str()))),
        ("error", text(message)),
    ]
}

/// What went over the wire.
fn bodies(
    pending: &Pending,
    references: Option<&BodyReferences>,
    answer: Option<Hash>,
) -> Result<Fields, StepError> {
    let read = pending.read.as_deref();
    let stats = figures(pending);
    let headers = |headers: Option<&Vec<(String, String)>>| {
        let json = headers.map(|headers| serde_json::to_string(headers).expect("pairs of text are JSON"));
        text(json.as_deref())
    };
    let own_hash = || pending.answer.hasher.finalize().to_hex().to_string();
    let answer_hash = stats.map_or_else(own_hash, |stats| stats.response_blake3.clone());
    let over = pending.completed.is_some();
    let response = pending.response.as_deref();
    let response_bytes = stats.map_or(pending.answer.length, |stats| stats.response_bytes);
    // A body that was too large to be held says so where other losses say their cause.
    let lost = pending.lost.filter(|_| over);
    let cause = match (&lost, &pending.answer.bytes) {
        (Some(lost), _) => text(Some(lost.cause.as_str())),
        (None, None) => text(Some("body_limit")),
        (None, Some(_)) => Value::Null,
    };
    Ok(vec![
        ("preview", text(read.and_then(|read| read.preview.as_deref()))),
        ("read_problem", text(read.and_then(|read| read.problem.as_deref()))),
        ("request_headers", headers(pending.started.as_ref().map(|started| &started.headers))),
        ("response_headers", headers(pending.head.as_ref().map(|(_, headers)| headers))),
        ("request_encoding", text(read.and_then(|read| read.content_encoding.as_deref()))),
        ("response_encoding", text(response.and_then(|response| response.content_encoding.as_deref()))),
        ("request_bytes", integer("request_bytes", pending.started.as_ref().map(|_| pending.body_length))?),
        ("response_bytes", integer("response_bytes", over.then_some(response_bytes))?),
        ("response_blake3", text(over.then_some(answer_hash.as_str()))),
        ("request_blob", hash(references.and_then(|references| references.request))),
        ("decoded_blob", hash(references.and_then(|references| references.decoded))),
        ("response_blob", hash(answer)),
        ("lost_frames", integer("lost_frames", lost.map(|lost| lost.frames))?),
        ("lost_bytes", integer("lost_bytes", lost.map(|lost| lost.bytes))?),
        ("gap_cause", cause),
    ])
}
