//! Events as the journal holds them.
//!
//! A payload is: format (1 byte), request (16), seq (4), time in microseconds (8), length of the session id (1), session
//! id, length of the kind (4), kind as JSON, and the raw body up to the end. Numbers are little-endian. What identifies an
//! event can so be read without its JSON, and a body is neither escaped nor copied.

use bytes::Bytes;
use lunaroute_core::{InvalidSessionId, RequestId, SessionId, Timestamp};

use crate::event::{EventKind, SessionEvent};

/// Journal record kind of an event.
pub const EVENT: u8 = 1;

/// Journal record kind of a roll call: the list of open requests at the head of a segment. Only recovery reads it.
pub const ROLL_CALL: u8 = 2;

const FORMAT: u8 = 1;
const FIXED_BYTES: usize = 1 + 16 + 4 + 8 + 1;

/// An event in the form of the journal, in two pieces so that the body need not be copied.
#[derive(Debug, Clone)]
pub struct EncodedEvent {
    head: Vec<u8>,
    body: Bytes,
}

impl EncodedEvent {
    /// The pieces in order.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// A payload that is no event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error(
        "an event in the journal has {bytes} bytes and ends before its {part} does; the journal is damaged"
    )]
    Short {
        /// Bytes that there are.
        bytes: usize,
        /// The part that is cut.
        part: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "an event in the journal has format {format}, this program knows {FORMAT}; use the newer program"
    )]
    Format {
        /// The format it names.
        format: u8,
    },
    /// The session id cannot be one.
    #[error("an event in the journal has a session id that is none: {0}")]
    Session(#[from] InvalidSessionId),
    /// The kind cannot be read.
    #[error("an event in the journal has a kind that cannot be read: {0}")]
    Kind(#[from] serde_json::Error),
}

/// Writes an event in the form of the journal.
#[must_use]
pub fn encode(event: &SessionEvent) -> EncodedEvent {
    let session = event.session.as_str().as_bytes();
    let mut head = Vec::with_capacity(FIXED_BYTES + session.len() + 256);
    head.push(FORMAT);
    head.extend_from_slice(event.request.as_uuid().as_bytes());
    head.extend_from_slice(&event.seq.to_le_bytes());
    head.extend_from_slice(&event.at.as_micros().to_le_bytes());
    head.push(u8::try_from(session.len()).expect("a session id has at most 255 bytes"));
    head.extend_from_slice(session);
    let length_at = head.len();
    head.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut head, &event.kind)
        .expect("an event has string keys only and memory never fails to write");
    let kind_bytes = u32::try_from(head.len() - length_at - 4).unwrap_or(u32::MAX);
    head[length_at..length_at + 4].copy_from_slice(&kind_bytes.to_le_bytes());
    EncodedEvent { head, body: event.body.clone() }
}

/// Reads an event back. Its body shares the memory of the payload.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the payload.
pub fn decode(payload: &Bytes) -> Result<SessionEvent, DecodeError> {
    let mut cursor = Cursor { payload, at: 0 };
    let [format] = cursor.array("format")?;
    if format != FORMAT {
        return Err(DecodeError::Format { format });
    }
    let request = RequestId::from_bytes(cursor.array("request id")?);
    let seq = u32::from_le_bytes(cursor.array("seq")?);
    let at = Timestamp::from_micros(i64::from_le_bytes(cursor.array("time")?));
    let [session_bytes] = cursor.array("session id")?;
    let session = cursor.take(usize::from(session_bytes), "session id")?;
    let session = SessionId::parse(&String::from_utf8_lossy(session))?;
    let kind_bytes = u32::from_le_bytes(cursor.array("kind")?);
    let kind: EventKind = serde_json::from_slice(cursor.take(kind_bytes as usize, "kind")?)?;
    Ok(SessionEvent { session, request, seq, at, kind, body: payload.slice(cursor.at..) })
}

struct Cursor<'a> {
    payload: &'a Bytes,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize, part: &'static str) -> Result<&'a [u8], DecodeError> {
        let short = DecodeError::Short { bytes: self.payload.len(), part };
        let end = self.at.checked_add(bytes).ok_or(DecodeError::Short { bytes: self.payload.len(), part })?;
        let taken = self.payload.get(self.at..end).ok_or(short)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], DecodeError> {
        let bytes = self.payload.len();
        self.take(N, part)?.try_into().map_err(|_| DecodeError::Short { bytes, part })
    }
}

#[cfg(test)]
mod tests {
    use lunaroute_core::{Delta, Ending, FailureKind, StopReason, Usage};

    use super::*;
    use crate::event::{GapCause, ResponseRead, Stats};

    fn payload(event: &SessionEvent) -> Bytes {
        Bytes::from(encode(event).parts().concat())
    }

    fn event(kind: EventKind, body: &'static [u8]) -> SessionEvent {
        SessionEvent {
            session: SessionId::parse("s-1").expect("valid"),
            request: RequestId::generate(),
            seq: 7,
            at: Timestamp::from_micros(-5),
            kind,
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn every_kind_comes_back_as_it_was() {
        let deltas = vec![
            Delta::Start { id: None, model: Some("m".into()) },
            Delta::Text { index: 0, text: "NUL \0, ESC \u{1b}[1m, 🚀".into() },
            Delta::Usage(Usage { output: Some(u64::MAX), ..Usage::default() }),
            Delta::Stop { reason: StopReason::EndTurn, raw: "stop".into() },
            Delta::End,
        ];
        let kinds = [
            EventKind::StreamDelta { frames: 3, first_us: 1, last_us: u64::MAX, parts: deltas },
            EventKind::Response(Box::new(ResponseRead { ended: true, ..ResponseRead::default() })),
            EventKind::Stats(Stats { request_bytes: u64::MAX, ..Stats::default() }),
            EventKind::Gap { lost_frames: 1, lost_bytes: 2, cause: GapCause::TooLarge },
            EventKind::Error { error: FailureKind::Timeout, message: "late".into() },
            EventKind::Completed { ending: Ending::Cancelled, status: None, error: None, message: None },
        ];
        for kind in kinds {
            let event = event(kind, b"\xff\x00{raw");
            assert_eq!(decode(&payload(&event)).expect("decodes"), event);
        }
    }

    #[test]
    fn a_damaged_payload_is_an_error_at_every_cut_and_never_a_panic() {
        let whole = payload(&event(EventKind::Stats(Stats::default()), b""));
        for length in 0..whole.len() {
            assert!(decode(&whole.slice(..length)).is_err(), "{length} bytes were taken for an event");
        }
        for index in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[index] ^= 0x80;
            let _ = decode(&Bytes::from(flipped));
        }
        let mut newer = whole.to_vec();
        newer[0] = 2;
        assert!(matches!(decode(&Bytes::from(newer)), Err(DecodeError::Format { format: 2 })));
    }
}
