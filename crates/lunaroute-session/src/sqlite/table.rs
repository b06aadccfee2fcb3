//! The columns of each table, once: for writing rows, and for reading them back to check their digests.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, Statement};

use super::digest::RowDigest;
use super::failure::StepError;

/// A row by the names of its columns: every column of its table but `digest`, in the table's order.
pub(crate) type Fields = Vec<(&'static str, Value)>;

/// A table.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Every column but `digest`.
    pub(crate) columns: &'static [&'static str],
    /// The primary key's columns, joined by `, `.
    pub(crate) key: &'static str,
}

impl Table {
    const fn new(name: &'static str, key: &'static str, columns: &'static [&'static str]) -> Self {
        Self { name, columns, key }
    }

    /// Adds a row with its digest unless its key is there already.
    pub(crate) fn insert_sql(&self) -> String {
        let columns = self.columns.join(", ");
        let marks = vec!["?"; self.columns.len() + 1].join(", ");
        format!(
            "INSERT INTO {} ({columns}, digest) VALUES ({marks}) ON CONFLICT ({}) DO NOTHING",
            self.name, self.key
        )
    }

    /// Changes the row that has the key. The key's columns are the first of the table.
    pub(crate) fn update_sql(&self) -> String {
        let keys = self.key.split(", ").count();
        let columns = (1..).zip(self.columns.iter().copied().chain(["digest"]));
        let (key, others): (Vec<_>, Vec<_>) = columns.partition(|(place, _)| *place <= keys);
        let list = |columns: Vec<(usize, &str)>, between: &str| {
            let terms: Vec<String> =
                columns.into_iter().map(|(place, column)| format!("{column} = ?{place}")).collect();
            terms.join(between)
        };
        format!("UPDATE {} SET {} WHERE {}", self.name, list(others, ", "), list(key, " AND "))
    }

    /// Adds or replaces a row. In two steps: SQLite makes a temporary table for each ON CONFLICT DO UPDATE.
    pub(crate) fn put<'value>(
        &self,
        connection: &Connection,
        cells: impl IntoIterator<Item = ValueRef<'value>> + Clone,
        digest: &'value [u8],
    ) -> Result<(), StepError> {
        let mut update = connection.prepare_cached(&self.update_sql())?;
        if execute(&mut update, cells.clone(), Some(digest))? == 0 {
            execute(&mut *connection.prepare_cached(&self.insert_sql())?, cells, Some(digest))?;
        }
        Ok(())
    }

    /// Adds or replaces a row whose digest covers the row alone.
    pub(crate) fn put_sealed(&self, connection: &Connection, row: &Fields) -> Result<(), StepError> {
        debug_assert!(row.iter().map(|(name, _)| name).eq(self.columns), "{}: other columns", self.name);
        let digest = self.seal(row);
        self.put(connection, row.iter().map(|(_, value)| value.into()), &digest)
    }

    /// The digest over a row alone.
    pub(crate) fn seal(&self, row: &Fields) -> [u8; super::digest::DIGEST] {
        let mut digest = RowDigest::default();
        digest.row(self.name, row.iter().map(|(_, value)| value.into()));
        digest.finish()
    }

    /// The columns as a list for SELECT.
    pub(crate) fn select_list(&self) -> String {
        self.columns.join(", ")
    }

    /// The columns of a result row that was selected by [`select_list`](Self::select_list).
    pub(crate) fn fields(&self, row: &Row<'_>) -> rusqlite::Result<Fields> {
        self.columns.iter().enumerate().map(|(place, name)| Ok((*name, row.get(place)?))).collect()
    }
}

/// Runs a statement that takes the columns of a row and then, when there is one, its digest; tells how many rows changed.
pub(crate) fn execute<'value>(
    statement: &mut Statement<'_>,
    cells: impl IntoIterator<Item = ValueRef<'value>>,
    digest: Option<&'value [u8]>,
) -> rusqlite::Result<usize> {
    let digest = digest.map_or(ValueRef::Null, ValueRef::Blob);
    for (place, cell) in (1..).zip(cells.into_iter().chain([digest])) {
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(cell))?;
    }
    statement.raw_execute()
}

/// Far below the largest integer (in microseconds nine years), so that no sum of rows can overflow.
const LARGEST: u64 = 1 << 48;

/// A figure as a column holds it.
pub(crate) fn figure(what: &'static str, value: Option<u64>) -> Result<ValueRef<'static>, StepError> {
    match value {
        None => Ok(ValueRef::Null),
        Some(value) if value <= LARGEST => Ok(ValueRef::Integer(value.cast_signed())),
        Some(value) => Err(StepError::TooLarge { what, value }),
    }
}

/// A number as a column holds it.
pub(crate) fn number(value: Option<i64>) -> ValueRef<'static> {
    value.map_or(ValueRef::Null, ValueRef::Integer)
}

/// A truth as a column holds it.
pub(crate) fn truth(value: Option<bool>) -> ValueRef<'static> {
    number(value.map(i64::from))
}

/// Text as a column holds it.
pub(crate) fn text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, |value| ValueRef::Text(value.as_bytes()))
}

/// Bytes as a column holds them.
pub(crate) fn bytes(value: Option<&[u8]>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, ValueRef::Blob)
}

/// Text as a value of its own.
pub(crate) fn word(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_owned()))
}

pub(crate) static SESSIONS: Table = Table::new(
    "sessions",
    "number",
    &[
        "number",
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
        "session",
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
        "ttft_us",
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
        "read_problem",
        "request_encoding",
        "response_encoding",
        "request_bytes",
        "response_bytes",
        "response_blake3",
        "lost_frames",
        "lost_bytes",
        "gap_cause",
        "has_response",
        "provider_response_id",
        "attempt_list",
        "chunks",
        "gap_p50_us",
        "gap_p95_us",
        "gap_p99_us",
        "body",
        "decoded",
        "content",
        "sections",
        "answer",
        "bodies_removed_at",
        "provider_dialect",
        "warnings",
        "provider_head",
        "provider_body",
        "provider_answer",
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
        "arguments",
        "arguments_blake3",
        "result_request_id",
        "result_offset",
        "result_bytes",
        "result_blake3",
    ],
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
