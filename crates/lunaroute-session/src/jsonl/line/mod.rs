//! One event as one line.
//!
//! A line begins with the event's request, number and time; then come its place in the journal and its session, where
//! they are not those of the line before; then what happened, and the raw bytes that go with it.

mod json;
mod kind;
mod parse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::json::Fields;
pub(super) use self::json::civil;
pub use self::parse::LineError;
pub(super) use self::parse::{Line, LineBody, Place, stamp, started_at};
use super::bases::Shared;
use crate::event::{Repeats, SessionEvent};

/// What is left out of a line because the line before says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LeftOut {
    pub(super) session: bool,
    pub(super) journal: bool,
}

/// Appends the line of an event to `output`. What `shared` says of its body stands in an earlier line of the file.
pub(super) fn append(
    event: &SessionEvent,
    place: Place,
    left_out: LeftOut,
    shared: Option<Shared>,
    output: &mut Vec<u8>,
) {
    let SessionEvent { session, request, seq, at, kind, body } = event;
    output.extend_from_slice(b"{\"request\":");
    json::request(*request, output);
    let mut fields = Fields(output);
    fields.number("seq", *seq);
    fields.name("at");
    json::moment(*at, fields.0);
    if !left_out.journal {
        fields.name("journal");
        fields.0.push(b'"');
        json::number(place.position.segment, fields.0);
        fields.0.push(b':');
        json::number(place.position.offset, fields.0);
        fields.0.push(b'"');
    }
    if !left_out.session {
        fields.word("session", session.as_str());
    }
    kind::append(kind, fields.0);
    match shared {
        None if body.is_empty() => {}
        None => body_field("body", "body_base64", body, &mut fields),
        Some(Shared { repeats, told }) => shared_body(body, repeats, told, &mut fields),
    }
    output.extend_from_slice(b"}\n");
}

fn body_field(name: &str, name_of_base64: &str, body: &[u8], fields: &mut Fields<'_>) {
    match std::str::from_utf8(body) {
        Ok(text) => fields.text(name, text),
        Err(_) => fields.word(name_of_base64, &STANDARD.encode(body)),
    }
}

/// The part of a body that is new. The checksum is that of the whole body.
fn shared_body(body: &[u8], repeats: Repeats, told: bool, fields: &mut Fields<'_>) {
    if !told {
        kind::repeats_field("body_repeats", repeats, fields);
    }
    fields.number("body_crc32", crc32fast::hash(body));
    let ends = usize::try_from(repeats.prefix).ok().zip(usize::try_from(repeats.suffix).ok());
    let new = ends.and_then(|(prefix, suffix)| body.get(prefix..body.len().checked_sub(suffix)?));
    body_field("body_middle", "body_middle_base64", new.unwrap_or_default(), fields);
}
