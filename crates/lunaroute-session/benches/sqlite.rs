//! What the SQLite projection costs: batches as its projector hands them over, into a database on the disk.
//!
//! Beside the times, `written` tells how many bytes SQLite handed to the system per request, log and database together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Delta, Dialect, Ending, MessageSpan, Operation, RequestId, Role,
    SessionId, StopReason, Timestamp, Usage,
};
use lunaroute_session::event::{
    AttemptStarted, EventKind, Repeats, RequestRead, ResponseRead, SessionEvent, Started, Stats,
};
use lunaroute_session::sqlite::{SqliteConfig, SqliteWriter};
use lunaroute_session::writer::{JournaledEvent, SessionWriter};
use lunaroute_storage::journal::Position;

/// Events in a batch.
const BATCH: usize = 1_024;

fn main() {
    figures("small request", &small_requests());
    figures("agent turn that names what it repeats", &agent_turns(true));
    figures("agent turn whose repetition must be found", &agent_turns(false));
    divan::main();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn small(bencher: divan::Bencher<'_, '_>) {
    measure(bencher, &small_requests());
}

#[divan::bench(sample_count = 5, sample_size = 1, args = [true, false])]
fn agent(bencher: divan::Bencher<'_, '_>, names_repeats: bool) {
    measure(bencher, &agent_turns(names_repeats));
}

fn measure(bencher: divan::Bencher<'_, '_>, requests: &[Request]) {
    let events = journal(requests);
    bencher
        .counter(divan::counter::ItemsCount::new(requests.len()))
        .with_inputs(|| tempfile::tempdir().expect("a temporary directory"))
        .bench_local_values(|directory| write(&directory, &events));
}

fn figures(name: &str, requests: &[Request]) {
    let events = journal(requests);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (bytes, cpu, begun) = (written(), processor_time(), Instant::now());
    drop(write(&directory, &events));
    let took = begun.elapsed();
    let per_request = |sum: u64| sum / requests.len() as u64;
    let size = std::fs::metadata(directory.path().join("record.sqlite")).map_or(0, |file| file.len());
    println!(
        "{name}: {} us of processor time, {} bytes written and {} bytes of database per request; {} events per second \
         of processor time, {:?} in all",
        per_request(processor_time() - cpu) / 1_000,
        per_request(written() - bytes),
        per_request(size),
        events.len() as u64 * 1_000_000_000 / (processor_time() - cpu).max(1),
        took
    );
}

/// Nanoseconds that this thread has had of a processor; 0 where the system does not tell.
fn processor_time() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Writes everything and folds the log into the database, as at a shutdown.
fn write(directory: &tempfile::TempDir, events: &[JournaledEvent]) -> SqliteWriter {
    let path = directory.path().join("record.sqlite");
    let mut writer = SqliteWriter::open(SqliteConfig::new(path)).expect("opens");
    for batch in events.chunks(BATCH) {
        writer.write(batch).expect("writes");
    }
    writer.shutdown(Instant::now() + Duration::from_secs(60));
    writer
}

/// Bytes that this process has handed to the system so far; 0 where the system does not count them.
fn written() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = counts.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

struct Request {
    number: u64,
    session: String,
    body: Bytes,
    messages: Vec<MessageSpan>,
    repeats: Option<Repeats>,
}

/// 1 KB of chat each; a hundred sessions take turns.
fn small_requests() -> Vec<Request> {
    (0..8_000)
        .map(|number| {
            let (body, messages) = chat(&[noise(number, 900)], "");
            let session = format!("session-{}", number % 100);
            Request { number, session, body, messages, repeats: None }
        })
        .collect()
}

/// Sessions of ten turns each whose history grows to 157 KB; all have the same tools.
fn agent_turns(names_repeats: bool) -> Vec<Request> {
    const SESSIONS: u64 = 40;
    const TURNS: u64 = 10;
    let tools = noise(7, 90_000);
    let mut earlier = HashMap::<String, (u64, Bytes)>::new();
    let mut requests = Vec::new();
    for number in 0..SESSIONS * TURNS {
        let (session, turn) = (number % SESSIONS, number / SESSIONS);
        let said: Vec<String> =
            (0..=80 + 2 * turn).map(|place| noise(session * 1_000 + place, 600)).collect();
        let (body, messages) = chat(&said, &tools);
        let session = format!("session-{session}");
        let repeats = earlier.get(&session).filter(|_| names_repeats).map(|(of, earlier)| {
            let prefix = body.iter().zip(earlier).take_while(|(a, b)| a == b).count();
            let rest = body.len().min(earlier.len()) - prefix;
            let pairs = body.iter().rev().zip(earlier.iter().rev()).take(rest);
            let suffix = pairs.take_while(|(a, b)| a == b).count();
            Repeats { of: request_id(*of), prefix: prefix as u64, suffix: suffix as u64 }
        });
        earlier.insert(session.clone(), (number, body.clone()));
        requests.push(Request { number, session, body, messages, repeats });
    }
    requests
}

/// A body of these messages, and where they stand in it.
fn chat(said: &[String], tools: &str) -> (Bytes, Vec<MessageSpan>) {
    let mut body = String::from("{\"model\":\"model-1\",\"messages\":[");
    let mut messages = Vec::new();
    for text in said {
        if !messages.is_empty() {
            body.push(',');
        }
        let start = body.len();
        body.push_str("{\"role\":\"user\",\"content\":\"");
        body.push_str(text);
        body.push_str("\"}");
        messages.push(MessageSpan { role: Role::User, range: start..body.len() });
    }
    body.push_str("],\"tools\":\"");
    body.push_str(tools);
    body.push_str("\",\"stream\":false}");
    (Bytes::from(body), messages)
}

fn answer(number: u64) -> Bytes {
    let text = noise(number ^ 0xff, 200);
    Bytes::from(format!(
        "{{\"id\":\"chatcmpl-{number}\",\"object\":\"chat.completion\",\"created\":1795219200,\"model\":\"model-1\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":200,\"completion_tokens\":40,\"total_tokens\":240}}}}"
    ))
}

/// Words that are the same for the same seed and that compress about as text does.
fn noise(seed: u64, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "the ",
        "of ",
        "function ",
        "returns ",
        "a ",
        "value ",
        "when ",
        "it ",
        "is ",
        "called ",
        "with ",
        "no ",
        "argument ",
        "error ",
        "file ",
        "line ",
    ];
    let mut text = String::with_capacity(bytes + 32);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state % 16) as usize]);
        if state & 0x700 == 0 {
            text.push_str(&format!("{:x} ", state >> 40));
        }
    }
    text
}

