//! The codec of the journal.

use std::path::Path;

use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId, Timestamp};
use lunaroute_session::codec::{self, EventReader};
use lunaroute_session::event::{EventKind, SessionEvent};
use lunaroute_storage::journal::{FRAME_HEADER_BYTES, Frame, Position};
use serde_json::json;

use super::{Shape, Target, in_proportion, same};

/// Whatever stands in an entry, it is read or refused; what is read is written and read again as it was.
pub(super) fn target() -> Target {
    Target::new("journal", Shape::Bytes, entries(), |input, _| {
        let Ok(events) = read(input) else { return Ok(()) };
        in_proportion(input.len(), events.iter().map(|event| event.body.len()).sum())?;
        if events.is_empty() {
            return Ok(());
        }
        for written in [codec::encode(&events), codec::encode_compressed(&events)] {
            let again = read(&written.parts().concat())
                .map_err(|error| format!("what was written just now cannot be read: {error}"))?;
            same("events are read as others than were written", &events, &again)?;
        }
        Ok(())
    })
}

/// No journal is in this folder: a body that leans on an earlier one never finds it.
const NOWHERE: &str = "/nonexistent/journal";

fn read(payload: &[u8]) -> Result<Vec<SessionEvent>, codec::Unreadable> {
    let position = Position { segment: 1, offset: 64 };
    let frame = Frame {
        position,
        next: Position { offset: 64 + (FRAME_HEADER_BYTES + payload.len()) as u64, ..position },
        sequence: 1,
        kind: codec::EVENT,
        payload: Bytes::copy_from_slice(payload),
    };
    let events = EventReader::new(Path::new(NOWHERE)).events(&frame)?;
    Ok(events.into_iter().map(|journaled| (*journaled.event).clone()).collect())
}

/// Entries with a story of one request in them.
fn entries() -> Vec<Vec<u8>> {
    let kinds = [
        json!({"kind": "started", "client": "codex", "external_id": "a", "session_source": "header:session-id",
            "dialect": "openai_responses", "operation": "responses", "listener": "127.0.0.1:1", "method": "POST",
            "path": "/v1/responses", "headers": [["accept", "*/*"]], "client_ip": null, "user_agent": "x",
            "overhead_pre_us": 7}),
        json!({"kind": "request", "model": "m", "stream": true, "content_encoding": null,
            "messages": [{"role": "user", "range": {"start": 1, "end": 9}}],
            "tool_results": [{"call_id": "c", "is_error": false, "range": {"start": 2, "end": 3}}],
            "preview": "hi", "problem": null}),
        json!({"kind": "response_started", "status": 200, "headers": [["content-type", "text/event-stream"]]}),
        json!({"kind": "tool_call", "id": "c", "name": "read", "arguments": "{}"}),
        json!({"kind": "provider_delta", "frames": 3}),
        json!({"kind": "error", "error": "timeout", "message": "late"}),
        json!({"kind": "gap", "lost_frames": 1, "lost_bytes": 400, "cause": "disk_full"}),
        json!({"kind": "completed", "ending": "completed", "status": 200, "error": null, "message": null}),
    ];
    let event = |(seq, kind): (u32, serde_json::Value)| SessionEvent {
        session: SessionId::parse("0190d3a0-0000-7000-8000-000000000001").expect("a session id"),
        request: RequestId::from_bytes([7; 16]),
        seq,
        at: Timestamp::from_micros(1_700_000_000_000_000 + i64::from(seq) * 900),
        kind: serde_json::from_value::<EventKind>(kind).expect("a kind as the journal's first form has it"),
        body: Bytes::from_static(if seq.is_multiple_of(2) { b"{\"model\":\"m\"}" } else { b"" }).into(),
    };
    let story: Vec<SessionEvent> = (0..).zip(kinds).map(event).collect();
    let runs = [&story[..], &story[..1], &story[1..3], &story[3..]];
    let forms = [codec::encode, codec::encode_compressed];
    forms.iter().flat_map(|form| runs.map(|run| form(run).parts().concat())).collect()
}
