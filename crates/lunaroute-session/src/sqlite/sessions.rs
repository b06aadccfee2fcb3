//! The session's row: what its requests add up to. Changes come in the order of the journal.

use std::collections::{HashMap, HashSet};

use lunaroute_core::SessionId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::failure::StepError;
use super::pending::Pending;
use super::request::Ended;
use super::table::{Fields, SESSIONS, text};

/// The tenant of everything that is recorded while there is one tenant.
const TENANT: &str = "local";

/// The columns of tokens by class, in the order of [`Ended::tokens`].
pub(crate) const TOKEN_COLUMNS: [&str; 6] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
];

/// The rows of the sessions that a batch touches.
#[derive(Default)]
pub(crate) struct Sessions {
    rows: HashMap<SessionId, HashMap<&'static str, Value>>,
}

impl Sessions {
    /// A request of the session begins. `is_new` when the request has no row yet.
    pub(crate) fn begin(
        &mut self,
        connection: &Connection,
        pending: &Pending,
        is_new: bool,
    ) -> Result<(), StepError> {
        let row = self.row(connection, pending)?;
        let at = pending.first_at.as_millis();
        lower(row, "started_at", at);
        raise(row, "last_activity_at", at);
        if is_new {
            add(row, "request_count", 1);
        }
        if let Some(started) = &pending.started {
            row.insert("id_source", text(Some(&started.session_source)));
            row.insert("client", text(Some(&started.client)));
            row.insert("dialect", text(Some(started.dialect.as_str())));
            row.insert("listener", text(Some(&started.listener)));
            later(row, "client_ip", started.client_ip.as_deref());
            later(row, "user_agent", started.user_agent.as_deref());
            if let Some(external_id) = &started.external_id {
                let id = converse(connection, &started.client, external_id, at)?;
                row.insert("conversation_id", Value::Text(id));
            }
        }
        Ok(())
    }

    /// A request's body has been read.
    pub(crate) fn body(
        &mut self,
        connection: &Connection,
        pending: &Pending,
        added_tools: i64,
    ) -> Result<(), StepError> {
        let row = self.row(connection, pending)?;
        later(row, "model", pending.read.as_ref().and_then(|read| read.model.as_deref()));
        add(row, "tool_call_count", added_tools);
        Ok(())
    }

    /// A request of the session is over.
    pub(crate) fn end(
        &mut self,
        connection: &Connection,
        pending: &Pending,
        ended: &Ended,
    ) -> Result<(), StepError> {
        let row = self.row(connection, pending)?;
        raise(row, "last_activity_at", ended.completed_at);
        later(row, "model", ended.model.as_deref());
        later(row, "provider", ended.provider.as_deref());
        add(row, "tool_call_count", ended.added_tools);
        add(row, "total_ms", ended.total_ms);
        for (column, tokens) in TOKEN_COLUMNS.into_iter().zip(ended.tokens) {
            if let Some(tokens) = tokens {
                add(row, column, tokens);
            }
        }
        row.insert("status", text(Some(session_status(ended.status))));
        row.insert("completed_at", Value::Integer(ended.completed_at));
        row.insert("success", Value::from(ended.status == "success"));
        row.insert("finish_reason", text(ended.finish_reason.as_deref()));
        row.insert("error", text(ended.error.as_deref()));
        Ok(())
    }

    /// Writes the rows. A session with a request in `open` is running.
    pub(crate) fn store(
        mut self,
        connection: &Connection,
        open: &HashSet<&SessionId>,
    ) -> Result<(), StepError> {
        for (id, row) in &mut self.rows {
            if open.contains(id) {
                row.insert("status", text(Some("running")));
                row.insert("completed_at", Value::Null);
                row.insert("success", Value::Null);
            }
            let fields: Fields = SESSIONS
                .columns
                .iter()
                .map(|column| (*column, row.remove(column).unwrap_or(Value::Null)))
                .collect();
            SESSIONS.upsert_sealed(connection, &fields)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        connection: &Connection,
        pending: &Pending,
    ) -> Result<&mut HashMap<&'static str, Value>, StepError> {
        if !self.rows.contains_key(&pending.session) {
            let row = load(connection, pending.session.as_str())?
                .unwrap_or_else(|| fresh(pending.session.as_str(), pending.first_at.as_millis()));
            self.rows.insert(pending.session.clone(), row.into_iter().collect());
        }
        Ok(self.rows.get_mut(&pending.session).expect("it was put there just now"))
    }
}

