use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Citation, Delta, Dialect, Ending, FailureKind, MessageSpan, Operation,
    RequestId, Role, StopReason, ToolResultSpan, Usage,
};

use super::*;
use crate::event::{
    AttemptStarted, GapCause, ProviderRequest, Repeats, RequestRead, ResponseRead, Started, Stats,
    TranslationWarning,
};

fn payload(run: &EncodedRun) -> Bytes {
    Bytes::from(run.parts().concat())
}

fn events_of(payload: &Bytes) -> Result<Vec<SessionEvent>, DecodeError> {
    decode(payload, &mut Expander::default())
        .map(|stored| stored.into_iter().map(|stored| stored.event).collect())
}

fn is_refused(payload: Bytes) -> bool {
    decode(&payload, &mut Expander::default()).is_err()
}

fn started(repeats: Option<Repeats>) -> EventKind {
    EventKind::Started(Arc::new(Started {
        client: "claude-code".into(),
        external_id: None,
        session_source: "fingerprint".into(),
        dialect: Dialect::OpenaiResponses,
        operation: Operation::Messages,
        listener: "127.0.0.1:8080".into(),
        method: "POST".into(),
        path: "/v1/messages?beta=true".into(),
        headers: vec![("a".into(), String::new()), ("b".into(), "\u{fffd}".into())],
        client_ip: Some("::1".into()),
        user_agent: Some(String::new()),
        overhead_pre_us: 15,
        repeats,
    }))
}

fn request() -> EventKind {
    EventKind::Request(Arc::new(RequestRead {
        model: Some("m".into()),
        stream: true,
        content_encoding: Some("gzip".into()),
        messages: vec![
            MessageSpan { role: Role::System, range: 10..2_000 },
            MessageSpan { role: Role::User, range: 2_001..2_001 },
            MessageSpan { role: Role::Tool, range: 5..7 },
        ],
        tool_results: vec![ToolResultSpan {
            call_id: "c".into(),
            is_error: Some(false),
            range: 0..usize::MAX / 2,
        }],
        preview: None,
        problem: Some("cut".into()),
    }))
}

fn provider_request() -> EventKind {
    EventKind::ProviderRequest(Box::new(ProviderRequest {
        ordinal: 1,
        dialect: Dialect::Anthropic,
        path: "/v1/messages".into(),
        headers: vec![("accept".into(), "text/event-stream".into())],
        messages: vec![MessageSpan { role: Role::User, range: 14..90 }],
        warnings: vec![TranslationWarning {
            path: "messages[0].content[1]".into(),
            what: "left out".into(),
            loses_meaning: true,
        }],
    }))
}

