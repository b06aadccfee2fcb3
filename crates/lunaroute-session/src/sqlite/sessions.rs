//! The session's row: what its requests add up to.

use std::collections::{HashMap, HashSet};

use lunaroute_core::SessionId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::digest::RowDigest;
use super::failure::StepError;
use super::pending::Pending;
use super::row::{RequestRow, request_status};
use super::table::{SESSIONS, execute, number, text, truth};

/// The tenant of everything that is recorded while there is one tenant.
const TENANT: &str = "local";

/// Rows that are remembered between transactions.
const REMEMBERED: usize = 1_024;

/// Columns of the table, `digest` excepted.
const COLUMNS: usize = 29;

/// A session as its row has it.
#[derive(Debug, Clone)]
struct SessionRow {
    /// Whether it is not in the database yet.
    is_new: bool,
    number: i64,
    id: SessionId,
    tenant_id: String,
    conversation_id: Option<String>,
    source: String,
    id_source: Option<String>,
    client: Option<String>,
    dialect: Option<String>,
    listener: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    status: String,
    started_at: i64,
    last_activity_at: i64,
    completed_at: Option<i64>,
    success: Option<bool>,
    finish_reason: Option<String>,
    error: Option<String>,
    client_ip: Option<String>,
    user_agent: Option<String>,
    request_count: i64,
    tool_call_count: i64,
    tokens: [Option<i64>; 6],
    total_ms: i64,
    /// The conversation as it is in the database: platform, external id, and when it began.
    conversation: Option<(String, String, i64)>,
}

/// Rows of sessions that were met lately, as they are in the database.
#[derive(Default)]
pub(crate) struct SessionCache(HashMap<SessionId, SessionRow>);

impl SessionCache {
    /// Forgets everything: somebody else has changed the database.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes over what a transaction made of the rows, once it is committed.
    pub(crate) fn take(&mut self, touched: Touched) {
        if self.0.len() + touched.0.len() > REMEMBERED {
            self.0.clear();
        }
        self.0.extend(touched.0);
    }
}

/// The rows that a transaction changes.
#[derive(Default)]
pub(crate) struct Touched(HashMap<SessionId, SessionRow>);

impl Touched {
    /// The number of a request's session; a session that is not known is made.
    pub(crate) fn number(
        &mut self,
        connection: &Connection,
        cache: &SessionCache,
        pending: &Pending,
    ) -> Result<i64, StepError> {
        if let Some(row) = self.0.get(&pending.session) {
            return Ok(row.number);
        }
        let row = match cache.0.get(&pending.session) {
            Some(row) => row.clone(),
            None => match load(connection, pending.session.as_str())? {
                Some(row) => row,
                None => fresh(pending, self.next_number(connection)?),
            },
        };
        let number = row.number;
        self.0.insert(pending.session.clone(), row);
        Ok(number)
    }

    fn next_number(&self, connection: &Connection) -> Result<i64, StepError> {
        let mut statement = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM sessions")?;
        let stored: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(self.0.values().map(|row| row.number).fold(stored, i64::max) + 1)
    }

    /// A request of the session gets its row. To be called after [`number`](Self::number). Its words stand where there are
    /// none; else the request that ends last has the last word, whichever was shown while it ran.
    pub(crate) fn begin(&mut self, connection: &Connection, pending: &Pending) -> Result<(), StepError> {
        let Some(row) = self.0.get_mut(&pending.session) else { return Ok(()) };
        let at = pending.first_at.as_millis();
        row.started_at = row.started_at.min(at);
        row.last_activity_at = row.last_activity_at.max(at);
        row.request_count += 1;
        row.take_words(pending, |known, word| {
            if known.is_none() {
                *known = word.map(str::to_owned);
            }
        });
        row.converse(connection, pending)
    }

    /// Tool calls were added to the session.
    pub(crate) fn add_tools(&mut self, session: &SessionId, added: i64) {
        if let Some(row) = self.0.get_mut(session) {
            row.tool_call_count += added;
        }
    }