/// Ends a session that is left as running although its last running request was interrupted, at its last activity. One
/// that other requests have ended already stays as they left it.
pub(crate) fn interrupt(connection: &Connection, session: &str, message: &str) -> Result<(), StepError> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM requests WHERE session_id = ?1 AND status IN ('pending', 'running'))";
    let over: bool = connection.prepare_cached(sql)?.query_row([session], |row| row.get(0))?;
    let Some(mut row) = load(connection, session)?.filter(|_| over) else { return Ok(()) };
    if !row.contains(&("status", text(Some("running")))) {
        return Ok(());
    }
    let last_activity = row.iter().find(|(name, _)| *name == "last_activity_at").map(|(_, at)| at.clone());
    for (name, value) in &mut row {
        match *name {
            "status" => *value = text(Some(session_status("interrupted"))),
            "completed_at" => *value = last_activity.clone().unwrap_or(Value::Null),
            "success" => *value = Value::from(false),
            "error" => *value = text(Some(message)),
            _ => {}
        }
    }
    SESSIONS.upsert_sealed(connection, &row)
}

/// The session status that the last request's status gives.
fn session_status(request_status: &str) -> &'static str {
    match request_status {
        "success" => "completed",
        "cancelled" => "cancelled",
        _ => "error",
    }
}

fn load(connection: &Connection, id: &str) -> Result<Option<Fields>, StepError> {
    let sql = format!("SELECT {} FROM sessions WHERE id = ?1", SESSIONS.select_list());
    Ok(connection.prepare_cached(&sql)?.query_row([id], |row| SESSIONS.fields(row)).optional()?)
}

fn fresh(id: &str, at: i64) -> Fields {
    vec![
        ("id", text(Some(id))),
        ("tenant_id", text(Some(TENANT))),
        ("source", text(Some("proxy"))),
        ("status", text(Some("running"))),
        ("started_at", Value::Integer(at)),
        ("last_activity_at", Value::Integer(at)),
        ("request_count", Value::Integer(0)),
        ("tool_call_count", Value::Integer(0)),
        ("total_ms", Value::Integer(0)),
    ]
}

/// The id of the conversation that a client names: the same for the same name, whichever session it is met in.
pub(crate) fn conversation_id(tenant: &str, platform: &str, external_id: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [tenant, platform, external_id] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn converse(
    connection: &Connection,
    platform: &str,
    external_id: &str,
    at: i64,
) -> Result<String, StepError> {
    let id = conversation_id(TENANT, platform, external_id);
    let mut statement = connection.prepare_cached(
        "INSERT INTO conversations (id, tenant_id, platform, external_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at \
         WHERE excluded.created_at < conversations.created_at",
    )?;
    statement.execute((&id, TENANT, platform, external_id, at))?;
    Ok(id)
}

fn number(row: &HashMap<&'static str, Value>, column: &str) -> Option<i64> {
    match row.get(column) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn add(row: &mut HashMap<&'static str, Value>, column: &'static str, more: i64) {
    let sum = number(row, column).unwrap_or(0).saturating_add(more);
    row.insert(column, Value::Integer(sum));
}

fn lower(row: &mut HashMap<&'static str, Value>, column: &'static str, at: i64) {
    let least = number(row, column).map_or(at, |known| known.min(at));
    row.insert(column, Value::Integer(least));
}

fn raise(row: &mut HashMap<&'static str, Value>, column: &'static str, at: i64) {
    let most = number(row, column).map_or(at, |known| known.max(at));
    row.insert(column, Value::Integer(most));
}

/// The later word stands; silence changes nothing.
fn later(row: &mut HashMap<&'static str, Value>, column: &'static str, word: Option<&str>) {
    if word.is_some() {
        row.insert(column, text(word));
    }
}
