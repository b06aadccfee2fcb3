//! The rows that hang on a request that is over.

use blake3::Hash;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::blobs::BlobStore;
use super::failure::StepError;
use super::pending::{Mishap, Pending};
use super::table::{
    ATTEMPTS, Fields, RESPONSES, SESSION_ERRORS, STREAM_EVENTS, STREAM_METRICS, Table, hash, integer, text,
};

/// The rows by table, in the order in which the request's digest takes them.
pub(crate) fn children(
    connection: &Connection,
    store: &mut BlobStore,
    pending: &Pending,
    answer: Option<Hash>,
) -> Result<[(&'static Table, Vec<Fields>); 5], StepError> {
    let id = pending.request.to_string();
    Ok([
        (&ATTEMPTS, attempts(connection, store, pending)?),
        (&RESPONSES, responses(pending, &id, answer)),
        (&STREAM_EVENTS, pending.samples.rows(&id)),
        (&STREAM_METRICS, metrics(pending, &id)?),
        (&SESSION_ERRORS, errors(pending, &id)),
    ])
}

fn responses(pending: &Pending, id: &str, answer: Option<Hash>) -> Vec<Fields> {
    let response = pending.response.as_deref();
    if pending.head.is_none() && response.is_none() && pending.answer.length == 0 {
        return Vec::new();
    }
    let attempt = pending.attempts.keys().next_back();
    vec![vec![
        ("id", text(Some(id))),
        ("request_id", text(Some(id))),
        ("attempt_ordinal", attempt.map(|ordinal| i64::from(*ordinal)).into()),
        (
            "provider_response_id",
            text(response.and_then(|response| response.provider_response_id.as_deref())),
        ),
        ("body_blob", hash(answer)),
        ("text_preview", text(response.and_then(|response| response.text_preview.as_deref()))),
        ("stop_reason_raw", text(response.and_then(|response| response.stop_raw.as_deref()))),
    ]]
}

fn metrics(pending: &Pending, id: &str) -> Result<Vec<Fields>, StepError> {
    let Some(stats) = &pending.stats else { return Ok(Vec::new()) };
    Ok(vec![vec![
        ("request_id", text(Some(id))),
        ("ttft_us", integer("ttft_us", stats.ttft_us)?),
        ("chunks", integer("frames", Some(stats.frames))?),
        ("gap_p50_us", integer("gap_p50_us", stats.gap_p50_us)?),
        ("gap_p95_us", integer("gap_p95_us", stats.gap_p95_us)?),
        ("gap_p99_us", integer("gap_p99_us", stats.gap_p99_us)?),
        ("bytes", integer("response_bytes", Some(stats.response_bytes))?),
    ]])
}

fn errors(pending: &Pending, id: &str) -> Vec<Fields> {
    let row = |mishap: &Mishap| {
        vec![
            ("request_id", text(Some(id))),
            ("seq", Value::Integer(i64::from(mishap.seq))),
            ("session_id", text(Some(pending.session.as_str()))),
            ("at", Value::Integer(mishap.at.as_millis())),
            ("kind", text(Some(mishap.kind.as_str()))),
            ("message", text(Some(&mishap.message))),
        ]
    };
    pending.mishaps.iter().map(row).collect()
}

fn attempts(
    connection: &Connection,
    store: &mut BlobStore,
    pending: &Pending,
) -> Result<Vec<Fields>, StepError> {
    let mut rows = Vec::with_capacity(pending.attempts.len());
    for (ordinal, attempt) in &pending.attempts {
        let started = attempt.started.as_ref();
        let finished = attempt.finished.as_ref();
        let outcome = finished.map(|(_, outcome)| outcome);
        let latency_ms = outcome.map(|outcome| outcome.latency_us / 1_000);
        rows.push(vec![
            ("request_id", Value::Text(pending.request.to_string())),
            ("ordinal", Value::Integer(i64::from(*ordinal))),
            ("provider", text(started.map(|(_, started)| started.provider.as_str()))),
            ("model", text(started.and_then(|(_, started)| started.model.as_deref()))),
            ("status_code", outcome.and_then(|outcome| outcome.status).map(i64::from).into()),
            ("reason", text(started.map(|(_, started)| started.reason.as_str()))),
            ("started_at", started.map(|(at, _)| at.as_millis()).into()),
            ("completed_at", finished.map(|(at, _)| at.as_millis()).into()),
            ("latency_ms", integer("latency_us", latency_ms)?),
            ("error_kind", text(outcome.and_then(|outcome| outcome.failure).map(|kind| kind.as_str()))),
            ("error", text(outcome.and_then(|outcome| outcome.message.as_deref()))),
            (
                "retry_after_ms",
                integer("retry_after_ms", outcome.and_then(|outcome| outcome.retry_after_ms))?,
            ),
            ("provider_response_blob", hash(store.hold(connection, &attempt.body)?)),
        ]);
    }
    Ok(rows)
}
