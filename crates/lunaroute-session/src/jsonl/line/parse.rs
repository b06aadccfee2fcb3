//! Reads lines back.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::Position;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pieces::{self, Piece};
use crate::event::Repeats;

/// The place of an event among all. Places in the journal differ; should two be equal, the number in the request decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::jsonl) struct Place {
    pub(in crate::jsonl) position: Position,
    pub(in crate::jsonl) seq: u32,
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON, or not that of an event.
    #[error("it is not the JSON of an event: {0}")]
    Json(#[from] serde_json::Error),
    /// Its place in the journal is malformed, or no line before it has one.
    #[error("it has no place in the journal")]
    Journal,
    /// Neither it nor a line before it names its session.
    #[error("it has no session")]
    Session,
    /// Its time is no time, or counted from the start of a request that no line before it tells.
    #[error("its time is malformed or missing")]
    Time,
    /// Its bytes are no base64.
    #[error("its bytes are no base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// It has the middle of a body and does not say of what, or without the checksum of the whole.
    #[error("it does not say what its body repeats")]
    Repeats,
    /// The pieces of its body are not those that were written.
    #[error("the pieces of its body are damaged")]
    Pieces,
    /// The body that it repeats is not in the file before it, or is not what it was.
    #[error("the body of request {of}, which it repeats, is not in the file or is damaged")]
    Base {
        /// The request that brought the earlier body.
        of: RequestId,
    },
    /// How its request began is left out in part, and no line before it can be read that says it.
    #[error("it leaves out how its request began, and the line that says it cannot be read")]
    Started,
    /// It changes headers that the request before did not have.
    #[error("it changes headers that the request before did not have")]
    Headers,
    /// It is longer than any event.
    #[error("it is longer than any event, or cut short")]
    Length,
}

/// The place of an event that shares a frame of the journal with the one before: it is left out of its line.
pub(in crate::jsonl) fn following(position: Position) -> Position {
    Position { offset: position.offset.saturating_add(1), ..position }
}

/// A line, as far as it speaks for itself.
pub(in crate::jsonl) struct Line {
    pub(in crate::jsonl) session: Option<SessionId>,
    pub(in crate::jsonl) position: Option<Position>,
    pub(in crate::jsonl) request: RequestId,
    pub(in crate::jsonl) seq: u32,
    pub(in crate::jsonl) when: When,
    pub(in crate::jsonl) kind: String,
    /// The fields of its kind.
    pub(in crate::jsonl) fields: Map<String, Value>,
    pub(in crate::jsonl) body: LineBody,
}

/// When the event of a line happened.
pub(in crate::jsonl) enum When {
    At(Timestamp),
    /// So many microseconds after its request began.
    After(i64),
}

/// The raw bytes of a line.
pub(in crate::jsonl) enum LineBody {
    /// All of them.
    Whole(Bytes),
    /// Those between what an earlier body begins and ends with, and the checksum of the whole. Without `repeats`, the
    /// event itself says which one.
    Middle { middle: Bytes, repeats: Option<Repeats>, crc32: u32 },
}

#[derive(Deserialize)]
struct Fields {
    session: Option<SessionId>,
    request: RequestId,
    seq: u32,
    at: Option<String>,
    us: Option<i64>,
    journal: Option<String>,
    kind: String,
    body: Option<String>,
    body_base64: Option<String>,
    body_middle: Option<String>,
    body_middle_base64: Option<String>,
    body_pieces: Option<Vec<Piece>>,
    body_repeats: Option<Repeats>,
    body_crc32: Option<u32>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Line {
    /// Reads a line, with or without its end.
    ///
    /// # Errors
    /// [`LineError`] says what is wrong with it.
    pub(in crate::jsonl) fn parse(line: &[u8]) -> Result<Self, LineError> {
        let line: Fields = serde_json::from_slice(line)?;
        let position = match &line.journal {
            None => None,
            Some(journal) => Some(position(journal).ok_or(LineError::Journal)?),
        };
        let when = match (&line.at, line.us) {
            (Some(at), _) => When::At(moment(at).ok_or(LineError::Time)?),
            (None, Some(us)) => When::After(us),
            (None, None) => return Err(LineError::Time),
        };
        let body = match bytes(line.body_middle, line.body_middle_base64)? {
            None => LineBody::Whole(match &line.body_pieces {
                None => bytes(line.body, line.body_base64)?.unwrap_or_default(),
                Some(pieces) => joined(pieces, line.body_crc32)?,
            }),
            Some(middle) => {
                let crc32 = line.body_crc32.ok_or(LineError::Repeats)?;
                LineBody::Middle { middle, repeats: line.body_repeats, crc32 }
            }
        };
        let Fields { session, request, seq, kind, fields, .. } = line;
        Ok(Self { session, position, request, seq, when, kind, fields, body })
    }
}

fn bytes(text: Option<String>, base64: Option<String>) -> Result<Option<Bytes>, LineError> {
    match (text, base64) {
        (Some(text), _) => Ok(Some(Bytes::from(text))),
        (None, Some(base64)) => Ok(Some(Bytes::from(STANDARD.decode(base64)?))),
        (None, None) => Ok(None),
    }
}

/// The body that the pieces give, if it is what was told.
fn joined(pieces: &[Piece], crc32: Option<u32>) -> Result<Bytes, LineError> {
    let body = pieces::join(pieces).filter(|body| Some(crc32fast::hash(body)) == crc32);
    body.map(Bytes::from).ok_or(LineError::Pieces)
}

fn position(journal: &str) -> Option<Position> {
    let (segment, offset) = journal.split_once(':')?;
    Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

/// A moment as [`Timestamp`] shows it: RFC 3339, or microseconds where no calendar reaches.
fn moment(text: &str) -> Option<Timestamp> {
    let micros = match text.strip_suffix(" us") {
        Some(micros) => micros.parse().ok()?,
        None => text.parse::<jiff::Timestamp>().ok()?.as_microsecond(),
    };
    Some(Timestamp::from_micros(micros))
}

/// What a line says of its place; the position is missing where it follows that of the line before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jsonl) struct Stamp {
    pub(in crate::jsonl) position: Option<Position>,
    pub(in crate::jsonl) seq: u32,
}

/// The place of a line; `None` when it is no line of ours.
pub(in crate::jsonl) fn stamp(line: &[u8]) -> Option<Stamp> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        seq: u32,
        #[serde(borrow)]
        journal: Option<Cow<'a, str>>,
    }
    let fields: Fields<'_> = serde_json::from_slice(line).ok()?;
    let position = match fields.journal {
        None => None,
        Some(journal) => Some(position(&journal)?),
    };
    Some(Stamp { position, seq: fields.seq })
}

/// The time in the head of a line that need not be whole.
pub(in crate::jsonl) fn started_at(head: &[u8]) -> Option<Timestamp> {
    const NAME: &[u8] = b"\"at\":\"";
    let text = &head[memmem::find(head, NAME)? + NAME.len()..];
    moment(std::str::from_utf8(&text[..memchr::memchr(b'"', text)?]).ok()?)
}
