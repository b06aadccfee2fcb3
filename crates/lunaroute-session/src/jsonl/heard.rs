//! What the lines of a file that is being read have told, to make events of later ones.

use std::collections::VecDeque;

use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::Position;
use serde_json::{Map, Value};

use super::line::{Line, LineBody, LineError, When, following};
use super::told::{BASES, OPENINGS};
use crate::event::{EventKind, Repeats, SessionEvent};

const STARTED: &str = "started";
const HEADERS: &str = "headers";

/// Changed headers of a request, each with its number among all headers, its name and its value.
const HEADERS_CHANGED: &str = "headers_changed";

/// Fields of a start that are its own in any case.
const OWN: [&str; 2] = ["overhead_pre_us", "repeats"];

struct Opening {
    request: RequestId,
    at: Timestamp,
    /// Empty once it is no base any more.
    body: Bytes,
}

/// What was heard.
#[derive(Default)]
pub(super) struct Heard {
    session: Option<SessionId>,
    position: Option<Position>,
    started: Option<Map<String, Value>>,
    openings: VecDeque<Opening>,
    /// The last piece of an answer.
    answer: Option<(RequestId, Bytes)>,
    /// The last translated request.
    translated: Option<(RequestId, Bytes)>,
}

impl Heard {
    /// Makes an event of the next line.
    ///
    /// # Errors
    /// [`LineError`] when the line says less than the lines before it have told.
    pub(super) fn event(&mut self, line: Line) -> Result<(Position, SessionEvent), LineError> {
        let Line { session, position, request, seq, when, kind, mut fields, body } = line;
        if let Some(session) = session {
            self.session = Some(session);
        }
        self.position = position.or(self.position.map(following));
        if kind == STARTED {
            self.complete(&mut fields)?;
        }
        fields.insert("kind".to_owned(), Value::String(kind));
        let kind: EventKind = serde_json::from_value(Value::Object(fields))?;
        let at = match when {
            When::At(at) => at,
            When::After(us) => self.opened_at(request, us).ok_or(LineError::Time)?,
        };
        let started = match &kind {
            EventKind::Started(started) => Some(started),
            _ => None,
        };
        let body = match body {
            LineBody::Whole(body) => Ok(body),
            LineBody::Middle { middle, repeats, crc32 } => {
                let repeats =
                    repeats.or(started.and_then(|started| started.repeats)).ok_or(LineError::Repeats)?;
                let base = match &kind {
                    EventKind::Started(_) => self.opening(repeats.of),
                    EventKind::ProviderRequest(_) => of_request(&self.translated, repeats.of),
                    _ => of_request(&self.answer, repeats.of),
                };
                let whole = base.and_then(|base| whole(base, &middle, &repeats, crc32));
                whole.ok_or(LineError::Base { of: repeats.of })
            }
        };
        if started.is_some() {
            // Its time is known, whatever became of its body.
            let body = body.as_ref().map_or(Bytes::new(), Bytes::clone);
            self.enter(Opening { request, at, body });
        }
        if let EventKind::StreamDelta { .. } = &kind {
            self.answer = body.as_ref().ok().map(|body| (request, body.clone()));
        }
        if let EventKind::ProviderRequest(_) = &kind {
            self.translated = body.as_ref().ok().map(|body| (request, body.clone()));
        }
        let body = body?;
        let session = self.session.clone().ok_or(LineError::Session)?;
        let position = self.position.ok_or(LineError::Journal)?;
        Ok((position, SessionEvent { session, request, seq, at, kind, body: body.into() }))
    }

    /// A line could not be read: what it said is not known.
    pub(super) fn miss(&mut self) {
        self.position = None;
        self.started = None;
    }

    /// Fills in what a start has in common with the one before, and remembers it for the next.
    fn complete(&mut self, fields: &mut Map<String, Value>) -> Result<(), LineError> {
        let changed = fields.remove(HEADERS_CHANGED);
        if let Some(mut started) = self.started.take() {
            if let Some(changed) = changed {
                change(&mut started, changed).ok_or(LineError::Headers)?;
            }
            for (name, value) in started {
                fields.entry(name).or_insert(value);
            }
        } else if changed.is_some() || !fields.contains_key(HEADERS) {
            return Err(LineError::Started);
        }
        let mut told = fields.clone();
        told.retain(|name, _| !OWN.contains(&name.as_str()));
        self.started = Some(told);
        Ok(())
    }

    fn opened_at(&self, request: RequestId, after: i64) -> Option<Timestamp> {
        let opening = self.openings.iter().rev().find(|opening| opening.request == request)?;
        opening.at.as_micros().checked_add(after).map(Timestamp::from_micros)
    }

    fn opening(&self, request: RequestId) -> Option<&Bytes> {
        let opening = self.openings.iter().rev().find(|opening| opening.request == request);
        opening.map(|opening| &opening.body)
    }

    fn enter(&mut self, opening: Opening) {
        if self.openings.len() == OPENINGS {
            self.openings.pop_front();
        }
        self.openings.push_back(opening);
        if let Some(last) = self.openings.len().checked_sub(BASES + 1) {
            self.openings[last].body = Bytes::new();
        }
    }
}

/// What was heard last, when it is of this request.
fn of_request(last: &Option<(RequestId, Bytes)>, request: RequestId) -> Option<&Bytes> {
    last.as_ref().filter(|(of, _)| *of == request).map(|(_, body)| body)
}

/// Puts a body together from an earlier one and what is new; `None` when that was another one.
fn whole(base: &Bytes, middle: &[u8], repeats: &Repeats, crc32: u32) -> Option<Bytes> {
    let start = base.get(..usize::try_from(repeats.prefix).ok()?)?;
    let end = base.get(base.len().checked_sub(usize::try_from(repeats.suffix).ok()?)?..)?;
    let whole = [start, middle, end].concat();
    (crc32fast::hash(&whole) == crc32).then(|| Bytes::from(whole))
}

/// Puts changed headers in their places.
fn change(started: &mut Map<String, Value>, changed: Value) -> Option<()> {
    let headers = started.get_mut(HEADERS)?.as_array_mut()?;
    for header in changed.as_array()? {
        let [number, name, value] = header.as_array()?.as_slice() else { return None };
        let place = headers.get_mut(usize::try_from(number.as_u64()?).ok()?)?;
        *place = Value::Array(vec![name.clone(), value.clone()]);
    }
    Some(())
}