/// Every kind, with every kind of part, once empty and once full where it can be either.
fn kinds() -> Vec<EventKind> {
    let usage =
        Usage { input: Some(0), cache_write_1h: Some(u64::MAX), reasoning: Some(128), ..Usage::default() };
    let parts = vec![
        Delta::Start { id: None, model: Some("m".into()) },
        Delta::Text { index: 0, text: "NUL \0, ESC \u{1b}[1m, 🚀".into() },
        Delta::Reasoning { index: u32::MAX, text: String::new() },
        Delta::Refusal { text: "no".into() },
        Delta::ToolCallStart { index: 1, id: "i".into(), name: "n".into() },
        Delta::ToolCallArguments { index: 1, fragment: "{\"".into() },
        Delta::Usage(usage),
        Delta::Stop { reason: StopReason::EndTurn, raw: "stop".into() },
        Delta::Error { kind: "overloaded".into(), code: None, message: "busy".into(), retry_after_ms: None },
        Delta::Error {
            kind: "requests".into(),
            code: Some("rate_limit_exceeded".into()),
            message: "busy".into(),
            retry_after_ms: None,
        },
        Delta::Error {
            kind: "RESOURCE_EXHAUSTED".into(),
            code: Some("429".into()),
            message: "busy".into(),
            retry_after_ms: Some(34_000),
        },
        Delta::End,
        Delta::CustomCallStart { index: 2, id: "j".into(), name: "patch".into() },
        Delta::Seal {
            index: 3,
            seal: Seal {
                maker: Dialect::OpenaiResponses,
                provider: None,
                data: "gAAA".into(),
                id: Some("rs_1".into()),
            },
            is_redacted: true,
        },
        Delta::Seal {
            index: 0,
            seal: Seal { maker: Dialect::Anthropic, provider: None, data: "EuYB".into(), id: None },
            is_redacted: false,
        },
        Delta::Cite {
            index: 4,
            citation: Citation { url: "https://a".into(), title: None, range: Some((0, u64::MAX)) },
        },
        Delta::Cite {
            index: 4,
            citation: Citation { url: String::new(), title: Some("A".into()), range: None },
        },
    ];
    let outcome = AttemptOutcome {
        status: Some(529),
        latency_us: 7,
        failure: Some(FailureKind::Overloaded),
        message: Some("busy".into()),
        retry_after_ms: Some(u64::MAX),
    };
    let hash = blake3::hash(b"x").to_hex().to_string();
    vec![
        started(Some(Repeats { of: RequestId::generate(), prefix: 0, suffix: 1 })),
        started(None),
        request(),
        EventKind::Request(Arc::default()),
        EventKind::AttemptStarted(Arc::new(AttemptStarted {
            ordinal: 3,
            provider: "p".into(),
            model: None,
            reason: AttemptReason::Fallback,
        })),
        EventKind::AttemptFinished { ordinal: u32::MAX, outcome },
        EventKind::ResponseStarted { status: 200, headers: Arc::new([]) },
        EventKind::StreamDelta { frames: 3, first_us: 1, last_us: u64::MAX, parts },
        provider_request(),
        EventKind::ProviderResponse { status: 529, headers: vec![("retry-after".into(), "7".into())] },
        EventKind::ProviderDelta { frames: 9 },
        EventKind::ToolCall { id: String::new(), name: "n".into(), arguments: "{}".into() },
        EventKind::Response(Arc::new(ResponseRead { usage_estimated: true, ..ResponseRead::default() })),
        EventKind::Response(Arc::new(ResponseRead {
            usage,
            stop: Some(StopReason::ToolUse),
            ended: true,
            ..ResponseRead::default()
        })),
        EventKind::Stats(Stats {
            request_bytes: u64::MAX,
            response_blake3: hash,
            ttft_us: Some(3),
            ..Stats::default()
        }),
        EventKind::Stats(Stats { response_blake3: "NO HASH".into(), ..Stats::default() }),
        EventKind::Error { error: FailureKind::Timeout, message: "late".into() },
        EventKind::Gap { lost_frames: 1, lost_bytes: 2, cause: GapCause::TooLarge },
        EventKind::Completed { ending: Ending::Cancelled, status: Some(499), error: None, message: None },
    ]
}

/// One request in which every kind happens.
fn run() -> Vec<SessionEvent> {
    let (session, request) = (SessionId::parse("s-1").expect("valid"), RequestId::generate());
    (7..)
        .zip(kinds())
        .map(|(seq, kind)| SessionEvent {
            session: session.clone(),
            request,
            seq,
            at: Timestamp::from_micros(i64::from(seq) * 1_000 - 7_500),
            kind,
            body: if seq % 2 == 0 { Body::default() } else { Bytes::from_static(b"\xff\x00{raw").into() },
        })
        .collect()
}

#[test]
fn every_kind_comes_back_as_it_was_alone_and_in_company() {
    let run = run();
    let together = encode(&run);
    assert_eq!(events_of(&payload(&together)).expect("decodes"), run);
    let mut alone = 0;
    for event in &run {
        let one = encode(std::slice::from_ref(event));
        alone += one.bytes();
        assert_eq!(events_of(&payload(&one)).expect("decodes"), std::slice::from_ref(event));
    }
    println!("{} events: {} bytes together, {alone} bytes one by one", run.len(), together.bytes());
    assert!(together.bytes() < alone);
}

