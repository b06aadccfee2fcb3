//! The lines that `docs/RECORDING.md` shows are those that are written.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Delta, Dialect, Ending, FailureKind, MessageSpan, Operation, RequestId,
    Role, SessionId, StopReason, Timestamp, Usage,
};
use lunaroute_session::event::{
    AttemptStarted, EventKind, GapCause, RequestRead, ResponseRead, SessionEvent, Started, Stats,
};
use lunaroute_session::jsonl::{self, JsonlConfig, JsonlWriter};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use lunaroute_storage::journal::Position;

const PAGE: &str = include_str!("../../../../docs/RECORDING.md");

const QUESTION: &str = "{\"model\":\"gpt-5\",\"messages\":[{\"role\":\"user\",\"content\":\"What is in the file notes.txt, and what is to be done about it before Friday? Say it in one sentence, without the history of how it came to be, and name everybody who has to do it, and by when.\"}]";

fn started(length: usize) -> EventKind {
    let headers = [("content-type", "application/json".to_owned()), ("content-length", length.to_string())];
    EventKind::Started(Arc::new(Started {
        client: "openai-sdk".to_owned(),
        external_id: None,
        session_source: "fingerprint".to_owned(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        listener: "127.0.0.1:8080".to_owned(),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        client_ip: Some("127.0.0.1".to_owned()),
        user_agent: None,
        overhead_pre_us: 50,
        repeats: None,
    }))
}

/// A request whose answer asks for a tool, and one whose answer breaks off: one event of every kind at least.
fn story() -> Vec<(u8, i64, EventKind, String)> {
    let none = String::new;
    let usage = Usage { input: Some(41), output: Some(9), ..Usage::default() };
    let first = format!("{QUESTION},\"tools\":[]}}");
    let second = format!("{QUESTION},\"temperature\":0,\"tools\":[]}}");
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    let read = RequestRead {
        model: Some("gpt-5".to_owned()),
        stream: true,
        messages: vec![MessageSpan { role: Role::User, range: 29..QUESTION.len() - 1 }],
        preview: Some("What is in the file notes.txt".to_owned()),
        ..RequestRead::default()
    };
    let attempt = AttemptStarted {
        ordinal: 0,
        provider: "openai".to_owned(),
        model: Some("gpt-5".to_owned()),
        reason: AttemptReason::Primary,
    };
    let outcome = AttemptOutcome {
        status: Some(200),
        latency_us: 310_700,
        failure: None,
        message: None,
        retry_after_ms: None,
    };
    let parts = vec![
        Delta::Start { id: Some("chatcmpl-7".to_owned()), model: Some("gpt-5".to_owned()) },
        Delta::ToolCallStart { index: 0, id: "call_1".to_owned(), name: "read".to_owned() },
        Delta::ToolCallArguments { index: 0, fragment: "{}".to_owned() },
        Delta::Usage(usage),
        Delta::Stop { reason: StopReason::ToolUse, raw: "tool_calls".to_owned() },
        Delta::End,
    ];
    let call =
        EventKind::ToolCall { id: "call_1".to_owned(), name: "read".to_owned(), arguments: "{}".to_owned() };
    let response = ResponseRead {
        provider_response_id: Some("chatcmpl-7".to_owned()),
        model: Some("gpt-5".to_owned()),
        usage,
        stop: Some(StopReason::ToolUse),
        stop_raw: Some("tool_calls".to_owned()),
        tool_calls: 1,
        ended: true,
        usage_estimated: false,
        ..ResponseRead::default()
    };
    let stats = Stats {
        request_bytes: first.len() as u64,
        response_bytes: 1_405,
        response_blake3: "5bf22fe3".to_owned(),
        frames: 5,
        ttft_us: Some(312_050),
        total_us: 620_010,
        overhead_pre_us: 310,
        overhead_post_us: 12,
        ..Stats::default()
    };
    let message = || "the provider closed the connection in the middle of its answer".to_owned();
    let failed = EventKind::Error { error: FailureKind::Protocol, message: message() };
    let completed = |ending, error: Option<FailureKind>| EventKind::Completed {
        ending,
        status: Some(200),
        error,
        message: error.map(|_| message()),
    };
    let delta = EventKind::StreamDelta { frames: 5, first_us: 312_050, last_us: 619_990, parts };
    let gap = EventKind::Gap { lost_frames: 3, lost_bytes: 921, cause: GapCause::QueueFull };
    vec![
        (1, 0, started(first.len()), first),
        (1, 120, EventKind::Request(Arc::new(read)), none()),
        (1, 310, EventKind::AttemptStarted(attempt.into()), none()),
        (1, 311_010, EventKind::AttemptFinished { ordinal: 0, outcome }, none()),
        (1, 311_060, EventKind::ResponseStarted { status: 200, headers: headers.into() }, none()),
        (1, 620_000, delta, "data: {\"id\":\"chatcmpl-7\"}\n\ndata: [DONE]\n\n".to_owned()),
        (1, 620_001, call, none()),
        (1, 620_001, EventKind::Response(Arc::new(response)), none()),
        (1, 620_002, EventKind::Stats(stats), none()),
        (1, 620_003, completed(Ending::Completed, None), none()),
        (2, 4_000_000, started(second.len()), second),
        (2, 4_310_000, gap, none()),
        (2, 4_310_100, failed, none()),
        (2, 4_310_200, completed(Ending::UpstreamError, Some(FailureKind::Protocol)), none()),
    ]
}

#[test]
fn the_page_shows_the_lines_that_are_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut seq = [0_u32; 3];
    let mut batch = Vec::new();
    for (request, at, kind, body) in story() {
        let seq = &mut seq[usize::from(request)];
        let place = |offset| Position { segment: 1, offset };
        // What comes in one go is one frame of the journal, whose events follow each other.
        let frame = match (request, *seq) {
            (2, _) => 3_417,
            (_, 0..3) => 53,
            _ => 864,
        };
        let position = place(frame + u64::from(*seq));
        let event = SessionEvent {
            session: SessionId::parse("01a1fcf6-8152-7ded-9784-246a5350b760").expect("valid"),
            request: RequestId::from_bytes(std::array::from_fn(
                |index| if index < 15 { 0x1a } else { request },
            )),
            seq: *seq,
            at: Timestamp::from_micros(1_795_176_000_000_000 + at),
            kind,
            body: Bytes::from(body).into(),
        };
        *seq += 1;
        batch.push(JournaledEvent { position, next: position, event: event.into() });
    }
    let mut writer = JsonlWriter::open(JsonlConfig::new(directory.path())).expect("opens");
    writer.write(&batch).expect("written");
    writer.shutdown(Instant::now());
    let path = directory.path().join("2026-11-20/01a1fcf6-8152-7ded-9784-246a5350b760.jsonl");
    let written = fs::read_to_string(path).expect("text");
    let shown =
        PAGE.split("```jsonl\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert!(shown == written, "the page is to show these lines:\n{written}");
    let back: Vec<SessionEvent> = jsonl::read(directory.path()).collect::<Result<_, _>>().expect("readable");
    assert!(back.iter().eq(batch.iter().map(|item| &*item.event)), "and they are read back");
}
