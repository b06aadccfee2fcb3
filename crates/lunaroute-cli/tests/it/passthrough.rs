//! Bodies pass byte for byte, in both directions, whatever they are and however they are cut; and the record has the
//! same bytes.

use std::cell::RefCell;

use bytes::Bytes;
use futures_util::future::join_all;
use lunaroute_core::RequestId;
use lunaroute_session::query::SessionQuery;
use lunaroute_sim::{Delivery, RawResponse, Script, Source};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::support::bodies::{Coded, coded, encode};
use crate::support::client::{Answer, Call, Connection, End};
use crate::support::gateway::run;
use crate::support::stage::{CHAT, GEMINI, GENERATIONS, MESSAGES, RESPONSES, Stage, ask, record};

const BODIES: u32 = 2_200;

/// Every so many exchanges one is compared with its record.
const SAMPLED: u32 = 8;

/// Connections that split answers are asked for on at the same time.
const CONNECTIONS: usize = 4;

/// Method, path and content type.
type Way = (&'static str, &'static str, &'static str);

const WAYS: [Way; 15] = [
    ("POST", CHAT, "application/json"),
    ("POST", RESPONSES, "application/json"),
    ("POST", MESSAGES, "application/json"),
    ("POST", "/v1/messages?beta=true", "application/json; charset=utf-8"),
    ("POST", "/v1/messages/count_tokens", "application/json"),
    ("POST", "/v1/embeddings", "application/json"),
    ("POST", "/v1/responses/compact", "application/json"),
    ("POST", "/v1/files?purpose=a%2fb", "multipart/form-data; boundary=\"a b\""),
    ("PUT", "/v1/x/unknown?q=%7e&&x==", "application/octet-stream"),
    ("PATCH", "/v1/x", "text/plain"),
    ("DELETE", "/v1/files/file_1", "application/json"),
    ("POST", "/v1/completions", "application/json"),
    ("POST", GEMINI, "application/json"),
    ("POST", "/v1beta/models/m%2d1:generateContent?a=%7e", "application/json"),
    ("POST", "/v1beta/models/m:batchEmbedContents", "application/json"),
];

#[test]
fn generated_bodies_reach_the_provider_and_return_byte_for_byte() {
    let runtime = Runtime::new().expect("a runtime");
    let stage = runtime.block_on(Stage::open("limits: { decoded_body: 64MiB }\n"));
    let connection = RefCell::new(None::<Connection>);
    let sample = RefCell::new(Vec::<(RequestId, Vec<u8>)>::new());
    let count = RefCell::new((0_u32, 0_usize));
    let config = Config { cases: BODIES, failure_persistence: None, ..Config::default() };
    let strategy = (select(WAYS.to_vec()), coded());
    let result = TestRunner::new(config).run(&strategy, |(way, body)| {
        if way.1 == CHAT && body.is_responses {
            return Ok(());
        }
        stage.provider.reset();
        let mut open = match connection.take() {
            Some(open) => open,
            None => runtime.block_on(stage.connect()),
        };
        let answer = runtime.block_on(open.exchange(&call(way, &body)));
        prop_assert_eq!(answer.status(), 200, "{}", answer.text());
        let ledger = stage.provider.ledger();
        prop_assert_eq!(ledger.entries.len(), 1);
        let entry = &ledger.entries[0];
        prop_assert_eq!((entry.method.as_str(), entry.path.as_str()), (way.0, way.1));
        prop_assert!(entry.body.as_deref() == Some(&body.bytes[..]), "the provider got {:?}", entry.body);
        prop_assert!(answer.body == body.bytes, "the client got {}", answer.body.escape_ascii());
        prop_assert_eq!(answer.end, End::Whole);
        let mut count = count.borrow_mut();
        if count.0.is_multiple_of(SAMPLED) {
            sample.borrow_mut().push((answer.head.request_id(), body.bytes.clone()));
        }
        *count = (count.0 + 1, count.1 + body.bytes.len());
        connection.replace(Some(open));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (bodies, bytes) = *count.borrow();
    println!("bodies {bodies}, bytes {bytes} each way, bytes that differ 0");
    let compared = sample.borrow().len();
    for (id, bytes) in sample.take() {
        runtime.block_on(record(stage.home.path(), id));
        let kept = stage.query().request_body(id).expect("the request body is kept");
        assert!(kept == bytes, "the record of {id} has another request body");
        let kept = stage.query().response_body(id).expect("the response body is kept");
        assert!(kept == bytes, "the record of {id} has another response body");
    }
    println!("records compared {compared}, bytes that differ 0");
    assert!(compared >= 100);
}

fn call((method, target, kind): Way, body: &Coded) -> Call {
    let script = Script { source: Source::Echo, ..Script::default() };
    let mut call = Call::new(method, target).header("content-type", kind).script(&script);
    if body.bytes.is_empty() {
        call = call.header("content-length", "0");
    }
    if let Some(coding) = body.coding {
        call = call.header("content-encoding", coding);
    }
    Call { body: body.bytes.clone(), ..call }
}

/// An answer of a provider, in one piece.
struct Whole {
    path: &'static str,
    kind: &'static str,
    coding: Option<&'static str>,
    bytes: Vec<u8>,
}

fn samples() -> Vec<Whole> {
    let whole = |path, kind, text: &str| Whole { path, kind, coding: None, bytes: text.into() };
    let json = "application/json";
    let events = "text/event-stream; charset=utf-8";
    let chat = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a🌙\u{2028}b\"},\
        \"finish_reason\":null}]}\r\n\r\n: note\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n\
        event: response.output_text.delta\r\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"é🌙\"}\r\n\r\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":{\"input_tokens\":1,\
        \"output_tokens\":2}}}\n\n";
    let messages = "event: message_start\rdata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\r\r\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\ndata: \"delta\":{\"type\":\"text_delta\",\
        \"text\":\"🌙\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let gemini = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a🌙\u{2028}b\"}],\"role\": \"model\"},\"index\": 0}]}\r\n\r\n\
        data: {\"candidates\": [{\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 3}}\r\n\r\n";
    let array = "[{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"]🌙\"}]}}]}\r\n,\r\n{\"candidates\": [{\"finishReason\": \"STOP\"}]}\n]\n";
    let plain = r#"{"id":"x","id":"y","n":12345678901234567890123,"e":1e400,"s":"\ud83d 🌙","choices":[]}"#;
    let coded = |path, kind, coding: &'static str, text: &str| Whole {
        path,
        kind,
        coding: Some(coding),
        bytes: encode(coding, text.as_bytes()),
    };
    vec![
        whole(CHAT, json, plain),
        whole(
            MESSAGES,
            json,
            "{\"type\":\"message\", \"content\":[{\"type\":\"text\",\"text\":\"🌙\\u0000\"}]}\n",
        ),
        whole(RESPONSES, json, "\u{feff}{ not json"),
        whole(CHAT, events, chat),
        whole(RESPONSES, events, responses),
        whole(MESSAGES, events, messages),
        whole(GEMINI, events, gemini),
        whole(GEMINI, json, array),
        coded(GEMINI, events, "br", gemini),
        coded(CHAT, events, "gzip", chat),
        coded(MESSAGES, events, "zstd", messages),
        coded(RESPONSES, json, "br", plain),
        whole("/v1/audio/speech", "audio/mpeg", "\u{0}\u{1}ID3🌙"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_cut_at_every_byte_arrive_byte_for_byte() {
    let stage = Stage::open("").await;
    let (mut exchanges, mut recorded) = (0, Vec::new());
    for whole in samples() {
        let workers = (0..CONNECTIONS).map(|worker| split(&stage, &whole, worker));
        for ids in join_all(workers).await {
            exchanges += ids.len();
            recorded.extend(ids.into_iter().step_by(16).map(|id| (id, whole.bytes.clone())));
        }
    }
    println!("answers cut at every byte {exchanges}, bytes that differ 0");
    for (id, bytes) in &recorded {
        record(stage.home.path(), *id).await;
        let kept = stage.query().response_body(*id).expect("the answer is kept");
        assert!(kept == *bytes, "the record of {id} has other bytes");
    }
    println!("records compared {}, bytes that differ 0", recorded.len());
    assert!(recorded.len() >= 100);
}

/// Asks for an answer cut at each of this worker's places, and once byte by byte.
async fn split(stage: &Stage, whole: &Whole, worker: usize) -> Vec<RequestId> {
    let mut connection = stage.connect().await;
    let mut ids = Vec::new();
    let name = format!("split-{worker}");
    for place in (worker..=whole.bytes.len()).step_by(CONNECTIONS) {
        let chunks = if place == 0 {
            whole.bytes.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect()
        } else {
            let (first, second) = whole.bytes.split_at(place);
            vec![Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)]
        };
        let mut raw = RawResponse::new(whole.kind, chunks);
        if let Some(coding) = whole.coding {
            raw.headers.insert("content-encoding", http::HeaderValue::from_static(coding));
        }
        stage.provider.register(&name, raw).expect("there is room");
        let script = Script { delivery: Delivery::SeparateWrites, ..Script::registered(&name) };
        let answer = connection.exchange(&ask(whole.path, "m", true).script(&script)).await;
        check(&answer, whole, place);
        ids.push(answer.head.request_id());
    }
    ids
}

#[track_caller]
fn check(answer: &Answer, whole: &Whole, place: usize) {
    let at = format!("{} {} {:?} cut at {place}", whole.path, whole.kind, whole.coding);
    assert_eq!((answer.status(), answer.end), (200, End::Whole), "{at}");
    assert!(answer.body == whole.bytes, "{at}: the client got {}", answer.body.escape_ascii());
    assert_eq!(answer.head.header("content-type"), Some(whole.kind), "{at}");
    assert_eq!(answer.head.header("content-encoding"), whole.coding, "{at}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_too() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let body = format!(r#"{{"model":"m","messages":[],"pad":"{}"}}"#, "🌙\\n".repeat(700_000));
        let answer = stage.exchange(&Call::post(path, body.clone()).short("echo")).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body == body.as_bytes(), "{path}: {} of {} bytes", answer.body.len(), body.len());
        record(stage.home.path(), answer.head.request_id()).await;
        let kept = stage.query().request_body(answer.head.request_id()).expect("the body is kept");
        assert!(kept == body.as_bytes(), "{path}: the record has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_on_two_paths_are_kept_for_both() {
    let stage = Stage::open("").await;
    // Each path finds its messages in another place of the body.
    let body = r#"{"model":"m","system":"a","messages":[{"role":"user","content":"b"}],"input":"c"}"#;
    let mut ids = Vec::new();
    for path in ["/v1/embeddings", CHAT, RESPONSES, MESSAGES, CHAT] {
        let answer = stage.exchange(&Call::post(path, body).short("echo")).await;
        ids.push((path, answer.head.request_id()));
    }
    for (path, id) in ids {
        record(stage.home.path(), id).await;
        let kept = stage.query().request_body(id).expect("the body is kept");
        assert!(kept == body.as_bytes(), "{path}: the record has other bytes");
    }
    let ready = stage.exchange(&Call::get("/readyz")).await;
    assert_eq!(ready.json()["status"], "ready", "{}", ready.text());
    let Stage { gateway, home, provider } = stage;
    assert_eq!(gateway.stop(), Some(0));
    drop(provider);
    let verdict = run(home.path(), &["verify", "--json"]);
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));
}
