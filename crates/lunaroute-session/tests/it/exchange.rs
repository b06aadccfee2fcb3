//! Requests as the recorder tells them, event by event: what writers are fed with in tests and benchmarks.

use std::sync::Arc;

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Delta, Dialect, Ending, MessageSpan, Operation, RequestId, Role,
    SessionId, StopReason, Timestamp, Usage,
};
use lunaroute_session::event::{
    AttemptStarted, EventKind, Repeats, RequestRead, ResponseRead, SessionEvent, Started, Stats,
};
use lunaroute_session::writer::JournaledEvent;
use lunaroute_storage::journal::Position;

/// 2026-11-20T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_176_000_000_000;

/// Events that the recorder makes of one plain answer.
pub(crate) const EVENTS: usize = 9;

/// A request body of `bytes` bytes that differs from others of its length in one number only.
pub(crate) fn body(bytes: usize, number: u64) -> Bytes {
    let head = format!(
        "{{\"model\":\"gpt-5-mini\",\"messages\":[{{\"role\":\"system\",\"content\":\"You answer in few words.\"}},{{\"role\":\"user\",\"content\":\"NONCE-{number:016}\"}}"
    );
    let tail = "],\"temperature\":0.2}";
    let turn = ",{\"role\":\"assistant\",\"content\":\"the walk goes on past the gate and every step of it is written down before it is forgotten\\n\"}";
    let room = bytes.saturating_sub(head.len() + tail.len());
    let history = turn.repeat(room / turn.len());
    Bytes::from(format!("{head}{history}{tail}{}", " ".repeat(room % turn.len())))
}

/// The events of a request with this body, answered at once and whole.
pub(crate) fn events(session: &str, number: u64, body: Bytes, repeats: Option<Repeats>) -> Vec<SessionEvent> {
    let answer = format!(
        "{{\"id\":\"chatcmpl-{number:024}\",\"object\":\"chat.completion\",\"created\":1795222800,\"model\":\"gpt-5-mini\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{TEXT}\",\"refusal\":null,\"annotations\":[]}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":41,\"completion_tokens\":24,\"total_tokens\":65,\"prompt_tokens_details\":{{\"cached_tokens\":0,\"cache_write_tokens\":0,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_simulated\"}}"
    );
    let id = Some(format!("chatcmpl-{number:024}"));
    let model = Some("gpt-5-mini".to_owned());
    let usage = Usage { input: Some(41), cache_read: Some(0), output: Some(24), ..Usage::default() };
    let parts = vec![
        Delta::Start { id: id.clone(), model: model.clone() },
        Delta::Text { index: 0, text: TEXT.to_owned() },
        Delta::Stop { reason: StopReason::EndTurn, raw: "stop".to_owned() },
        Delta::Usage(usage),
        Delta::End,
    ];
    let outcome = AttemptOutcome {
        status: Some(200),
        latency_us: 700,
        failure: None,
        message: None,
        retry_after_ms: None,
    };
    let stats = Stats {
        request_bytes: body.len() as u64,
        response_bytes: answer.len() as u64,
        response_blake3: blake3::hash(answer.as_bytes()).to_hex().to_string(),
        frames: 1,
        ttft_us: Some(3_690),
        total_us: 3_691,
        overhead_pre_us: 2_803,
        overhead_post_us: 1,
        ..Stats::default()
    };
    let read = RequestRead {
        model: model.clone(),
        messages: vec![
            MessageSpan { role: Role::System, range: 35..89 },
            MessageSpan { role: Role::User, range: 90..144 },
        ],
        preview: Some(format!("NONCE-{number:016}")),
        ..RequestRead::default()
    };
    let response = ResponseRead {
        provider_response_id: id,
        model: model.clone(),
        text_preview: Some(TEXT.to_owned()),
        usage,
        stop: Some(StopReason::EndTurn),
        stop_raw: Some("stop".to_owned()),
        ended: true,
        usage_estimated: false,
        ..ResponseRead::default()
    };
    let attempt =
        AttemptStarted { ordinal: 0, provider: "openai".to_owned(), model, reason: AttemptReason::Primary };
    let headers = headers(&[
        ("content-type", "application/json"),
        ("content-length", "717"),
        ("x-request-id", &format!("req_sim_{number:08}")),
        ("date", "Sat, 21 Nov 2026 07:16:15 GMT"),
    ]);
    let delta = EventKind::StreamDelta { frames: 1, first_us: 3_690, last_us: 3_690, parts };
    let ending =
        EventKind::Completed { ending: Ending::Completed, status: Some(200), error: None, message: None };
    let kinds: [(i64, EventKind, Bytes); EVENTS] = [
        (0, started(repeats), body),
        (50, EventKind::Request(Arc::new(read)), Bytes::new()),
        (2_803, EventKind::AttemptStarted(attempt.into()), Bytes::new()),
        (3_510, EventKind::AttemptFinished { ordinal: 0, outcome }, Bytes::new()),
        (3_670, EventKind::ResponseStarted { status: 200, headers: headers.into() }, Bytes::new()),
        (3_690, delta, Bytes::from(answer)),
        (3_691, EventKind::Response(Arc::new(response)), Bytes::new()),
        (3_691, EventKind::Stats(stats), Bytes::new()),
        (3_691, ending, Bytes::new()),
    ];
    let start = NOON + i64::try_from(number).expect("small") * 100;
    let session = SessionId::parse(session).expect("valid");
    let of_kind = |(seq, (after, kind, body)): (usize, (i64, EventKind, Bytes))| SessionEvent {
        session: session.clone(),
        request: request(number),
        seq: u32::try_from(seq).expect("small"),
        at: Timestamp::from_micros(start + after),
        kind,
        body: body.into(),
    };
    kinds.into_iter().enumerate().map(of_kind).collect()
}

const TEXT: &str = "water those boats that quiet of never stars asks to in count from stone shore that to boats path count to measured who patient";

/// The id of the request with this number.
pub(crate) fn request(number: u64) -> RequestId {
    let mut bytes = [0x77; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    RequestId::from_bytes(bytes)
}

fn started(repeats: Option<Repeats>) -> EventKind {
    EventKind::Started(Arc::new(Started {
        client: "unknown".to_owned(),
        external_id: None,
        session_source: "fingerprint".to_owned(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        listener: "127.0.0.1:8080".to_owned(),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: headers(&[
            ("host", "127.0.0.1:8080"),
            ("content-type", "application/json"),
            ("authorization", "[redacted]"),
            ("user-agent", "lunaroute-bench"),
            ("x-sim-script", "text=24"),
            ("content-length", "1024"),
        ]),
        client_ip: Some("127.0.0.1".to_owned()),
        user_agent: Some("lunaroute-bench".to_owned()),
        overhead_pre_us: 50,
        repeats,
    }))
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Gives events their places in a journal from `from` on: each run of one request is one frame, and events of one frame
/// follow each other.
pub(crate) fn journaled(from: u64, events: Vec<SessionEvent>) -> Vec<JournaledEvent> {
    let place = |offset| Position { segment: 1, offset };
    let mut offset = from;
    let mut last = None;
    let mut journaled = Vec::with_capacity(events.len());
    for event in events {
        if last.is_some_and(|last| last != event.request) {
            offset += 1_000;
        }
        last = Some(event.request);
        journaled.push(JournaledEvent {
            position: place(offset),
            next: place(offset + 1),
            event: event.into(),
        });
        offset += 1;
    }
    journaled
}
