//! Asking the SQLite projection, beside its writer.

use std::path::Path;

use lunaroute_core::{RequestId, SessionId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, params_from_iter};

use super::filter::{Condition, Page, Period, RequestFilter, SessionFilter, prefix_range};
use super::record::{
    ErrorRecord, Listing, MessageRecord, ProviderFormRecord, RequestDetail, RequestRecord, SessionDetail,
    SessionRecord, StreamFigures, StreamPiece, ToolCallRecord, Totals,
};
use super::rows::{self, REQUEST_COLUMNS, SESSION_COLUMNS, TOOL_CALL_COLUMNS};
use super::{QueryError, SessionQuery};
use crate::identity::KnownSession;
use crate::sqlite::{BlobError, Section, StoredBytes, open_read_only};

/// Requests and tool calls that a session's detail lists at most.
const DETAIL_LIMIT: usize = 1_000;

/// The cause that is told for bodies that are gone because they were old.
const REMOVED: &str = "removed because it was old";

/// Answers from the SQLite projection. It holds one connection that cannot write.
pub struct SqliteQuery {
    connection: Connection,
}

impl SqliteQuery {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// [`OpenError`](crate::sqlite::OpenError) when there is none, or none of this build's schema.
    pub fn open_read_only(path: &Path) -> Result<Self, QueryError> {
        Ok(Self { connection: open_read_only(path)? })
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, QueryError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let items = statement.query_map(params, read)?.collect::<Result<_, _>>()?;
        Ok(items)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, QueryError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// A page of `SELECT columns FROM table WHERE condition ORDER BY order`.
    fn page<T>(
        &self,
        select: &str,
        condition: Condition,
        order: &str,
        page: Page,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Listing<T>, QueryError> {
        let sql = format!("{select}{} ORDER BY {order} LIMIT ? OFFSET ?", condition.sql());
        let mut values = condition.values;
        // One more than asked for tells whether there are more.
        values.push(Value::Integer(i64::from(page.limit()) + 1));
        values.push(Value::Integer(i64::try_from(page.offset()).unwrap_or(i64::MAX)));
        let mut items = self.all(&sql, params_from_iter(values), read)?;
        let more = items.len() > page.limit() as usize;
        items.truncate(page.limit() as usize);
        Ok(Listing { items, limit: page.limit(), offset: page.offset(), more })
    }

    /// Fills in what stands among the request's bytes. Where these are damaged the rest of the record is shown all the same.
    fn with_preview(&self, mut request: RequestRecord) -> RequestRecord {
        let stored = StoredBytes::load(&self.connection, &request.id.to_string()).ok().flatten();
        request.preview = stored.and_then(|stored| stored.content.text(Section::Preview));
        request
    }

    /// The id of the session that is called `name`.
    fn resolve(&self, name: &str) -> Result<String, QueryError> {
        if let Some(id) = self.one("SELECT id FROM sessions WHERE id = ?", [name], |row| row.get(0))? {
            return Ok(id);
        }
        let latest_of_client = "SELECT s.id FROM conversations c JOIN sessions s ON s.conversation_id = c.id \
                                WHERE c.external_id = ? ORDER BY s.last_activity_at DESC, s.id DESC LIMIT 1";
        if let Some(id) = self.one(latest_of_client, [name], |row| row.get(0))? {
            return Ok(id);
        }
        let sql = "SELECT id FROM sessions WHERE id >= ? AND id < ? ORDER BY id LIMIT 2";
        let mut found: Vec<String> = self.all(sql, params_from_iter(prefix_range(name)), |row| row.get(0))?;
        match found.len() {
            0 => Err(QueryError::NotFound { what: "session", name: name.to_owned() }),
            1 => Ok(found.remove(0)),
            _ => Err(QueryError::Ambiguous { what: "session", name: name.to_owned(), some: found }),
        }
    }

    fn stored(&self, id: RequestId) -> Result<StoredBytes, QueryError> {
        StoredBytes::load(&self.connection, &id.to_string())
            .map_err(|error| QueryError::Damaged { request: id, reason: error.to_string() })?
            .ok_or_else(|| QueryError::NotFound { what: "request", name: id.to_string() })
    }

    /// What a request's own row and bytes say beyond its record, to be filled with what hangs on it.
    fn head(&self, mut request: RequestRecord) -> Result<RequestDetail, QueryError> {
        let id = request.id;
        let name = id.to_string();
        let stored = self.stored(id)?;
        let content = &stored.content;
        let damaged = |reason: String| QueryError::Damaged { request: id, reason };
        let headers = |section: Section| -> Result<Vec<(String, String)>, QueryError> {
            let json = content.section(section);
            let parsed = json.map(serde_json::from_slice).transpose();
            parsed.map(Option::unwrap_or_default).map_err(|error| damaged(error.to_string()))
        };
        request.preview = content.text(Section::Preview);
        let stream: Option<Vec<(u64, u64, String, serde_json::Value)>> = content
            .section(Section::Samples)
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|error| damaged(error.to_string()))?;
        let piece = |(seq, at_us, kind, payload)| StreamPiece { seq, at_us, kind, payload };
        let (body, recipe) = stored.readable(&self.connection).map_err(|error| damaged(error.to_string()))?;
        let messages = recipe.messages().into_iter().filter_map(|(role, range)| {
            let message = body.get(range)?;
            Some(MessageRecord {
                role: role.as_str().to_owned(),
                blake3: blake3::hash(message).to_hex().to_string(),
                bytes: message.len() as u64,
            })
        });
        let provider_form = stored
            .provider_head(&self.connection)
            .map_err(|error| damaged(error.to_string()))?
            .map(|(path, request_headers, answer)| {
                let (status, response_headers) =
                    answer.map_or_else(Default::default, |(status, headers)| (Some(status), headers));
                ProviderFormRecord { path, request_headers, status, response_headers }
            });
        let sql = "SELECT read_problem, request_encoding, response_encoding, provider_response_id FROM requests \
                   WHERE id = ?";
        let (request_headers, response_headers) =
            (headers(Section::RequestHeaders)?, headers(Section::ResponseHeaders)?);
        self.one(sql, [&name], |row| {
            Ok(RequestDetail {
                request,
                read_problem: row.get(0)?,
                request_headers,
                response_headers,
                request_encoding: row.get(1)?,
                response_encoding: row.get(2)?,
                provider_response_id: row.get(3)?,
                text_preview: content.text(Section::TextPreview),
                messages: messages.collect(),
                tool_call_list: Vec::new(),
                stream_figures: None,
                stream: stream.unwrap_or_default().into_iter().map(piece).collect(),
                errors: Vec::new(),
                provider_form,
            })
        })?
        .ok_or(QueryError::NotFound { what: "request", name })
    }

    /// A body in the provider's form, or why there is none.
    fn provider_form(
        &self,
        id: RequestId,
        stored: &StoredBytes,
        what: &'static str,
        body: Result<Option<Vec<u8>>, BlobError>,
    ) -> Result<Vec<u8>, QueryError> {
        let body = body.map_err(|error| QueryError::Damaged { request: id, reason: error.to_string() })?;
        if let Some(body) = body {
            return Ok(body);
        }
        let sql = "SELECT gap_cause FROM requests WHERE id = ? AND provider_dialect IS NOT NULL";
        let name = id.to_string();
        match self.one(sql, [&name], |row| row.get::<_, Option<String>>(0))? {
            None => Err(QueryError::NotFound { what: "translated request", name }),
            Some(_) if stored.are_removed => {
                Err(QueryError::NotKept { what, request: id, cause: REMOVED.to_owned() })
            }
            Some(Some(cause)) => Err(QueryError::NotKept { what, request: id, cause }),
            Some(None) => Ok(Vec::new()),
        }
    }

    fn stream_figures(&self, id: &str) -> Result<Option<StreamFigures>, QueryError> {
        let sql = "SELECT ttft_us, chunks, gap_p50_us, gap_p95_us, gap_p99_us, bytes FROM stream_metrics \
                   WHERE request_id = ?";
        self.one(sql, [id], |row| {
            Ok(StreamFigures {
                ttft_us: rows::figure(row, "ttft_us")?,
                chunks: rows::count(row, "chunks")?,
                gap_p50_us: rows::figure(row, "gap_p50_us")?,
                gap_p95_us: rows::figure(row, "gap_p95_us")?,
                gap_p99_us: rows::figure(row, "gap_p99_us")?,
                bytes: rows::count(row, "bytes")?,
            })
        })
    }
}

impl SessionQuery for SqliteQuery {
    fn sessions(&self, filter: &SessionFilter, page: Page) -> Result<Listing<SessionRecord>, QueryError> {
        let select = format!("SELECT {SESSION_COLUMNS} FROM sessions");
        self.page(&select, Condition::of_sessions(filter), "started_at DESC, id DESC", page, rows::session)
    }