    /// A request of the session is over.
    pub(crate) fn end(
        &mut self,
        connection: &Connection,
        pending: &Pending,
        request: &RequestRow<'_>,
    ) -> Result<(), StepError> {
        let Some(row) = self.0.get_mut(&pending.session) else { return Ok(()) };
        row.take_words(pending, later);
        row.converse(connection, pending)?;
        let at = pending.completed.as_ref().map_or(pending.first_at, |completed| completed.at).as_millis();
        row.last_activity_at = row.last_activity_at.max(at);
        let attempt = pending.attempts.values().rev().find_map(|attempt| attempt.started.as_ref());
        let attempt = attempt.map(|(_, started)| started);
        let response = pending.response.as_deref();
        let answered_by = response.and_then(|response| response.model.as_deref());
        later(&mut row.model, answered_by.or(attempt.and_then(|attempt| attempt.model.as_deref())));
        later(&mut row.provider, attempt.map(|attempt| attempt.provider.as_str()));
        row.total_ms = row.total_ms.saturating_add(request.total_ms());
        for (sum, tokens) in row.tokens.iter_mut().zip(request.usage()) {
            if let Some(tokens) = tokens {
                *sum = Some(sum.unwrap_or(0).saturating_add(i64::try_from(tokens).unwrap_or(i64::MAX)));
            }
        }
        let status = request_status(pending);
        session_status(status).clone_into(&mut row.status);
        row.completed_at = Some(at);
        row.success = Some(status == "success");
        let finish_reason = response.and_then(|response| response.stop).map(|stop| stop.as_str());
        row.finish_reason = finish_reason.map(str::to_owned);
        row.error = request.error().map(str::to_owned);
        Ok(())
    }

    /// Writes the rows. A session in `running` has a request whose row is one of a running request.
    pub(crate) fn store(
        &mut self,
        connection: &Connection,
        running: &HashSet<&SessionId>,
    ) -> Result<(), StepError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut update = connection.prepare_cached(&SESSIONS.update_sql())?;
        let mut insert = connection.prepare_cached(&SESSIONS.insert_sql())?;
        for (id, row) in &mut self.0 {
            if running.contains(id) {
                "running".clone_into(&mut row.status);
                row.completed_at = None;
                row.success = None;
            }
            let statement = if row.is_new { &mut insert } else { &mut update };
            execute(statement, row.cells(), Some(&row.digest()))?;
            row.is_new = false;
        }
        Ok(())
    }
}

impl SessionRow {
    /// The columns in the order of the table.
    fn cells(&self) -> [ValueRef<'_>; COLUMNS] {
        let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning] = self.tokens;
        [
            number(Some(self.number)),
            text(Some(self.id.as_str())),
            text(Some(&self.tenant_id)),
            text(self.conversation_id.as_deref()),
            text(Some(&self.source)),
            text(self.id_source.as_deref()),
            text(self.client.as_deref()),
            text(self.dialect.as_deref()),
            text(self.listener.as_deref()),
            text(self.provider.as_deref()),
            text(self.model.as_deref()),
            text(Some(&self.status)),
            number(Some(self.started_at)),
            number(Some(self.last_activity_at)),
            number(self.completed_at),
            truth(self.success),
            text(self.finish_reason.as_deref()),
            text(self.error.as_deref()),
            text(self.client_ip.as_deref()),
            text(self.user_agent.as_deref()),
            number(Some(self.request_count)),
            number(Some(self.tool_call_count)),
            number(input),
            number(cache_read),
            number(cache_write_5m),
            number(cache_write_1h),
            number(output),
            number(reasoning),
            number(Some(self.total_ms)),
        ]
    }

    fn digest(&self) -> [u8; super::digest::DIGEST] {
        let mut digest = RowDigest::default();
        digest.row(SESSIONS.name, self.cells());
        digest.finish()
    }

    /// Takes what a request says about its session.
    fn take_words(&mut self, pending: &Pending, take: impl Fn(&mut Option<String>, Option<&str>)) {
        take(&mut self.model, pending.read.as_ref().and_then(|read| read.model.as_deref()));
        let Some(started) = &pending.started else { return };
        take(&mut self.id_source, Some(&started.session_source));
        take(&mut self.client, Some(&started.client));
        take(&mut self.dialect, Some(started.dialect.as_str()));
        take(&mut self.listener, Some(&started.listener));
        take(&mut self.client_ip, started.client_ip.as_deref());
        take(&mut self.user_agent, started.user_agent.as_deref());
    }

    /// The session belongs to the conversation that the client names.
    fn converse(&mut self, connection: &Connection, pending: &Pending) -> Result<(), StepError> {
        let Some(started) = &pending.started else { return Ok(()) };
        let (platform, at) = (&started.client, pending.first_at.as_millis());
        let Some(external_id) = &started.external_id else { return Ok(()) };
        let is_known = self.conversation.as_ref().is_some_and(|(known, external, began)| {
            known == platform && external == external_id && *began <= at
        });
        if is_known {
            return Ok(());
        }
        let id = conversation_id(&self.tenant_id, platform, external_id);
        let mut statement = connection.prepare_cached(
            "INSERT INTO conversations (id, tenant_id, platform, external_id, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at \
             WHERE excluded.created_at < conversations.created_at",
        )?;
        statement.execute((&id, &self.tenant_id, platform, external_id, at))?;
        self.conversation_id = Some(id);
        self.conversation = Some((platform.clone(), external_id.clone(), at));
        Ok(())
    }
}

