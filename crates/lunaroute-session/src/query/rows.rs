//! From columns to what the record answers.

use lunaroute_core::{RequestId, SessionId, Timestamp};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Deserialize;

use crate::event::TranslationWarning;

use super::record::{AttemptRecord, RequestRecord, SessionRecord, TokenCounts, ToolCallRecord};

pub(super) const SESSION_COLUMNS: &str = "id, (SELECT c.external_id FROM conversations c WHERE c.id = sessions.conversation_id) AS external_id, \
     conversation_id, id_source, client, dialect, listener, provider, model, status, started_at, last_activity_at, \
     completed_at, success, finish_reason, error, client_ip, user_agent, request_count, \
     (SELECT count(*) FROM requests r WHERE r.session = sessions.number \
        AND r.status IN ('error', 'cancelled', 'interrupted')) AS failed_requests, \
     tool_call_count, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, \
     reasoning_tokens, total_ms, \
     (SELECT CAST(avg(r.ttft_us) AS INTEGER) FROM requests r WHERE r.session = sessions.number) AS first_token_us";

pub(super) const REQUEST_COLUMNS: &str = "id, session_id, kind, method, path, dialect, provider, model_requested, model_used, is_stream, status, ending, \
     http_status, started_at, completed_at, total_ms, overhead_pre_us, overhead_post_us, ttft_us, input_tokens, \
     cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, attempts, \
     tool_calls, finish_reason, finish_reason_raw, error_kind, error, request_bytes, response_bytes, \
     response_blake3, lost_frames, lost_bytes, gap_cause, attempt_list, provider_dialect, warnings";

pub(super) const TOOL_CALL_COLUMNS: &str = "id, request_id, name, started_at, completed_at, status, success, duration_ms, arguments_blake3, result_blake3, \
     result_request_id";

/// A time from a column of milliseconds.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Ok(millis(row.get(column)?))
}

fn maybe_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(millis))
}

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis.saturating_mul(1_000))
}

/// A figure from a column; a negative one, which only other hands can have written, is unknown.
pub(super) fn figure(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|figure| u64::try_from(figure).ok()))
}

pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(figure(row, column)?.unwrap_or(0))
}

fn hex(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<String>> {
    let hash: Option<[u8; 32]> = row.get(column)?;
    Ok(hash.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string()))
}

fn malformed<E: std::error::Error + Send + Sync + 'static>(error: E) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

pub(super) fn session_id(row: &Row<'_>, column: &str) -> rusqlite::Result<SessionId> {
    SessionId::parse(&row.get::<_, String>(column)?).map_err(malformed)
}

fn request_id(row: &Row<'_>, column: &str) -> rusqlite::Result<RequestId> {
    row.get::<_, String>(column)?.parse().map_err(malformed)
}

fn maybe_request_id(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<RequestId>> {
    row.get::<_, Option<String>>(column)?.map(|id| id.parse().map_err(malformed)).transpose()
}

pub(super) fn tokens(row: &Row<'_>) -> rusqlite::Result<TokenCounts> {
    Ok(TokenCounts {
        input: figure(row, "input_tokens")?,
        cache_read: figure(row, "cache_read_tokens")?,
        cache_write_5m: figure(row, "cache_write_5m_tokens")?,
        cache_write_1h: figure(row, "cache_write_1h_tokens")?,
        output: figure(row, "output_tokens")?,
        reasoning: figure(row, "reasoning_tokens")?,
    })
}

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: session_id(row, "id")?,
        external_id: row.get("external_id")?,
        conversation_id: row.get("conversation_id")?,
        id_source: row.get("id_source")?,
        client: row.get("client")?,
        dialect: row.get("dialect")?,
        listener: row.get("listener")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
        status: row.get("status")?,
        started_at: time(row, "started_at")?,
        last_activity_at: time(row, "last_activity_at")?,
        completed_at: maybe_time(row, "completed_at")?,
        success: row.get("success")?,
        finish_reason: row.get("finish_reason")?,
        error: row.get("error")?,
        client_ip: row.get("client_ip")?,
        user_agent: row.get("user_agent")?,
        requests: count(row, "request_count")?,
        failed_requests: count(row, "failed_requests")?,
        tool_calls: count(row, "tool_call_count")?,
        tokens: tokens(row)?,
        total_ms: count(row, "total_ms")?,
        first_token_us: figure(row, "first_token_us")?,
    })
}

