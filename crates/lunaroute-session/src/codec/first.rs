//! The first form of an event in the journal, which is read and not written any more.
//!
//! A payload is: format (1 byte), request (16), seq (4), time in microseconds (8), length of the session id (1), session
//! id, length of the kind (4), kind as JSON, and the raw body up to the end. Numbers are little-endian.

use bytes::Bytes;
use lunaroute_core::{SessionId, Timestamp};

use super::DecodeError;
use super::wire::In;
use crate::event::SessionEvent;

/// Reads an event, `payload` being what follows the format. Its body shares the memory of the payload.
pub(super) fn decode(payload: &Bytes) -> Result<SessionEvent, DecodeError> {
    let mut input = In::new(payload);
    let request = input.request("request id")?;
    let seq = u32::from_le_bytes(input.array("seq")?);
    let at = Timestamp::from_micros(i64::from_le_bytes(input.array("time")?));
    let session_bytes = input.byte("session id")?;
    let session = input.take(usize::from(session_bytes), "session id")?;
    let session = SessionId::parse(&String::from_utf8_lossy(session))?;
    let kind_bytes = u32::from_le_bytes(input.array("kind")?);
    let kind = serde_json::from_slice(input.take(kind_bytes as usize, "kind")?)?;
    let body = payload.slice(input.at()..);
    Ok(SessionEvent { session, request, seq, at, kind, body: body.into() })
}
