//! Events as the journal holds them.
//!
//! A payload holds neighbouring events of one request: format (1 byte), request (16), length of the session id (1),
//! session id, number of events, seq of the first; then for each its time since the one before in microseconds, its kind
//! and the length of its body; then the bodies, one after the other, neither escaped nor copied. Numbers are as short as
//! they are small.
//!
//! The body of a start may lean on the body of an earlier start of its session: then only what is new of it is there,
//! with the place of the earlier one and a checksum of the whole. An [`EventReader`] gives whole bodies.
//!
//! A short payload is compressed as a whole (its format says so), against words that most requests have: a request and an
//! answer of a chat are mostly names of fields, and what was read of them says their words once more.
//!
//! An event's position in the journal is that of its frame plus its number in the frame. A frame has more bytes than
//! events, so positions tell events apart and order them, and what is stored of one stays valid for ever.

mod bodies;
mod compressed;
mod delta;
mod first;
mod kind;
mod wire;

use bytes::Bytes;
use lunaroute_core::{InvalidSessionId, SessionId, Timestamp};
use lunaroute_storage::journal::{FRAME_HEADER_BYTES, Position};

pub use self::bodies::{EventReader, Unreadable};
pub(crate) use self::bodies::{LEAST_BYTES, LONGEST_CHAIN, event_position};
pub(crate) use self::compressed::{Compressor, Expander};
use self::wire::{In, Out};
use crate::event::{Body, EventKind, SessionEvent};

/// Journal record kind of events.
pub const EVENT: u8 = 1;

/// Journal record kind of a roll call: the list of open requests at the head of a segment. Only recovery reads it.
pub const ROLL_CALL: u8 = 2;

/// The form that is written. The first form, one event with its kind in JSON, is still read.
const FORMAT: u8 = 2;
const FIRST_FORMAT: u8 = 1;
/// What follows, but for the number of bytes that it has then, is a payload without its format when it is decompressed.
/// It is still read; what is written is compressed against the dictionary.
const COMPRESSED_ALONE: u8 = 3;
const COMPRESSED_BY_DICTIONARY: u8 = 4;

/// Events in the form of the journal, in pieces so that bodies need not be copied.
#[derive(Debug, Clone)]
pub struct EncodedRun {
    head: Vec<u8>,
    bodies: Vec<Bytes>,
    body_bytes: usize,
}

impl EncodedRun {
    /// The pieces in order.
    #[must_use]
    pub fn parts(&self) -> Vec<&[u8]> {
        std::iter::once(self.head.as_slice()).chain(self.bodies.iter().map(Bytes::as_ref)).collect()
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.len() + self.body_bytes
    }

    /// Bytes that it takes in the journal.
    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.bytes()
    }
}

/// A payload that holds no events.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error(
        "an entry of the journal has {bytes} bytes and ends before its {part} does; the journal is damaged"
    )]
    Short {
        /// Bytes that there are.
        bytes: usize,
        /// The part that is cut.
        part: &'static str,
    },
    /// A part of it cannot be what it should be.
    #[error("an entry of the journal has a {part} that cannot be one; the journal is damaged")]
    Invalid {
        /// The part.
        part: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "an entry of the journal has format {format}, this program knows {COMPRESSED_BY_DICTIONARY}; use the newer program"
    )]
    Format {
        /// The format it names.
        format: u8,
    },
    /// The session id cannot be one.
    #[error("an entry of the journal has a session id that is none: {0}")]
    Session(#[from] InvalidSessionId),
    /// The kind cannot be read.
    #[error("an entry of the journal has a kind that cannot be read: {0}")]
    Kind(#[from] serde_json::Error),
}

/// On what the body of a start leans: its own [`Repeats`](crate::event::Repeats) say which bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lean {
    /// The frame that begins with the start whose body it is.
    pub(crate) base: Position,
    /// CRC-32 of the whole body.
    pub(crate) check: u32,
}

/// An event as a payload holds it.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    /// When it leans, its body is only what is new of it.
    pub(crate) event: SessionEvent,
    pub(crate) lean: Option<Lean>,
}

/// Writes neighbouring events of one request, whose seqs follow each other, in the form of the journal.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn encode(events: &[SessionEvent]) -> EncodedRun {
    encode_leaning(events, None)
}

/// As [`encode`], in the form in which the recorder writes them: a short payload is compressed.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn encode_compressed(events: &[SessionEvent]) -> EncodedRun {
    Compressor::default().compress(encode(events), events.len())
}