/// A start and an answer of a few words, as most requests of a chat have them.
fn short_exchange() -> Vec<SessionEvent> {
    let session = SessionId::parse("s-1").expect("valid");
    let request = RequestId::from_bytes([7; 16]);
    let asked =
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Which way?"}],"max_tokens":64}"#;
    let said = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1795222800,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"North.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let delta = EventKind::StreamDelta { frames: 1, first_us: 40, last_us: 40, parts: Vec::new() };
    let ended =
        EventKind::Completed { ending: Ending::Completed, status: Some(200), error: None, message: None };
    [(started(None), asked), (delta, said), (ended, "")]
        .into_iter()
        .zip(0..)
        .map(|((kind, body), seq)| SessionEvent {
            session: session.clone(),
            request,
            seq,
            at: Timestamp::from_micros(1_795_222_800_000_000 + i64::from(seq)),
            kind,
            body: Bytes::from_static(body.as_bytes()).into(),
        })
        .collect()
}

#[test]
fn the_dictionary_makes_short_entries_shorter() {
    let run = short_exchange();
    let plain = encode(&run);
    let alone = zstd::bulk::compress(&payload(&plain)[1..], -1).expect("compresses").len();
    let written = payload(&Compressor::default().compress(plain.clone(), run.len()));
    println!("{} bytes, compressed alone {alone}, against the dictionary {}", plain.bytes(), written.len());
    assert_eq!(written[0], COMPRESSED_BY_DICTIONARY);
    assert!(written.len() * 10 < alone * 7, "{} of {alone}", written.len());
    assert_eq!(events_of(&written).expect("decodes"), run);
}

/// What a journal of this format has on disk. When this fails the format means something else than it did: other words need
/// another number.
#[test]
fn what_was_written_against_the_dictionary_stays_readable() {
    let stored: Vec<u8> = STORED
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect();
    assert_eq!(stored[0], COMPRESSED_BY_DICTIONARY);
    assert_eq!(events_of(&Bytes::from(stored)).expect("decodes"), short_exchange());
}

/// [`short_exchange`] as it was written when the format was made.
const STORED: &str = "\
    04b10428b52ffd643101ad0500f4060703732d3103008090cb94dcafb006000b000b1008730e3830383004504f5354163f62\
    6574613d7472756502016100016203efbfbd043a3a31010f00005a020501282800ad02020b09656401c80100000057686963\
    68207761793f223a3634313232384e6f7274682e393231317d7d15001781886090bf6b0df2047b3c6d213087829cc1547083\
    bac1f03a044e0a3743406c10308466c026351c43845b20cbbcab9537ae13199b2d23d1236830ee3bc676e00a493c690e";

#[test]
fn a_short_run_is_compressed_and_comes_back_as_it_was() {
    let mut compressor = Compressor::default();
    let mut run = run();
    run[0].body = Bytes::from("{\"role\":\"user\",\"content\":\"the walk goes on\"}".repeat(20)).into();
    let plain = encode(&run);
    let compressed = compressor.compress(plain.clone(), run.len());
    println!("{} bytes are {} when compressed", plain.bytes(), compressed.bytes());
    assert!(compressed.bytes() * 2 < plain.bytes());
    let bytes = payload(&compressed);
    assert_eq!(events_of(&bytes).expect("decodes"), run);
    for length in 0..bytes.len() {
        assert!(is_refused(bytes.slice(..length)), "{length} bytes were taken for events");
    }
    for index in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[index] ^= 0x10;
        let _ = is_refused(Bytes::from(flipped));
    }
    let short = compressor.compress(encode(&run[3..4]), 1);
    assert_eq!(short.bytes(), encode(&run[3..4]).bytes(), "too short to gain anything");
    let mut noise = vec![0; 4_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    run[0].body = noise.into();
    let noisy = compressor.compress(encode(&run[..1]), 1);
    assert!(noisy.bytes() <= encode(&run[..1]).bytes(), "never longer");
    assert_eq!(events_of(&payload(&noisy)).expect("decodes"), run[..1]);
}

