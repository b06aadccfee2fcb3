use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use lunaroute_core::{Dialect, Ending, Exchange, Operation, SessionHint, Timestamp};

use super::*;
use crate::event::AttemptStarted;
use crate::recorder::note::RequestStart;

const BODY: Bytes = Bytes::from_static(&[b'q'; 10_000]);

fn start(id: RequestId) -> RequestStart {
    RequestStart {
        id,
        received_at: Timestamp::from_micros(0),
        exchange: Exchange {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            headers: Arc::new(HeaderMap::new()),
            addressed: None,
        },
        hint: SessionHint { client: "c".into(), external_id: Some("x".into()), source: "header:x".into() },
        listener: "127.0.0.1:0".into(),
        method: Method::POST,
        path: "/".into(),
        client_ip: None,
        body: BODY,
        overhead_pre_us: 0,
    }
}

fn session() -> SessionId {
    SessionId::parse("s-1").expect("valid")
}

fn event(request: RequestId, seq: u32, kind: EventKind, body: Bytes) -> SessionEvent {
    let at = Timestamp::from_micros(0);
    SessionEvent { session: session(), request, seq, at, kind, body: body.into() }
}

fn started(request: RequestId) -> SessionEvent {
    let started = Started {
        client: "c".into(),
        external_id: None,
        session_source: "header:x".into(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        listener: "127.0.0.1:0".into(),
        method: "POST".into(),
        path: "/".into(),
        headers: Vec::new(),
        client_ip: None,
        user_agent: None,
        overhead_pre_us: 0,
        repeats: None,
    };
    event(request, 0, EventKind::Started(Arc::new(started)), BODY)
}

fn seqs(run: &Run) -> Vec<u32> {
    run.events.iter().map(|event| event.seq).collect()
}

fn completed(request: RequestId, seq: u32) -> SessionEvent {
    let kind = EventKind::Completed { ending: Ending::Completed, status: None, error: None, message: None };
    event(request, seq, kind, Bytes::new())
}

#[test]
fn a_body_that_an_entry_cannot_take_is_a_gap_and_nothing_leans_on_it() {
    let request = RequestId::generate();
    let (mut batch, mut bodies) = (Batch::default(), Bodies::default());
    let start = start(request);
    let conversation = Bodies::conversation(&start).expect("is long enough");
    bodies.keep(conversation, request, session(), (BODY, None));
    batch.push(started(request));
    let arguments = "a".repeat(MAX_PAYLOAD_BYTES + 1);
    let call = EventKind::ToolCall { id: "i".into(), name: "n".into(), arguments };
    batch.push(event(request, 1, call, Bytes::new()));
    batch.push(completed(request, 2));
    let place = Position { segment: 1, offset: 0 };
    for _ in 0..2 {
        // The second time is that of a new segment, or of another try.
        let entries = batch.encode(place, (&mut bodies, &mut Compressor::default()));
        assert!(entries.iter().all(|entry| entry.bytes() < 1_000));
        let events: Vec<&SessionEvent> = batch.runs.iter().flat_map(|run| &run.events).collect();
        let kinds: Vec<_> = events
            .iter()
            .map(|event| match event.kind {
                EventKind::Gap { lost_bytes, cause, .. } => Some((lost_bytes, cause)),
                _ => None,
            })
            .collect();
        let of_call = (MAX_PAYLOAD_BYTES as u64 + 1, GapCause::TooLarge);
        assert_eq!(kinds, [None, Some((10_000, GapCause::TooLarge)), Some(of_call), None]);
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(events[0].body.is_empty());
        assert!(batch.bared.contains(&request), "who goes on with the request has to know");
    }
    let mut next = started(RequestId::generate());
    if let EventKind::Started(started) = &mut next.kind {
        Arc::make_mut(started).repeats =
            Some(crate::event::Repeats { of: request, prefix: 9_000, suffix: 0 });
    }
    assert!(bodies.lean(&next, 1).is_none(), "it would lean on an empty body");
}

#[test]
fn what_was_held_back_follows_the_gap_of_its_request() {
    let (request, other) = (RequestId::generate(), RequestId::generate());
    let mut batch = Batch::default();
    batch.push(started(request));
    batch.push(completed(other, 0));
    let attempt = AttemptStarted {
        ordinal: 0,
        provider: "p".into(),
        model: None,
        reason: lunaroute_core::AttemptReason::Primary,
    };
    batch.push(event(request, 1, EventKind::AttemptStarted(Arc::new(attempt)), Bytes::new()));
    let past = Instant::now().checked_sub(Duration::from_secs(60)).expect("the machine runs for longer");
    let mut held = batch.hold_back(past);
    assert_eq!(held.iter().map(seqs).collect::<Vec<_>>(), [[1]]);
    batch.reduce();
    assert_eq!(seqs(&batch.runs[0]), [0, 1], "the start and the gap of its body");
    batch.move_on(&mut held);
    assert_eq!(held.iter().map(seqs).collect::<Vec<_>>(), [[2]]);
    batch.clear(held);
    assert_eq!(batch.runs.iter().map(seqs).collect::<Vec<_>>(), [[2]], "once, not twice");
}
