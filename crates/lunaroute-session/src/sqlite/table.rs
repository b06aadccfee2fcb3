//! The columns of each table, once: for writing rows, and for reading them back to check their digests.

use std::sync::OnceLock;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::digest::RowDigest;
use super::failure::StepError;

/// A row to be written: every column of its table but `digest`, in the table's order.
pub(crate) type Fields = Vec<(&'static str, Value)>;

/// A table.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Every column but `digest`.
    pub(crate) columns: &'static [&'static str],
    /// The primary key's columns, joined by `, `.
    pub(crate) key: &'static str,
    insert: OnceLock<String>,
    upsert: OnceLock<String>,
}

impl Table {
    const fn new(name: &'static str, key: &'static str, columns: &'static [&'static str]) -> Self {
        Self { name, columns, key, insert: OnceLock::new(), upsert: OnceLock::new() }
    }

    /// Adds a row unless its key is there already; tells whether it was added.
    pub(crate) fn insert(&self, connection: &Connection, row: &Fields) -> Result<bool, StepError> {
        self.check(row);
        let sql = self.insert.get_or_init(|| {
            format!("{} ON CONFLICT ({}) DO NOTHING", self.insert_into(self.columns), self.key)
        });
        let mut statement = connection.prepare_cached(sql)?;
        let values = row.iter().map(|(_, value)| value);
        Ok(statement.execute(rusqlite::params_from_iter(values))? == 1)
    }

    /// Adds a row with its digest, or replaces the one that has its key.
    pub(crate) fn upsert(
        &self,
        connection: &Connection,
        row: &Fields,
        digest: Option<[u8; 32]>,
    ) -> Result<(), StepError> {
        self.check(row);
        let sql = self.upsert.get_or_init(|| {
            let columns: Vec<&str> = self.columns.iter().copied().chain(["digest"]).collect();
            let sets: Vec<String> =
                columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
            format!(
                "{} ON CONFLICT ({}) DO UPDATE SET {}",
                self.insert_into(&columns),
                self.key,
                sets.join(", ")
            )
        });
        let digest = Value::from(digest.map(|digest| digest.to_vec()));
        let mut statement = connection.prepare_cached(sql)?;
        let values = row.iter().map(|(_, value)| value).chain([&digest]);
        statement.execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    /// Adds or replaces a row whose digest covers the row alone.
    pub(crate) fn upsert_sealed(&self, connection: &Connection, row: &Fields) -> Result<(), StepError> {
        let mut digest = RowDigest::default();
        digest.row(self.name, row);
        self.upsert(connection, row, Some(digest.finish()))
    }

    /// The columns as a list for SELECT.
    pub(crate) fn select_list(&self) -> String {
        self.columns.join(", ")
    }

    /// The columns of a result row that was selected by [`select_list`](Self::select_list).
    pub(crate) fn fields(&self, row: &Row<'_>) -> rusqlite::Result<Fields> {
        self.columns.iter().enumerate().map(|(place, name)| Ok((*name, row.get(place)?))).collect()
    }

    fn insert_into(&self, columns: &[&str]) -> String {
        let marks = vec!["?"; columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", self.name, columns.join(", "))
    }

    fn check(&self, row: &Fields) {
        debug_assert!(
            row.iter().map(|(name, _)| name).eq(self.columns),
            "{}: the row has other columns than its table",
            self.name
        );
    }
}

/// A figure as a column holds it.
pub(crate) fn integer(what: &'static str, value: Option<u64>) -> Result<Value, StepError> {
    // Far below the largest integer (in microseconds nine years), so that no sum of rows can overflow.
    const LARGEST: u64 = 1 << 48;
    match value {
        None => Ok(Value::Null),
        Some(value) if value <= LARGEST => Ok(Value::Integer(value.cast_signed())),
        Some(value) => Err(StepError::TooLarge { what, value }),
    }
}

/// Text as a column holds it.
pub(crate) fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_owned()))
}