/// The later word stands; silence changes nothing.
fn later(known: &mut Option<String>, word: Option<&str>) {
    if word.is_some() && known.as_deref() != word {
        *known = word.map(str::to_owned);
    }
}

/// Ends a session that is left as running although its last running request was interrupted, at its last activity. One
/// that other requests have ended already stays as they left it.
pub(crate) fn interrupt(connection: &Connection, session: &str, message: &str) -> Result<(), StepError> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM requests r JOIN sessions s ON s.number = r.session \
               WHERE s.id = ?1 AND r.status IN ('pending', 'running'))";
    let over: bool = connection.prepare_cached(sql)?.query_row([session], |row| row.get(0))?;
    let Some(mut row) = load(connection, session)?.filter(|row| over && row.status == "running") else {
        return Ok(());
    };
    session_status("interrupted").clone_into(&mut row.status);
    row.completed_at = Some(row.last_activity_at);
    row.success = Some(false);
    row.error = Some(message.to_owned());
    SESSIONS.put(connection, row.cells(), &row.digest())
}

/// The session status that the last request's status gives.
fn session_status(request_status: &str) -> &'static str {
    match request_status {
        "success" => "completed",
        "cancelled" => "cancelled",
        _ => "error",
    }
}

fn load(connection: &Connection, id: &str) -> Result<Option<SessionRow>, StepError> {
    let sql = format!("SELECT {} FROM sessions WHERE id = ?1", SESSIONS.select_list());
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let id: String = row.get("id")?;
    let id = SessionId::parse(&id).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(SessionRow {
        is_new: false,
        number: row.get("number")?,
        id,
        tenant_id: row.get("tenant_id")?,
        conversation_id: row.get("conversation_id")?,
        source: row.get("source")?,
        id_source: row.get("id_source")?,
        client: row.get("client")?,
        dialect: row.get("dialect")?,
        listener: row.get("listener")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
        status: row.get("status")?,
        started_at: row.get("started_at")?,
        last_activity_at: row.get("last_activity_at")?,
        completed_at: row.get("completed_at")?,
        success: row.get("success")?,
        finish_reason: row.get("finish_reason")?,
        error: row.get("error")?,
        client_ip: row.get("client_ip")?,
        user_agent: row.get("user_agent")?,
        request_count: row.get("request_count")?,
        tool_call_count: row.get("tool_call_count")?,
        tokens: [
            row.get("input_tokens")?,
            row.get("cache_read_tokens")?,
            row.get("cache_write_5m_tokens")?,
            row.get("cache_write_1h_tokens")?,
            row.get("output_tokens")?,
            row.get("reasoning_tokens")?,
        ],
        total_ms: row.get("total_ms")?,
        conversation: None,
    })
}

fn fresh(pending: &Pending, number: i64) -> SessionRow {
    let at = pending.first_at.as_millis();
    SessionRow {
        is_new: true,
        number,
        id: pending.session.clone(),
        tenant_id: TENANT.to_owned(),
        conversation_id: None,
        source: "proxy".to_owned(),
        id_source: None,
        client: None,
        dialect: None,
        listener: None,
        provider: None,
        model: None,
        status: "running".to_owned(),
        started_at: at,
        last_activity_at: at,
        completed_at: None,
        success: None,
        finish_reason: None,
        error: None,
        client_ip: None,
        user_agent: None,
        request_count: 0,
        tool_call_count: 0,
        tokens: [None; 6],
        total_ms: 0,
        conversation: None,
    }
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
