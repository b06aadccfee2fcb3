//! Removing a session, or the bytes of its requests: exactly what it alone uses goes, what others share stays.
//!
//! First the rows let go of their blobs (`released_blobs`), then each of these is removed or left to a session that holds
//! it too. Between two steps the database is whole, so that the steps can be small and a crash can come at any time.

use std::time::Instant;

use lunaroute_core::{RequestId, Timestamp};
use lunaroute_storage::journal::Position;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::failure::StepError;
use super::orphans::request_digest;
use super::recipe::Recipe;
use super::removed;
use super::state::State;
use super::table::{Fields, REQUESTS, SESSIONS, TOOL_CALLS};
use crate::jsonl::RemovedSession;

/// Blobs that one transaction looks at.
const BLOBS_AT_ONCE: usize = 256;

/// What a session is relieved of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The bytes of its requests; their rows stay.
    Bodies,
    /// Everything.
    Session,
}

/// What has become of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is done.
    Removed,
    /// The session is left as it is: it is not there, has a request under way, or was active again.
    Left,
    /// More is to be done.
    Unfinished,
}

/// Goes on with the removal until it is done or `until` has come. A session that was active at `unless_active_since` or
/// later is left as it is, because it was old when it was chosen. What has gone is
/// added to `gone`.
pub(crate) fn proceed(
    connection: &Connection,
    gone: &mut RemovedSession,
    (removal, unless_active_since): (Removal, Option<i64>),
    until: Instant,
) -> Result<Progress, StepError> {
    let Some(number) = number(connection, gone.session.as_str())? else { return Ok(Progress::Left) };
    if !let_go(connection, gone, number, (removal, unless_active_since))? {
        return Ok(Progress::Left);
    }
    let session = gone.session.as_str();
    while Instant::now() < until {
        if !release(connection, number)? {
            let is_gone = removal != Removal::Session || finish(connection, session)?;
            return Ok(if is_gone { Progress::Removed } else { Progress::Unfinished });
        }
    }
    Ok(Progress::Unfinished)
}

fn number(connection: &Connection, session: &str) -> Result<Option<i64>, StepError> {
    let mut statement = connection.prepare_cached("SELECT number FROM sessions WHERE id = ?1")?;
    Ok(statement.query_row([session], |row| row.get(0)).optional()?)
}

fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

/// The rows let go of their blobs, in one transaction. `false` when the session has a request that runs or was active again.
fn let_go(
    connection: &Connection,
    gone: &mut RemovedSession,
    number: i64,
    (removal, unless_active_since): (Removal, Option<i64>),
) -> Result<bool, StepError> {
    let transaction = begin(connection)?;
    let session = gone.session.as_str();
    let sql = "SELECT EXISTS (SELECT 1 FROM requests WHERE session = ?1 AND status IN ('pending', 'running')) \
               OR EXISTS (SELECT 1 FROM sessions WHERE number = ?1 AND last_activity_at >= ?2)";
    if transaction.prepare_cached(sql)?.query_row((number, unless_active_since), |row| row.get(0))? {
        return Ok(false);
    }
    let sql = format!(
        "SELECT {} FROM requests WHERE session = (SELECT s.number FROM sessions s WHERE s.id = ?1) \
         AND bodies_removed_at IS NULL",
        REQUESTS.select_list()
    );
    let rows = all(&transaction, &sql, session, |row| REQUESTS.fields(row))?;
    let now = Timestamp::now().as_millis();
    for mut row in rows {
        let_blobs_go(&transaction, number, &row)?;
        if removal == Removal::Bodies {
            strip(&mut row, now);
            let digest = request_digest(&transaction, &row)?;
            REQUESTS.put(&transaction, row.iter().map(|(_, value)| value.into()), &digest)?;
        }
    }
    let sql = format!(
        "SELECT {} FROM tool_calls WHERE session_id = ?1 AND arguments IS NOT NULL",
        TOOL_CALLS.select_list()
    );
    for mut row in all(&transaction, &sql, session, |row| TOOL_CALLS.fields(row))? {
        if let Value::Integer(blob) = value(&row, "arguments") {
            name_released(&transaction, number, blob)?;
        }
        set(&mut row, "arguments", Value::Null);
        TOOL_CALLS.put_sealed(&transaction, &row)?;
    }
    let mut last = (Vec::new(), Position::default());
    if removal == Removal::Session {
        removed::remember(&transaction, number)?;
        last = (requests(&transaction, number)?, State::load(&transaction)?.read);
        transaction.prepare_cached("DELETE FROM requests WHERE session = ?1")?.execute([number])?;
        for table in ["session_errors", "tool_calls"] {
            transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE session_id = ?1"))?
                .execute([session])?;
        }
        empty_sums(&transaction, session)?;
    }
    transaction.commit()?;
    gone.requests.extend(last.0);
    gone.until = gone.until.max(last.1);
    Ok(true)
}