/// A request without its preview.
pub(super) fn request(row: &Row<'_>) -> rusqlite::Result<RequestRecord> {
    Ok(RequestRecord {
        id: request_id(row, "id")?,
        session_id: session_id(row, "session_id")?,
        kind: row.get("kind")?,
        method: row.get("method")?,
        path: row.get("path")?,
        dialect: row.get("dialect")?,
        provider: row.get("provider")?,
        model_requested: row.get("model_requested")?,
        model_used: row.get("model_used")?,
        is_stream: row.get("is_stream")?,
        status: row.get("status")?,
        ending: row.get("ending")?,
        http_status: row.get("http_status")?,
        started_at: time(row, "started_at")?,
        completed_at: maybe_time(row, "completed_at")?,
        total_ms: figure(row, "total_ms")?,
        overhead_pre_us: figure(row, "overhead_pre_us")?,
        overhead_post_us: figure(row, "overhead_post_us")?,
        ttft_ms: figure(row, "ttft_us")?.map(|micros| micros / 1_000),
        tokens: tokens(row)?,
        attempts: count(row, "attempts")?,
        tool_calls: figure(row, "tool_calls")?,
        finish_reason: row.get("finish_reason")?,
        finish_reason_raw: row.get("finish_reason_raw")?,
        error_kind: row.get("error_kind")?,
        error: row.get("error")?,
        preview: None,
        request_bytes: figure(row, "request_bytes")?,
        response_bytes: figure(row, "response_bytes")?,
        response_blake3: hex(row, "response_blake3")?,
        lost_frames: figure(row, "lost_frames")?,
        lost_bytes: figure(row, "lost_bytes")?,
        gap_cause: row.get("gap_cause")?,
        attempt_list: attempts(row)?,
        provider_dialect: row.get("provider_dialect")?,
        warnings: warnings(row)?,
    })
}

fn warnings(row: &Row<'_>) -> rusqlite::Result<Vec<TranslationWarning>> {
    let Some(json) = row.get::<_, Option<String>>("warnings")? else { return Ok(Vec::new()) };
    serde_json::from_str(&json).map_err(malformed)
}

/// An attempt as its column has it: an array in the order of the columns of the view `attempts`.
#[derive(Deserialize)]
struct AttemptColumns(
    u32,
    Option<String>,
    Option<String>,
    Option<u16>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<u64>,
    Option<String>,
    Option<String>,
    Option<u64>,
    #[expect(
        dead_code,
        reason = "the blob of what the client never saw is in the column and not in the answer"
    )]
    Option<i64>,
);

fn attempts(row: &Row<'_>) -> rusqlite::Result<Vec<AttemptRecord>> {
    let Some(json) = row.get::<_, Option<String>>("attempt_list")? else { return Ok(Vec::new()) };
    let columns: Vec<AttemptColumns> = serde_json::from_str(&json).map_err(malformed)?;
    Ok(columns.into_iter().map(attempt).collect())
}

fn attempt(columns: AttemptColumns) -> AttemptRecord {
    let AttemptColumns(
        ordinal,
        provider,
        model,
        status_code,
        reason,
        started_at,
        completed_at,
        latency_ms,
        ..,
    ) = columns;
    AttemptRecord {
        ordinal,
        provider,
        model,
        reason,
        status_code,
        started_at: started_at.map(millis),
        completed_at: completed_at.map(millis),
        latency_ms,
        error_kind: columns.8,
        error: columns.9,
        retry_after_ms: columns.10,
    }
}

pub(super) fn tool_call(row: &Row<'_>) -> rusqlite::Result<ToolCallRecord> {
    Ok(ToolCallRecord {
        id: row.get("id")?,
        request_id: maybe_request_id(row, "request_id")?,
        name: row.get("name")?,
        started_at: maybe_time(row, "started_at")?,
        completed_at: maybe_time(row, "completed_at")?,
        status: row.get("status")?,
        success: row.get("success")?,
        duration_ms: figure(row, "duration_ms")?,
        arguments_blake3: hex(row, "arguments_blake3")?,
        result_blake3: hex(row, "result_blake3")?,
        result_request_id: maybe_request_id(row, "result_request_id")?,
    })
}
