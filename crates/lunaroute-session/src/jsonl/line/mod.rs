//! One event as one line.
//!
//! A line begins with the event's request, number and time; then come its place in the journal and its session, where
//! the line before does not tell them; then what happened, and the raw bytes that go with it.

mod json;
mod kind;
mod parse;
mod pieces;
mod started;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lunaroute_core::Timestamp;

use self::json::Fields;
pub(super) use self::json::civil;
pub use self::parse::LineError;
pub(super) use self::parse::{Line, LineBody, Place, When, following, stamp, started_at};
use super::told::Shared;
use crate::event::{EventKind, SessionEvent, Started};

/// What the lines before have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reference {
    /// The session.
    pub(super) session: bool,
    /// The place before this in the journal, as the last thing.
    pub(super) journal: bool,
    /// When the event's request began.
    pub(super) opened_at: Option<Timestamp>,
    /// Parts of its body.
    pub(super) shared: Option<Shared>,
}

/// Appends the line of an event. `before` is how the request before in the file began, when that was told.
pub(super) fn append(
    event: &SessionEvent,
    place: Place,
    reference: &Reference,
    before: &mut Option<Arc<Started>>,
    output: &mut Vec<u8>,
) {
    head(event, place, reference, output);
    kind::append(&event.kind, before, output);
    let mut fields = Fields(output);
    match reference.shared {
        Some(Shared { repeats, in_event }) => {
            if !in_event {
                kind::repeats_field("body_repeats", repeats, &mut fields);
            }
            // That of the whole body.
            fields.number("body_crc32", event.body.crc32());
            let middle = repeats.middle(event.body.len()).and_then(|middle| event.body.part(middle));
            let middle = middle.unwrap_or_default();
            if is_text(&middle) {
                fields.name("body_middle");
                json::text_of_bytes(&middle, fields.0);
            } else {
                fields.word("body_middle_base64", &STANDARD.encode(middle));
            }
        }
        None => whole_body(event, &mut fields),
    }
    output.extend_from_slice(b"}\n");
}

fn whole_body(event: &SessionEvent, fields: &mut Fields<'_>) {
    let body = event.body.whole();
    if body.is_empty() {
        return;
    }
    if !is_text(&body) {
        fields.word("body_base64", &STANDARD.encode(&body));
    } else if is_stream(&event.kind) && pieces::append(&body, fields) {
        fields.number("body_crc32", crc32fast::hash(&body));
    } else {
        fields.name("body");
        json::text_of_bytes(&body, fields.0);
    }
}

fn head(event: &SessionEvent, place: Place, reference: &Reference, output: &mut Vec<u8>) {
    output.extend_from_slice(b"{\"request\":");
    json::request(event.request, output);
    let mut fields = Fields(output);
    fields.number("seq", event.seq);
    let at = event.at.as_micros();
    match reference.opened_at.and_then(|opened_at| at.checked_sub(opened_at.as_micros())) {
        Some(us) => fields.number("us", us),
        None => {
            fields.name("at");
            json::moment(event.at, fields.0);
        }
    }
    if !reference.journal {
        fields.name("journal");
        fields.0.push(b'"');
        json::number(place.position.segment, fields.0);
        fields.0.push(b':');
        json::number(place.position.offset, fields.0);
        fields.0.push(b'"');
    }
    if !reference.session {
        fields.word("session", event.session.as_str());
    }
}

/// Whether these are characters in UTF-8. Most bodies have no others than ASCII's, which costs a fraction to see.
fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// Whether the body may be the events of a stream.
fn is_stream(kind: &EventKind) -> bool {
    matches!(kind, EventKind::StreamDelta { .. } | EventKind::ProviderDelta { .. })
}