/// The requests of a session. An id that is none was written by other hands.
fn requests(connection: &Connection, number: i64) -> Result<Vec<RequestId>, StepError> {
    let mut statement = connection.prepare_cached("SELECT id FROM requests WHERE session = ?1")?;
    let ids: Vec<String> =
        statement.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

fn all(
    connection: &Connection,
    sql: &str,
    session: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<Fields>,
) -> rusqlite::Result<Vec<Fields>> {
    connection.prepare_cached(sql)?.query_map([session], read)?.collect()
}

fn value(row: &Fields, column: &str) -> Value {
    row.iter().find(|(name, _)| *name == column).map_or(Value::Null, |(_, value)| value.clone())
}

fn set(row: &mut Fields, column: &str, to: Value) {
    if let Some((_, value)) = row.iter_mut().find(|(name, _)| *name == column) {
        *value = to;
    }
}

fn name_released(connection: &Connection, number: i64, blob: i64) -> Result<(), StepError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO released_blobs (session, blob) VALUES (?1, ?2)")?
        .execute((number, blob))?;
    Ok(())
}

/// Every blob that a request's row names.
fn let_blobs_go(connection: &Connection, number: i64, row: &Fields) -> Result<(), StepError> {
    for column in ["body", "decoded", "provider_body"] {
        let Value::Blob(recipe) = value(row, column) else { continue };
        for blob in Recipe::decode(&recipe).iter().flat_map(Recipe::blobs) {
            name_released(connection, number, blob)?;
        }
    }
    for column in ["content", "answer", "provider_head", "provider_answer"] {
        if let Value::Integer(blob) = value(row, column) {
            name_released(connection, number, blob)?;
        }
    }
    for blob in attempt_blobs(row) {
        name_released(connection, number, blob)?;
    }
    Ok(())
}

/// Place of the blob in an element of `attempt_list`.
const ATTEMPT_BLOB: usize = 11;

