//! What one transaction writes about requests.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::answer::AnswerBytes;
use super::blobs::BlobStore;
use super::bodies::{self, BodyReferences, Recipes};
use super::content::{Content, Section};
use super::decode::decoded;
use super::digest::RowDigest;
use super::failure::StepError;
use super::pending::{Pending, Shown};
use super::removed;
use super::row::{Kept, RequestRow};
use super::sessions::{SessionCache, Touched};
use super::table::{REQUESTS, SESSION_ERRORS, execute, number, text};
use super::tools::{self, ToolChange};
use lunaroute_core::RequestId;

/// A larger answer is a blob of its own, so that the small content can be read without it.
const SMALL_ANSWER: usize = 64 << 10;

/// A request as the database knows it.
pub(crate) enum Known {
    Nothing,
    Running(Shown),
    Over,
    /// It was removed with its session.
    Removed,
}

/// What the database knows of a request.
pub(crate) fn known(connection: &Connection, request: RequestId) -> Result<Known, StepError> {
    let mut statement =
        connection.prepare_cached("SELECT status, body, decoded, content FROM requests WHERE id = ?1")?;
    let row = statement
        .query_row([request.to_string()], |row| {
            let decoded = row.get(2)?;
            let references =
                row.get::<_, Option<Vec<u8>>>(1)?.map(|body| BodyReferences::stored(body, decoded));
            Ok((row.get::<_, String>(0)?, Shown { content: row.get(3)?, references }))
        })
        .optional()?;
    Ok(match row {
        None if removed::is_removed(connection, request)? => Known::Removed,
        None => Known::Nothing,
        Some((status, shown)) if status == "running" => Known::Running(shown),
        Some(_) => Known::Over,
    })
}

/// What outlives a transaction and is brought back to the database's own state when one fails.
pub(crate) struct Memory {
    pub(crate) store: BlobStore,
    pub(crate) recipes: Recipes,
    pub(crate) sessions: SessionCache,
    insert_request: String,
    update_request: String,
}

impl Memory {
    /// `directory` is where files without a name are made.
    pub(crate) fn new(directory: &Path) -> std::io::Result<Self> {
        Ok(Self {
            store: BlobStore::new(directory)?,
            recipes: Recipes::default(),
            sessions: SessionCache::default(),
            insert_request: REQUESTS.insert_sql(),
            update_request: format!("{} AND status = 'running'", REQUESTS.update_sql()),
        })
    }

    /// Forgets everything: a transaction was rolled back, or somebody else has changed the database.
    pub(crate) fn forget(&mut self) {
        self.store.forget();
        self.recipes.clear();
        self.sessions.clear();
    }
}

/// One transaction's work.
pub(crate) struct Work<'writer> {
    pub(crate) connection: &'writer Connection,
    pub(crate) memory: &'writer mut Memory,
    /// The requests that are not in the database as over.
    pending: &'writer HashMap<RequestId, Pending>,
    pub(crate) touched: Touched,
    pub(crate) out_of_order: u64,
}

impl<'writer> Work<'writer> {
    pub(crate) fn new(
        connection: &'writer Connection,
        memory: &'writer mut Memory,
        pending: &'writer HashMap<RequestId, Pending>,
    ) -> Self {
        Self { connection, memory, pending, touched: Touched::default(), out_of_order: 0 }
    }

    /// Writes a request that runs, so that it is seen.
    pub(crate) fn show(&mut self, pending: &Pending) -> Result<Shown, StepError> {
        let session = self.touched.number(self.connection, &self.memory.sessions, pending)?;
        let references = match &pending.read {
            Some(_) => Some(self.references(pending, session)?),
            None => None,
        };
        let kept = self.keep(pending, references.as_ref(), session)?;
        let content = kept.content;
        let row = RequestRow::new(pending, session, kept)?;
        let insert = &self.memory.insert_request;
        let added = execute(&mut *self.connection.prepare_cached(insert)?, row.cells()?, None)?;
        if added == 0 {
            self.memory.store.drop_gathered();
            return Ok(Shown { content, references });
        }
        self.memory.store.store(self.connection, session)?;
        self.touched.begin(self.connection, pending)?;
        if let Some(references) = &references {
            self.take_body(pending, references)?;
        }
        Ok(Shown { content, references })
    }