    fn active_sessions(&self, page: Page) -> Result<Listing<SessionRecord>, QueryError> {
        self.sessions(&SessionFilter { status: Some("running".to_owned()), ..SessionFilter::default() }, page)
    }

    fn session_detail(&self, name: &str) -> Result<SessionDetail, QueryError> {
        let id = self.resolve(name)?;
        let sql = format!("SELECT {SESSION_COLUMNS} FROM sessions WHERE id = ?");
        let session = self
            .one(&sql, [&id], rows::session)?
            .ok_or_else(|| QueryError::NotFound { what: "session", name: id.clone() })?;
        let mut requests = self.requests_of(&session.id, None, DETAIL_LIMIT + 1)?;
        let sql = format!(
            "SELECT {TOOL_CALL_COLUMNS} FROM tool_calls WHERE session_id = ? \
             ORDER BY started_at IS NULL, started_at, id LIMIT {}",
            DETAIL_LIMIT + 1
        );
        let mut tools: Vec<ToolCallRecord> = self.all(&sql, [&id], rows::tool_call)?;
        let more = requests.len() > DETAIL_LIMIT || tools.len() > DETAIL_LIMIT;
        requests.truncate(DETAIL_LIMIT);
        tools.truncate(DETAIL_LIMIT);
        Ok(SessionDetail { session, request_list: requests, tool_call_list: tools, more })
    }