fn attempts(row: &Fields) -> Vec<Vec<serde_json::Value>> {
    match value(row, "attempt_list") {
        Value::Text(json) => serde_json::from_str(&json).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn attempt_blobs(row: &Fields) -> Vec<i64> {
    let attempts = attempts(row);
    attempts.iter().filter_map(|attempt| attempt.get(ATTEMPT_BLOB)?.as_i64()).collect()
}

/// The row without its bytes.
fn strip(row: &mut Fields, now: i64) {
    let mut attempts = attempts(row);
    for blob in attempts.iter_mut().filter_map(|attempt| attempt.get_mut(ATTEMPT_BLOB)) {
        *blob = serde_json::Value::Null;
    }
    if !attempts.is_empty() {
        let json = serde_json::to_string(&attempts).expect("JSON values are JSON");
        set(row, "attempt_list", Value::Text(json));
    }
    let bytes = [
        "body",
        "decoded",
        "content",
        "sections",
        "answer",
        "provider_head",
        "provider_body",
        "provider_answer",
    ];
    for column in bytes {
        set(row, column, Value::Null);
    }
    set(row, "bodies_removed_at", Value::Integer(now));
}

/// The session of which no request is left: should one come now, its sums begin with it.
fn empty_sums(connection: &Connection, session: &str) -> Result<(), StepError> {
    let sql = format!("SELECT {} FROM sessions WHERE id = ?1", SESSIONS.select_list());
    let row = connection.prepare_cached(&sql)?.query_row([session], |row| SESSIONS.fields(row)).optional()?;
    let Some(mut row) = row else { return Ok(()) };
    for (name, value) in &mut row {
        match *name {
            "request_count" | "tool_call_count" | "total_ms" => *value = Value::Integer(0),
            name if name.ends_with("_tokens") => *value = Value::Null,
            _ => {}
        }
    }
    SESSIONS.put_sealed(connection, &row)
}

/// Looks at some of the blobs that the session let go of; `false` when there are none.
fn release(connection: &Connection, number: i64) -> Result<bool, StepError> {
    let transaction = begin(connection)?;
    let blobs: Vec<i64> = transaction
        .prepare_cached("SELECT blob FROM released_blobs WHERE session = ?1 LIMIT ?2")?
        .query_map((number, BLOBS_AT_ONCE as i64), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut owner = transaction.prepare_cached("SELECT session FROM blobs WHERE id = ?1")?;
    let mut heir = transaction.prepare_cached("SELECT min(session) FROM blob_holders WHERE blob = ?1")?;
    let mut unhold =
        transaction.prepare_cached("DELETE FROM blob_holders WHERE blob = ?1 AND session = ?2")?;
    let mut inherit = transaction.prepare_cached("UPDATE blobs SET session = ?2 WHERE id = ?1")?;
    let mut remove = transaction.prepare_cached("DELETE FROM blobs WHERE id = ?1")?;
    for blob in &blobs {
        let owned_by: Option<i64> = owner.query_row([blob], |row| row.get(0)).optional()?;
        if owned_by == Some(number) {
            match heir.query_row([blob], |row| row.get::<_, Option<i64>>(0))? {
                Some(heir) => {
                    inherit.execute((blob, heir))?;
                    unhold.execute((blob, heir))?;
                }
                None => {
                    remove.execute([blob])?;
                }
            }
        } else {
            unhold.execute((blob, number))?;
        }
    }
    let mut forget =
        transaction.prepare_cached("DELETE FROM released_blobs WHERE session = ?1 AND blob = ?2")?;
    for blob in &blobs {
        forget.execute((number, blob))?;
    }
    drop((owner, heir, unhold, inherit, remove, forget));
    transaction.commit()?;
    Ok(!blobs.is_empty())
}

/// The last of a removed session: its own row, and its conversation when no other session is in it. `false` when a request
/// came meanwhile, which keeps it.
fn finish(connection: &Connection, session: &str) -> Result<bool, StepError> {
    let transaction = begin(connection)?;
    let conversation: Option<Option<String>> = transaction
        .prepare_cached("SELECT conversation_id FROM sessions WHERE id = ?1")?
        .query_row([session], |row| row.get(0))
        .optional()?;
    let removed = transaction
        .prepare_cached(
            "DELETE FROM sessions WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM requests WHERE session = number)",
        )?
        .execute([session])?;
    if let Some(conversation) = conversation.flatten() {
        transaction
            .prepare_cached(
                "DELETE FROM conversations WHERE id = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM sessions WHERE conversation_id = ?1)",
            )?
            .execute([&conversation])?;
        transaction
            .prepare_cached(
                "UPDATE conversations SET created_at = (SELECT min(r.started_at) FROM sessions s \
                 JOIN requests r ON r.session = s.number WHERE s.conversation_id = ?1) WHERE id = ?1 \
                 AND EXISTS (SELECT 1 FROM sessions s JOIN requests r ON r.session = s.number \
                             WHERE s.conversation_id = ?1)",
            )?
            .execute([&conversation])?;
    }
    transaction.commit()?;
    Ok(removed > 0)
}
