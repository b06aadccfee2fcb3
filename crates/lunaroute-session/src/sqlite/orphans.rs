//! Requests that an earlier process left as running and whose events are gone with the journal that held them.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use lunaroute_core::Ending;

use super::digest::{DIGEST, RowDigest};
use super::failure::StepError;
use super::sessions;
use super::table::{Fields, REQUESTS, SESSION_ERRORS, word};
use crate::event::GapCause;

/// Told in the rows of the request and its session.
const MESSAGE: &str = "the gateway's process ended while the request was under way, and the journal that held the rest of \
                       its record is gone";

/// Ends every running request that is not `under_way` as interrupted, at the last moment that is known of it; tells how
/// many those are. To be called within a transaction.
pub(crate) fn interrupt(connection: &Connection, under_way: impl Fn(&str) -> bool) -> Result<u64, StepError> {
    // The second condition is that of an index.
    let sql = "SELECT id FROM requests WHERE status IN ('pending', 'running') AND status <> 'success'";
    let running: Vec<String> =
        connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut interrupted = 0;
    for id in running.iter().filter(|id| !under_way(id)) {
        let sql = format!("SELECT {} FROM requests WHERE id = ?1", REQUESTS.select_list());
        let row = connection.prepare_cached(&sql)?.query_row([id], |row| REQUESTS.fields(row)).optional()?;
        let Some(mut row) = row else { continue };
        end(&mut row);
        let digest = request_digest(connection, &row)?;
        REQUESTS.put(connection, row.iter().map(|(_, value)| value.into()), &digest)?;
        if let Value::Text(session) = value(&row, "session_id") {
            sessions::interrupt(connection, &session, MESSAGE)?;
        }
        interrupted += 1;
    }
    Ok(interrupted)
}

fn value(row: &Fields, column: &str) -> Value {
    row.iter().find(|(name, _)| *name == column).map_or(Value::Null, |(_, value)| value.clone())
}

/// Makes the row that of an interrupted request.
fn end(row: &mut Fields) {
    // Nothing else is known of when it was last heard of.
    let at = value(row, "started_at");
    for (name, value) in row {
        match *name {
            "status" => *value = word(Some("interrupted")),
            "ending" => *value = word(Some(Ending::Interrupted.as_str())),
            "completed_at" => *value = at.clone(),
            "error" => *value = word(Some(MESSAGE)),
            "gap_cause" => *value = word(Some(GapCause::JournalFailed.as_str())),
            _ => {}
        }
    }
}

/// The digest of a request that is over: over its row as given and what hangs on it as it is in the database.
pub(crate) fn request_digest(connection: &Connection, fields: &Fields) -> rusqlite::Result<[u8; DIGEST]> {
    let mut digest = RowDigest::default();
    digest.row(REQUESTS.name, fields.iter().map(|(_, value)| value.into()));
    let mut statement = connection.prepare_cached(
        "SELECT request_id, seq, session_id, at, kind, message FROM session_errors WHERE request_id = ? ORDER BY seq",
    )?;
    let mut rows = statement.query([value(fields, "id")])?;
    while let Some(row) = rows.next()? {
        let row = SESSION_ERRORS.fields(row)?;
        digest.row(SESSION_ERRORS.name, row.iter().map(|(_, value)| value.into()));
    }
    Ok(digest.finish())
}