    fn requests(&self, filter: &RequestFilter, page: Page) -> Result<Listing<RequestRecord>, QueryError> {
        let select = format!("SELECT {REQUEST_COLUMNS} FROM requests");
        let condition = Condition::of_requests(filter);
        // Ids rise in the order of arrival also when the clock is set back; within a session that is the order of its turns.
        let order = if filter.session.is_some() { "id DESC" } else { "started_at DESC, id DESC" };
        let listing = self.page(&select, condition, order, page, rows::request)?;
        let items = listing.items.into_iter().map(|request| self.with_preview(request)).collect();
        Ok(Listing { items, limit: listing.limit, offset: listing.offset, more: listing.more })
    }

    fn request(&self, id: RequestId) -> Result<RequestDetail, QueryError> {
        let name = id.to_string();
        let sql = format!("SELECT {REQUEST_COLUMNS} FROM requests WHERE id = ?");
        let request = self
            .one(&sql, [&name], rows::request)?
            .ok_or_else(|| QueryError::NotFound { what: "request", name: name.clone() })?;
        let session = request.session_id.clone();
        let mut detail = self.head(request)?;
        let sql = format!(
            "SELECT {TOOL_CALL_COLUMNS} FROM tool_calls WHERE session_id = ? AND request_id = ? \
             ORDER BY started_at, id"
        );
        detail.tool_call_list = self.all(&sql, [session.as_str(), &name], rows::tool_call)?;
        detail.stream_figures = self.stream_figures(&name)?;
        let sql = "SELECT at, kind, message FROM session_errors WHERE request_id = ? ORDER BY seq";
        detail.errors = self.all(sql, [&name], |row| {
            Ok(ErrorRecord { at: rows::time(row, "at")?, kind: row.get(1)?, message: row.get(2)? })
        })?;
        Ok(detail)
    }

    fn request_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError> {
        let stored = self.stored(id)?;
        if stored.are_removed {
            return Err(QueryError::NotKept { what: "request", request: id, cause: REMOVED.to_owned() });
        }
        stored
            .body(&self.connection)
            .map_err(|error| QueryError::Damaged { request: id, reason: error.to_string() })
    }