    /// Writes everything about a request that is over. One that is in the database already changes nothing.
    pub(crate) fn end(&mut self, pending: &Pending) -> Result<(), StepError> {
        let session = self.touched.number(self.connection, &self.memory.sessions, pending)?;
        let earlier = pending.shown.as_ref().and_then(|shown| shown.references.clone());
        let body_is_new = earlier.is_none();
        let references = match earlier {
            Some(references) => references,
            None => self.references(pending, session)?,
        };
        let kept = self.keep(pending, Some(&references), session)?;
        let whole_body = kept.content.zip(kept.body_start);
        let row = RequestRow::new(pending, session, kept)?;
        if !self.write(pending, &row)? {
            self.memory.store.drop_gathered();
            return Ok(());
        }
        self.memory.store.store(self.connection, session)?;
        match &pending.shown {
            None => self.touched.begin(self.connection, pending)?,
            Some(Shown { content: Some(content), .. }) => {
                self.connection.prepare_cached("DELETE FROM blobs WHERE id = ?1")?.execute([content])?;
            }
            Some(_) => {}
        }
        if body_is_new {
            self.take_body(pending, &references)?;
        }
        if let Some((content, start)) = whole_body {
            self.memory.recipes.small.remember(session, content, start, &pending.body.whole());
        }
        let change = tools::ask(self.connection, &mut self.memory.store, pending)?;
        self.memory.store.store(self.connection, session)?;
        self.change(pending, change);
        self.touched.end(self.connection, pending, &row)
    }

    /// Writes the row and what its digest covers; tells whether the request was not over before.
    fn write(&self, pending: &Pending, row: &RequestRow<'_>) -> Result<bool, StepError> {
        let cells = row.cells()?;
        let mut digest = RowDigest::default();
        digest.row(REQUESTS.name, cells);
        for mishap in &pending.mishaps {
            digest.row(SESSION_ERRORS.name, mishap_cells(pending, row.id(), mishap));
        }
        let memory = &*self.memory;
        let sql = if pending.shown.is_some() { &memory.update_request } else { &memory.insert_request };
        let mut statement = self.connection.prepare_cached(sql)?;
        if execute(&mut statement, cells, Some(&digest.finish()))? == 0 {
            return Ok(false);
        }
        for mishap in &pending.mishaps {
            let mut statement = self
                .connection
                .prepare_cached("INSERT OR REPLACE INTO session_errors VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for (place, cell) in (1..).zip(mishap_cells(pending, row.id(), mishap)) {
                statement.raw_bind_parameter(place, rusqlite::types::ToSqlOutput::Borrowed(cell))?;
            }
            statement.raw_execute()?;
        }
        Ok(true)
    }

    fn references(&mut self, pending: &Pending, session: i64) -> Result<BodyReferences, StepError> {
        let Memory { store, recipes, .. } = &mut *self.memory;
        bodies::references(self.connection, store, (recipes, self.pending), pending, session)
    }

    /// The body is stored: later requests may repeat it, and its tool results are known.
    fn take_body(&mut self, pending: &Pending, references: &BodyReferences) -> Result<(), StepError> {
        self.memory.recipes.remember(pending.request, &pending.session, references);
        let Some(read) = pending.read.as_ref().filter(|read| !read.tool_results.is_empty()) else {
            return Ok(());
        };
        let Some(body) = decoded(&pending.body, read.content_encoding.as_deref()) else { return Ok(()) };
        let results = &read.tool_results;
        let change = tools::bring_back(self.connection, pending, &body, results, references.known)?;
        self.change(pending, change);
        Ok(())
    }

    fn change(&mut self, pending: &Pending, change: ToolChange) {
        self.touched.add_tools(&pending.session, change.added);
        self.out_of_order += change.out_of_order;
    }