fn request_id(number: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[0] = 1;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    RequestId::from_bytes(bytes)
}

fn journal(requests: &[Request]) -> Vec<JournaledEvent> {
    let at = |index: u64| Position { segment: 1, offset: index * 100 };
    (0_u64..)
        .zip(requests.iter().flat_map(events))
        .map(|(index, event)| JournaledEvent {
            position: at(index),
            next: at(index + 1),
            event: event.into(),
        })
        .collect()
}

/// What the recorder tells of a request that goes well.
fn events(request: &Request) -> Vec<SessionEvent> {
    let answer = answer(request.number);
    let none = Bytes::new;
    let kinds = [
        (started(request), request.body.clone()),
        (read(request), none()),
        (
            EventKind::AttemptStarted(Arc::new(AttemptStarted {
                ordinal: 0,
                provider: "openai".to_owned(),
                model: Some("model-1".to_owned()),
                reason: AttemptReason::Primary,
            })),
            none(),
        ),
        (
            EventKind::AttemptFinished {
                ordinal: 0,
                outcome: AttemptOutcome {
                    status: Some(200),
                    latency_us: 1_200,
                    failure: None,
                    message: None,
                    retry_after_ms: None,
                },
            },
            none(),
        ),
        (EventKind::ResponseStarted { status: 200, headers: headers(RESPONSE_HEADERS).into() }, none()),
        (
            EventKind::StreamDelta {
                frames: 1,
                first_us: 1_500,
                last_us: 1_500,
                parts: vec![Delta::Text { index: 0, text: noise(request.number ^ 0xff, 200) }, Delta::End],
            },
            answer.clone(),
        ),
        (EventKind::Response(Arc::new(response())), none()),
        (EventKind::Stats(stats(request, &answer)), none()),
        (
            EventKind::Completed { ending: Ending::Completed, status: Some(200), error: None, message: None },
            none(),
        ),
    ];
    let session = SessionId::parse(&request.session).expect("a session id");
    let at = |seq: u32| {
        Timestamp::from_micros(1_795_219_200_000_000 + request.number.cast_signed() * 1_000 + i64::from(seq))
    };
    (0..)
        .zip(kinds)
        .map(|(seq, (kind, body))| SessionEvent {
            session: session.clone(),
            request: request_id(request.number),
            seq,
            at: at(seq),
            kind,
            body: body.into(),
        })
        .collect()
}

const REQUEST_HEADERS: &[(&str, &str)] = &[
    ("host", "127.0.0.1:8081"),
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("authorization", "***"),
    ("user-agent", "OpenAI/Python 1.99.1"),
    ("x-stainless-lang", "python"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-runtime", "CPython"),
    ("content-length", "1034"),
];

const RESPONSE_HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("date", "Sat, 21 Nov 2026 00:00:00 GMT"),
    ("openai-processing-ms", "212"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("content-length", "480"),
];

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn started(request: &Request) -> EventKind {
    EventKind::Started(Arc::new(Started {
        client: "openai-sdk".to_owned(),
        external_id: Some(request.session.clone()),
        session_source: "header:x-lunaroute-session-id".to_owned(),
        dialect: Dialect::OpenaiChat,
        operation: Operation::Chat,
        listener: "127.0.0.1:8081".to_owned(),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: headers(REQUEST_HEADERS),
        client_ip: Some("127.0.0.1".to_owned()),
        user_agent: Some("OpenAI/Python 1.99.1".to_owned()),
        overhead_pre_us: 17,
        repeats: request.repeats,
    }))
}

fn read(request: &Request) -> EventKind {
    EventKind::Request(Arc::new(RequestRead {
        model: Some("model-1".to_owned()),
        messages: request.messages.clone(),
        preview: Some(noise(request.number, 200)),
        ..RequestRead::default()
    }))
}

fn response() -> ResponseRead {
    ResponseRead {
        provider_response_id: Some("chatcmpl-1".to_owned()),
        model: Some("model-1-2026".to_owned()),
        text_preview: Some(noise(3, 200)),
        usage: Usage { input: Some(200), output: Some(40), ..Usage::default() },
        stop: Some(StopReason::EndTurn),
        stop_raw: Some("stop".to_owned()),
        ended: true,
        usage_estimated: false,
        ..ResponseRead::default()
    }
}

fn stats(request: &Request, answer: &[u8]) -> Stats {
    Stats {
        request_bytes: request.body.len() as u64,
        response_bytes: answer.len() as u64,
        response_blake3: blake3::hash(answer).to_hex().to_string(),
        frames: 1,
        ttft_us: Some(1_500),
        total_us: 2_000,
        overhead_pre_us: 18,
        ..Stats::default()
    }
}
