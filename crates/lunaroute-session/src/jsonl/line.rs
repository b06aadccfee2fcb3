//! One event as one line.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::{RequestId, SessionId};
use lunaroute_storage::journal::Position;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::writer::JournaledEvent;

#[derive(Serialize)]
struct Line<'a> {
    session: &'a SessionId,
    request: RequestId,
    seq: u32,
    at: String,
    journal: String,
    #[serde(flatten)]
    kind: &'a EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Appends the line of an event to `output`.
pub(super) fn append(item: &JournaledEvent, output: &mut Vec<u8>) {
    let event = &item.event;
    let text = std::str::from_utf8(&event.body);
    let (body, body_base64) = match text {
        Ok("") => (None, None),
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(&event.body))),
    };
    let line = Line {
        session: &event.session,
        request: event.request,
        seq: event.seq,
        at: event.at.to_string(),
        journal: item.position.to_string(),
        kind: &event.kind,
        body,
        body_base64,
    };
    serde_json::to_writer(&mut *output, &line)
        .expect("an event has string keys only and memory never fails to write");
    output.push(b'\n');
}

/// The place in the journal that a line names; `None` when it is no line of ours.
pub(super) fn position(line: &[u8]) -> Option<Position> {
    #[derive(Deserialize)]
    struct Place<'a> {
        #[serde(borrow)]
        journal: Cow<'a, str>,
    }
    let place: Place<'_> = serde_json::from_slice(line).ok()?;
    let (segment, offset) = place.journal.split_once(':')?;
    Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}