    fn response_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError> {
        let stored = self.stored(id)?;
        let answer = stored
            .answer(&self.connection)
            .map_err(|error| QueryError::Damaged { request: id, reason: error.to_string() })?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let sql = "SELECT coalesce(gap_cause, 'unknown') FROM requests WHERE id = ? AND response_bytes > 0";
        match self.one(sql, [id.to_string()], |row| row.get(0))? {
            Some(_) if stored.are_removed => {
                Err(QueryError::NotKept { what: "response", request: id, cause: REMOVED.to_owned() })
            }
            Some(cause) => Err(QueryError::NotKept { what: "response", request: id, cause }),
            None => Ok(Vec::new()),
        }
    }

    fn provider_request_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError> {
        let stored = self.stored(id)?;
        self.provider_form(id, &stored, "request", stored.provider_body(&self.connection))
    }

    fn provider_response_body(&self, id: RequestId) -> Result<Vec<u8>, QueryError> {
        let stored = self.stored(id)?;
        self.provider_form(id, &stored, "response", stored.provider_answer(&self.connection))
    }

    fn summary(&self, period: Period) -> Result<Totals, QueryError> {
        let condition = Condition::of_period(period);
        let sql = format!(
            "SELECT count(DISTINCT session) AS sessions, count(*) AS requests, \
             coalesce(sum(status = 'success'), 0) AS succeeded, coalesce(sum(status = 'error'), 0) AS failed, \
             coalesce(sum(status = 'cancelled'), 0) AS cancelled, \
             coalesce(sum(status = 'interrupted'), 0) AS interrupted, \
             coalesce(sum(status IN ('pending', 'running')), 0) AS running, \
             sum(input_tokens) AS input_tokens, sum(cache_read_tokens) AS cache_read_tokens, \
             sum(cache_write_5m_tokens) AS cache_write_5m_tokens, \
             sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(output_tokens) AS output_tokens, \
             sum(reasoning_tokens) AS reasoning_tokens, coalesce(sum(tool_calls), 0) AS tool_calls \
             FROM requests{}",
            condition.sql()
        );
        let totals = self.one(&sql, params_from_iter(condition.values), |row| {
            Ok(Totals {
                sessions: rows::count(row, "sessions")?,
                requests: rows::count(row, "requests")?,
                succeeded: rows::count(row, "succeeded")?,
                failed: rows::count(row, "failed")?,
                cancelled: rows::count(row, "cancelled")?,
                interrupted: rows::count(row, "interrupted")?,
                running: rows::count(row, "running")?,
                tokens: rows::tokens(row)?,
                tool_calls: rows::count(row, "tool_calls")?,
            })
        })?;
        Ok(totals.expect("an aggregate without GROUP BY has one row"))
    }

    fn known_sessions(&self, since: Timestamp, limit: usize) -> Result<Vec<KnownSession>, QueryError> {
        let sql = "SELECT c.external_id, coalesce(c.platform, s.client, ''), s.id, s.last_activity_at \
                   FROM sessions s LEFT JOIN conversations c ON c.id = s.conversation_id \
                   WHERE s.last_activity_at >= ? ORDER BY s.last_activity_at DESC LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, (since.as_millis(), limit), |row| {
            Ok(KnownSession {
                external: row.get(0)?,
                client: row.get(1)?,
                session: rows::session_id(row, "id")?,
                last_activity: rows::time(row, "last_activity_at")?,
            })
        })
    }

    fn requests_of(
        &self,
        session: &SessionId,
        after: Option<RequestId>,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, QueryError> {
        // Ids are ordered by time of arrival, so they serve as the cursor.
        let sql = format!(
            "SELECT {REQUEST_COLUMNS} FROM requests WHERE session = (SELECT s.number FROM sessions s WHERE s.id = ?1) AND (?2 IS NULL OR id > ?2) \
             ORDER BY id LIMIT ?3"
        );
        let after = after.map(|id| id.to_string());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let requests = self.all(&sql, (session.as_str(), after, limit), rows::request)?;
        Ok(requests.into_iter().map(|request| self.with_preview(request)).collect())
    }
}