/// As [`encode`]; with `lean` only the new bytes of the first event's body are written.
pub(crate) fn encode_leaning(events: &[SessionEvent], lean: Option<Lean>) -> EncodedRun {
    let first = events.first().expect("a run has an event");
    debug_assert!(
        (first.seq..).zip(events).all(|(seq, event)| event.seq == seq && event.request == first.request),
        "a run is of one request and without holes"
    );
    let session = first.session.as_str().as_bytes();
    let mut out = Out(Vec::with_capacity(64 + session.len() + 128 * events.len()));
    out.byte(FORMAT);
    out.request(first.request);
    out.byte(u8::try_from(session.len()).expect("a session id has at most 255 bytes"));
    out.bytes(session);
    out.length(events.len());
    out.number(first.seq.into());
    let (mut bodies, mut body_bytes, mut before) = (Vec::new(), 0, 0);
    for (index, event) in events.iter().enumerate() {
        let at = event.at.as_micros();
        out.signed(at.wrapping_sub(before));
        before = at;
        kind::put(&mut out, &event.kind);
        let body = put_body(&mut out, event, lean.filter(|_| index == 0));
        if !body.is_empty() {
            body_bytes += body.len();
            bodies.push(body);
        }
    }
    EncodedRun { head: out.0, bodies, body_bytes }
}

/// Writes how long the event's body is and, for a start, on what it leans; gives the bytes that are to be stored.
fn put_body(out: &mut Out, event: &SessionEvent, lean: Option<Lean>) -> Bytes {
    let mut body = event.body.whole();
    if let EventKind::Started(started) = &event.kind {
        let lean = lean.zip(started.repeats);
        out.maybe(lean, |out, (lean, repeats)| {
            out.number(lean.base.segment);
            out.number(lean.base.offset);
            out.bytes(&lean.check.to_le_bytes());
            body = body.slice(repeats.middle(body.len()).expect("what repeats lies within the body"));
        });
    }
    out.length(body.len());
    body
}

/// Reads events as they are stored. Bodies share the memory of the payload.
pub(crate) fn decode(payload: &Bytes, expander: &mut Expander) -> Result<Vec<StoredEvent>, DecodeError> {
    let format = *payload.first().ok_or(DecodeError::Short { bytes: 0, part: "format" })?;
    let rest = payload.slice(1..);
    match format {
        FIRST_FORMAT => first::decode(&rest).map(|event| vec![StoredEvent { event, lean: None }]),
        FORMAT => decode_run(&rest),
        COMPRESSED_ALONE => decode_run(&expander.expand(&rest)?),
        COMPRESSED_BY_DICTIONARY => decode_run(&expander.expand_by_dictionary(&rest)?),
        format => Err(DecodeError::Format { format }),
    }
}

fn decode_run(payload: &Bytes) -> Result<Vec<StoredEvent>, DecodeError> {
    let mut input = In::new(payload);
    let request = input.request("request id")?;
    let session_bytes = input.byte("session id")?;
    let session = input.take(usize::from(session_bytes), "session id")?;
    let session = SessionId::parse(&String::from_utf8_lossy(session))?;
    let count = input.count("number of events")?;
    let first_seq: u32 = input.small("seq")?;
    let (mut stored, mut lengths, mut at) = (Vec::with_capacity(count.min(64)), Vec::new(), 0_i64);
    for number in 0..count {
        at = at.wrapping_add(input.signed("time")?);
        let kind = kind::take(&mut input)?;
        let lean = if matches!(kind, EventKind::Started(_)) {
            input.maybe("earlier body", |input, part| {
                let base = Position { segment: input.number(part)?, offset: input.number(part)? };
                Ok(Lean { base, check: u32::from_le_bytes(input.array(part)?) })
            })?
        } else {
            None
        };
        lengths.push(input.small::<usize>("length of a body")?);
        let seq = u32::try_from(number).ok().and_then(|number| first_seq.checked_add(number));
        let seq = seq.ok_or(DecodeError::Invalid { part: "seq" })?;
        let (session, at) = (session.clone(), Timestamp::from_micros(at));
        let event = SessionEvent { session, request, seq, at, kind, body: Body::default() };
        stored.push(StoredEvent { event, lean });
    }
    for (stored, length) in stored.iter_mut().zip(lengths) {
        let start = input.at();
        input.take(length, "body")?;
        stored.event.body = payload.slice(start..start + length).into();
    }
    if input.at() != payload.len() {
        return Err(DecodeError::Invalid { part: "length" });
    }
    Ok(stored)
}

#[cfg(test)]
mod tests;
