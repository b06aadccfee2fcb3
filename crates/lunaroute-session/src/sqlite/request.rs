//! Writing a request: its body when it is known, everything else when it is over.

use std::borrow::Cow;

use blake3::Hash;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::blobs::{self, BlobStore};
use super::children::children;
use super::cut::{Cut, cut};
use super::decode::decoded;
use super::digest::RowDigest;
use super::failure::StepError;
use super::messages;
use super::pending::Pending;
use super::row::{request_row, request_status};
use super::table::{Fields, MESSAGES, REQUESTS};
use super::tools::{self, ToolChange};
use crate::event::RequestRead;

/// What a request's row keeps of its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyReferences {
    pub(crate) request: Option<Hash>,
    pub(crate) decoded: Option<Hash>,
    /// Digest of the rows in request_messages.
    messages: [u8; 32],
}

/// What a request's end means to its session.
pub(crate) struct Ended {
    pub(crate) completed_at: i64,
    pub(crate) status: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) total_ms: i64,
    pub(crate) tokens: [Option<i64>; 6],
    pub(crate) added_tools: i64,
}

/// A body with the cuts that its messages give.
struct Body<'body> {
    /// The body as it arrived.
    arrived: Cut,
    /// The body without its content coding, when it had one that can be undone.
    decoded: Option<(Cow<'body, [u8]>, Cut)>,
}

impl Body<'_> {
    fn of(pending: &Pending) -> Body<'_> {
        let nothing_read = RequestRead::default();
        let read = pending.read.as_deref().unwrap_or(&nothing_read);
        let coded =
            read.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        if !coded {
            return Body { arrived: cut(&pending.body, &read.messages), decoded: None };
        }
        let decoded = decoded(&pending.body, read.content_encoding.as_deref()).map(|body| {
            let cut = cut(&body, &read.messages);
            (body, cut)
        });
        Body { arrived: cut(&pending.body, &[]), decoded }
    }

    /// The cut whose messages are kept.
    fn readable(&self) -> &Cut {
        self.decoded.as_ref().map_or(&self.arrived, |(_, cut)| cut)
    }

    fn references(&self, pending: &Pending) -> BodyReferences {
        let mut digest = RowDigest::default();
        for row in messages::rows(self.readable(), &pending.request.to_string()) {
            digest.row(MESSAGES.name, &row);
        }
        let whole = |length: usize, cut: &Cut| (length > 0).then_some(cut.hash);
        BodyReferences {
            request: whole(pending.body.len(), &self.arrived),
            decoded: self.decoded.as_ref().and_then(|(body, cut)| whole(body.len(), cut)),
            messages: digest.finish(),
        }
    }
}

/// What a request's row keeps of its body, without storing anything.
pub(crate) fn references(pending: &Pending) -> BodyReferences {
    Body::of(pending).references(pending)
}

/// Stores the body, its messages and the tool results in it.
pub(crate) fn write_body(
    connection: &Connection,
    store: &mut BlobStore,
    pending: &Pending,
) -> Result<(BodyReferences, ToolChange), StepError> {
    let body = Body::of(pending);
    store.hold_cut(connection, &pending.body, &body.arrived)?;
    if let Some((decoded, cut)) = &body.decoded {
        store.hold_cut(connection, decoded, cut)?;
    }
    messages::write(connection, body.readable(), &pending.request.to_string())?;
    let change = match &pending.read {
        Some(read) => {
            let readable = body.decoded.as_ref().map_or(&pending.body[..], |(decoded, _)| decoded);
            tools::bring_back(connection, store, pending, readable, &read.tool_results)?
        }
        None => ToolChange::default(),
    };
    Ok((body.references(pending), change))
}

/// Writes the row of a request that is not over.
pub(crate) fn write_running(connection: &Connection, pending: &Pending) -> Result<(), StepError> {
    let row = request_row(pending, pending.references.as_ref(), None)?;
    REQUESTS.upsert(connection, &row, None)
}

/// Writes everything about a request that is over, except what its body gives.
pub(crate) fn write_end(
    connection: &Connection,
    store: &mut BlobStore,
    pending: &Pending,
    references: &BodyReferences,
) -> Result<(Ended, ToolChange), StepError> {
    let answer = match &pending.answer.bytes {
        Some(bytes) => store.hold(connection, bytes)?,
        None => None,
    };
    let row = request_row(pending, Some(references), answer)?;
    let mut digest = RowDigest::default();
    digest.row(REQUESTS.name, &row);
    for (table, rows) in children(connection, store, pending, answer)? {
        for row in rows {
            digest.row(table.name, &row);
            table.insert(connection, &row)?;
        }
    }
    digest.item(b'M', &references.messages);
    if let Some(answer) = &answer {
        // The request's row and the response's row both name the answer.
        blobs::count(connection, answer, 1)?;
    }
    REQUESTS.upsert(connection, &row, Some(digest.finish()))?;
    let change = tools::ask(connection, store, pending)?;
    Ok((ended(pending, &row, change.added), change))
}

fn ended(pending: &Pending, row: &Fields, added_tools: i64) -> Ended {
    let value = |column: &str| row.iter().find(|(name, _)| *name == column).map(|(_, value)| value);
    let word = |column: &str| match value(column) {
        Some(Value::Text(word)) => Some(word.clone()),
        _ => None,
    };
    let number = |column: &str| match value(column) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    };
    Ended {
        completed_at: number("completed_at").unwrap_or_else(|| pending.first_at.as_millis()),
        status: request_status(pending),
        model: word("model_used"),
        provider: word("provider"),
        finish_reason: word("finish_reason"),
        error: word("error"),
        total_ms: number("total_ms").unwrap_or(0),
        tokens: super::sessions::TOKEN_COLUMNS.map(number),
        added_tools,
    }
}