    /// Gathers what the row keeps of the request's bytes.
    fn keep(
        &mut self,
        pending: &Pending,
        references: Option<&BodyReferences>,
        session: i64,
    ) -> Result<Kept, StepError> {
        let over = pending.completed.is_some();
        let answer = Some(&pending.answer).filter(|answer| over && answer.kept() > 0);
        let small = answer.filter(|answer| answer.kept() <= SMALL_ANSWER);
        let inline = references.filter(|references| references.is_inline && !pending.body.is_empty());
        let inline = inline.map(|references| match &references.lean {
            None => pending.body.whole(),
            Some(lean) => pending.body.whole().slice(lean.middle(pending.body.len())),
        });
        let content = content(pending, inline.as_deref(), small);
        let store = &mut self.memory.store;
        let mut kept = Kept {
            body: references.and_then(|references| references.body.clone()),
            decoded: references.and_then(|references| references.decoded.clone()),
            ..Kept::default()
        };
        if !content.bytes.is_empty() {
            kept.content = Some(store.hold(self.connection, &content.bytes)?);
            kept.sections = Some(content.sections());
            let is_whole = references.is_some_and(|references| references.lean.is_none());
            kept.body_start = content.start(Section::Body).filter(|_| is_whole);
        }
        if let Some(answer) = answer.filter(|answer| answer.kept() > SMALL_ANSWER) {
            kept.answer = Some(store.hold_answer(self.connection, answer, pending.told_hash())?);
        }
        for (ordinal, attempt) in
            pending.attempts.iter().filter(|(_, attempt)| over && !attempt.body.is_empty())
        {
            kept.attempt_bodies.push((*ordinal, store.hold(self.connection, &attempt.body)?));
        }
        if let Some(provider) = pending.provider.as_ref().filter(|_| over) {
            let head = (&provider.request.path, &provider.request.headers, &provider.head);
            let head = serde_json::to_vec(&head).expect("texts and numbers are JSON");
            kept.provider_head = Some(store.hold(self.connection, &head)?);
            if !provider.body.is_empty() {
                let messages = &provider.request.messages;
                let recipe = bodies::of_provider(self.connection, store, &provider.body, messages, session)?;
                kept.provider_body = Some(recipe);
            }
            if provider.answer.kept() > 0 {
                kept.provider_answer = Some(store.hold_answer(self.connection, &provider.answer, None)?);
            }
        }
        Ok(kept)
    }
}

/// What is small of a request, in one piece.
fn content(pending: &Pending, inline_body: Option<&[u8]>, answer: Option<&AnswerBytes>) -> Content {
    let json = |headers: &[(String, String)], output: &mut Vec<u8>| {
        serde_json::to_writer(output, headers).expect("pairs of text are JSON");
    };
    let mut content = Content::new();
    if let Some(started) = &pending.started {
        content.add(Section::RequestHeaders, |output| json(&started.headers, output));
    }
    if let Some((_, headers)) = &pending.head {
        content.add(Section::ResponseHeaders, |output| json(headers, output));
    }
    let mut add_text = |section, text: Option<&String>| {
        if let Some(text) = text {
            content.add(section, |output| output.extend_from_slice(text.as_bytes()));
        }
    };
    add_text(Section::Preview, pending.read.as_ref().and_then(|read| read.preview.as_ref()));
    add_text(Section::TextPreview, pending.response.as_ref().and_then(|read| read.text_preview.as_ref()));
    if !pending.samples.is_empty() {
        content.add(Section::Samples, |output| pending.samples.write(output));
    }
    if let Some(body) = inline_body {
        content.add(Section::Body, |output| output.extend_from_slice(body));
    }
    if let Some(answer) = answer {
        content.add(Section::Answer, |output| {
            answer.pieces().for_each(|piece| output.extend_from_slice(piece));
        });
    }
    content
}

fn mishap_cells<'cell>(
    pending: &'cell Pending,
    id: &'cell str,
    mishap: &'cell super::pending::Mishap,
) -> [rusqlite::types::ValueRef<'cell>; 6] {
    [
        text(Some(id)),
        number(Some(i64::from(mishap.seq))),
        text(Some(pending.session.as_str())),
        number(Some(mishap.at.as_millis())),
        text(Some(mishap.kind.as_str())),
        text(Some(&mishap.message)),
    ]
}