/// A blob's hash as a column holds it.
pub(crate) fn hash(value: Option<blake3::Hash>) -> Value {
    value.map_or(Value::Null, |value| Value::Blob(value.as_bytes().to_vec()))
}

pub(crate) static SESSIONS: Table = Table::new(
    "sessions",
    "id",
    &[
        "id",
        "tenant_id",
        "conversation_id",
        "source",
        "id_source",
        "client",
        "dialect",
        "listener",
        "provider",
        "model",
        "status",
        "started_at",
        "last_activity_at",
        "completed_at",
        "success",
        "finish_reason",
        "error",
        "client_ip",
        "user_agent",
        "request_count",
        "tool_call_count",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
        "total_ms",
    ],
);

pub(crate) static REQUESTS: Table = Table::new(
    "requests",
    "id",
    &[
        "id",
        "session_id",
        "kind",
        "method",
        "path",
        "dialect",
        "provider",
        "model_requested",
        "model_used",
        "is_stream",
        "status",
        "ending",
        "http_status",
        "started_at",
        "completed_at",
        "total_ms",
        "overhead_pre_us",
        "overhead_post_us",
        "ttft_ms",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
        "attempts",
        "tool_calls",
        "finish_reason",
        "finish_reason_raw",
        "error_kind",
        "error",
        "preview",
        "read_problem",
        "request_headers",
        "response_headers",
        "request_encoding",
        "response_encoding",
        "request_bytes",
        "response_bytes",
        "response_blake3",
        "request_blob",
        "decoded_blob",
        "response_blob",
        "lost_frames",
        "lost_bytes",
        "gap_cause",
    ],
);

pub(crate) static MESSAGES: Table = Table::new(
    "request_messages",
    "request_id, ordinal",
    &["request_id", "ordinal", "role", "group_id", "blob_hash"],
);

pub(crate) static MESSAGE_GROUPS: Table =
    Table::new("message_groups", "id, place", &["id", "place", "role", "blob_hash"]);

pub(crate) static ATTEMPTS: Table = Table::new(
    "attempts",
    "request_id, ordinal",
    &[
        "request_id",
        "ordinal",
        "provider",
        "model",
        "status_code",
        "reason",
        "started_at",
        "completed_at",
        "latency_ms",
        "error_kind",
        "error",
        "retry_after_ms",
        "provider_response_blob",
    ],
);

pub(crate) static RESPONSES: Table = Table::new(
    "responses",
    "id",
    &[
        "id",
        "request_id",
        "attempt_ordinal",
        "provider_response_id",
        "body_blob",
        "text_preview",
        "stop_reason_raw",
    ],
);

pub(crate) static TOOL_CALLS: Table = Table::new(
    "tool_calls",
    "session_id, id",
    &[
        "session_id",
        "id",
        "request_id",
        "name",
        "started_at",
        "completed_at",
        "status",
        "success",
        "duration_ms",
        "arguments_blob",
        "result_blob",
        "result_request_id",
    ],
);

pub(crate) static STREAM_EVENTS: Table =
    Table::new("stream_events", "request_id, seq", &["request_id", "seq", "at_us", "type", "idx", "payload"]);

pub(crate) static STREAM_METRICS: Table = Table::new(
    "stream_metrics",
    "request_id",
    &["request_id", "ttft_us", "chunks", "gap_p50_us", "gap_p95_us", "gap_p99_us", "bytes"],
);

pub(crate) static SESSION_ERRORS: Table = Table::new(
    "session_errors",
    "request_id, seq",
    &["request_id", "seq", "session_id", "at", "kind", "message"],
);

pub(crate) static STATE: Table = Table::new(
    "projector_state",
    "writer",
    &["writer", "segment", "offset", "read_segment", "read_offset", "out_of_order"],
);

pub(crate) static QUARANTINE: Table =
    Table::new("quarantine", "writer, event_id", &["writer", "event_id", "error", "payload", "at"]);
