//! Sessions: each row as it was written, and the sum of its requests.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::database::each_row;
use super::report::Report;
use crate::sqlite::{Fields, SESSIONS};

/// What the requests of a session add up to, under the names of the session's columns.
const SUMS: [&str; 12] = [
    "count(*) AS request_count",
    "sum(input_tokens) AS input_tokens",
    "sum(cache_read_tokens) AS cache_read_tokens",
    "sum(cache_write_5m_tokens) AS cache_write_5m_tokens",
    "sum(cache_write_1h_tokens) AS cache_write_1h_tokens",
    "sum(output_tokens) AS output_tokens",
    "sum(reasoning_tokens) AS reasoning_tokens",
    "coalesce(sum(total_ms), 0) AS total_ms",
    "min(started_at) AS started_at",
    "max(max(started_at, coalesce(completed_at, started_at))) AS last_activity_at",
    "(SELECT count(*) FROM tool_calls t WHERE t.session_id = ?1) AS tool_call_count",
    "max(status = 'running') AS is_running",
];

pub(super) fn check(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("sessions");
    let sql = format!(
        "SELECT {} FROM requests WHERE session = (SELECT s.number FROM sessions s WHERE s.id = ?1)",
        SUMS.join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    let mut released = connection.prepare("SELECT 1 FROM released_blobs WHERE session = ?")?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    each_row(connection, &SESSIONS, |place, fields, digest| {
        check.checked += 1;
        if digest.as_deref() != Some(&SESSIONS.seal(fields)[..]) {
            check.problem(place, "the row was changed by other hands", "its digest", "another content");
        }
        // One that is being removed adds up again when the last of its blobs is gone.
        if released.exists([value(fields, "number")])? {
            return Ok(());
        }
        let mut rows = statement.query([value(fields, "id")])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        for (column, name) in names.iter().enumerate() {
            let sum: Value = row.get(column)?;
            if name == "is_running" {
                let says = value(fields, "status") == &Value::Text("running".to_owned());
                check.same(place, "whether it is running", &(sum == Value::Integer(1)), &says);
            } else {
                check.same(
                    place,
                    &format!("its {name} is not what its rows add up to"),
                    &sum,
                    value(fields, name),
                );
            }
        }
        Ok(())
    })
}

fn value<'row>(fields: &'row Fields, column: &str) -> &'row Value {
    fields.iter().find(|(name, _)| *name == column).map_or(&Value::Null, |(_, value)| value)
}