#[test]
fn what_was_compressed_without_the_dictionary_is_still_read() {
    let run = run();
    let plain = payload(&encode(&run));
    let mut stored = Out(vec![COMPRESSED_ALONE]);
    stored.length(plain.len() - 1);
    stored.bytes(&zstd::bulk::compress(&plain[1..], -1).expect("compresses"));
    assert_eq!(events_of(&Bytes::from(stored.0)).expect("decodes"), run);
}

#[test]
fn a_frame_has_a_place_for_each_of_its_events_however_alike_they_are() {
    let (session, request) = (SessionId::parse("s-1").expect("valid"), RequestId::generate());
    for events in [10, 100, 300, 500, 600] {
        let run: Vec<SessionEvent> = (0..events)
            .map(|seq| SessionEvent {
                session: session.clone(),
                request,
                seq,
                at: Timestamp::from_micros(0),
                kind: EventKind::ToolCall { id: "a".into(), name: "b".into(), arguments: String::new() },
                body: Body::default(),
            })
            .collect();
        let written = Compressor::default().compress(encode(&run), run.len());
        println!("{events} events in a frame of {} bytes", written.frame_bytes());
        assert!(written.frame_bytes() > run.len(), "{events} events in {} bytes", written.frame_bytes());
        assert_eq!(events_of(&payload(&written)).expect("decodes"), run);
    }
}

#[test]
fn a_body_that_leans_is_stored_without_what_repeats() {
    let body = Bytes::from(vec![b'x'; 10_000]);
    let repeats = Repeats { of: RequestId::generate(), prefix: 6_000, suffix: 3_990 };
    let mut event = run().swap_remove(0);
    (event.kind, event.body) = (started(Some(repeats)), body.into());
    let lean = Lean { base: Position { segment: 3, offset: 70_000 }, check: 5 };
    let run = encode_leaning(std::slice::from_ref(&event), Some(lean));
    assert!(run.bytes() < 300, "{} bytes", run.bytes());
    let stored = decode(&payload(&run), &mut Expander::default()).expect("decodes").swap_remove(0);
    assert_eq!((stored.lean, stored.event.body.len()), (Some(lean), 10));
    assert_eq!(stored.event.kind, event.kind);
}

#[test]
fn a_damaged_payload_is_an_error_at_every_cut_and_never_a_panic() {
    let whole = payload(&encode(&run()));
    for length in 0..whole.len() {
        assert!(is_refused(whole.slice(..length)), "{length} bytes were taken for events");
    }
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.to_vec();
            flipped[index] ^= 1 << bit;
            let _ = is_refused(Bytes::from(flipped));
        }
    }
    let mut newer = whole.to_vec();
    newer[0] = 5;
    assert!(matches!(events_of(&Bytes::from(newer)), Err(DecodeError::Format { format: 5 })));
}

/// As versions before this one wrote an event.
fn first_form(event: &SessionEvent) -> Bytes {
    let session = event.session.as_str().as_bytes();
    let kind = serde_json::to_vec(&event.kind).expect("serialises");
    let mut bytes = vec![1];
    bytes.extend_from_slice(event.request.as_uuid().as_bytes());
    bytes.extend_from_slice(&event.seq.to_le_bytes());
    bytes.extend_from_slice(&event.at.as_micros().to_le_bytes());
    bytes.push(session.len() as u8);
    bytes.extend_from_slice(session);
    bytes.extend_from_slice(&(kind.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&kind);
    bytes.extend_from_slice(&event.body.whole());
    bytes.into()
}

#[test]
fn the_first_form_is_still_read() {
    for event in run() {
        let bytes = first_form(&event);
        assert_eq!(events_of(&bytes).expect("decodes"), [event]);
        for length in 0..60 {
            assert!(is_refused(bytes.slice(..length)), "{length} bytes were taken for an event");
        }
    }
}
