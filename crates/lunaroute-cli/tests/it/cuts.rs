//! A provider that dies in its answer: the client is told so in its own dialect, is never shown an end that did not
//! happen, and the record has what came.

use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderValue;
use lunaroute_core::RequestId;
use lunaroute_session::query::SessionQuery;
use lunaroute_sim::{Fault, Point, RawResponse, Script};

use crate::support::client::{Answer, Connection, End};
use crate::support::events::{events, is_error, is_terminal};
use crate::support::stage::{CHAT, GEMINI, GENERATIONS, MESSAGES, RESPONSES, Stage, ask};

const CONNECTIONS: usize = 4;

/// A short stream of the dialect, and where its last event begins.
fn stream(path: &str) -> (&'static str, usize) {
    let (text, last) = match path {
        CHAT => (
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Round \"},\"finish_reason\":null}]}\n\n\
             data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"🌙\"},\"finish_reason\":null}]}\n\n\
             data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},",
        ),
        RESPONSES => (
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n\
             event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Round 🌙\"}\n\n\
             event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n",
            "event: response.completed",
        ),
        GEMINI => (
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Round \"}],\"role\": \"model\"},\"index\": 0}]}\r\n\r\n\
             data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"🌙\"}]}}],\"responseId\": \"r\"}\r\n\r\n\
             data: {\"candidates\": [{\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 3}}\r\n\r\n",
            "data: {\"candidates\": [{\"finishReason\"",
        ),
        _ => (
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
             \"text\":\"Round 🌙\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "event: message_stop",
        ),
    };
    (text, text.rfind(last).expect("the last event is there"))
}

fn register(stage: &Stage, name: &str, kind: &'static str, bytes: &'static [u8], length: bool) {
    let mut raw = RawResponse::new(kind, vec![Bytes::from_static(bytes)]);
    if length {
        raw.headers.insert("content-length", HeaderValue::from(bytes.len()));
    }
    stage.provider.register(name, raw).expect("there is room");
}

fn cut(name: &str, at: usize, reset: bool) -> Script {
    let after = Point::Bytes(at as u64);
    Script { fault: Some(Fault::Cut { after, reset }), ..Script::registered(name) }
}

/// One stream that was cut.
struct Cut {
    path: &'static str,
    at: usize,
    reset: bool,
    id: RequestId,
    answer: Answer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_at_any_byte_ends_in_an_error_event() {
    // A retry would only hide a reset that overtakes the head.
    let stage = Stage::open("retry: { attempts: 1 }\n").await;
    let mut cuts = Vec::new();
    for path in GENERATIONS {
        register(&stage, path, "text/event-stream", stream(path).0.as_bytes(), false);
        let workers = (0..CONNECTIONS).map(|worker| cut_everywhere(&stage, path, worker));
        cuts.extend(join_all(workers).await.into_iter().flatten());
    }
    let (mut told, mut before_the_head) = (0, 0);
    for cut in &cuts {
        if cut.answer.status() == 502 && cut.reset {
            before_the_head += 1;
        } else {
            told += usize::from(check(&stage, cut).await);
        }
    }
    let resets = cuts.iter().filter(|cut| cut.reset).count();
    println!(
        "cuts {} ({resets} by reset), told by an error event {told}, lost before the head {before_the_head}, \
         ends that did not happen 0",
        cuts.len()
    );
    assert!(before_the_head * 10 <= resets, "most resets come after the head");
}

async fn cut_everywhere(stage: &Stage, path: &'static str, worker: usize) -> Vec<Cut> {
    let mut connection = stage.connect().await;
    let mut cuts = Vec::new();
    for at in (worker..stream(path).0.len()).step_by(CONNECTIONS) {
        for reset in [false, true] {
            let call = ask(path, "m", true).script(&cut(path, at, reset));
            let answer = connection.exchange(&call).await;
            cuts.push(Cut { path, at, reset, id: answer.head.request_id(), answer });
        }
    }
    cuts
}

/// Whether the client was told of an error; fails when it was told anything that is not true.
async fn check(stage: &Stage, cut: &Cut) -> bool {
    let Cut { path, at, reset, .. } = *cut;
    let place = format!("{path} cut at {at}, reset {reset}: {}", cut.answer.text());
    assert_eq!((cut.answer.status(), cut.answer.end), (200, End::Whole), "{place}");
    let (whole, last) = stream(path);
    let kept = stage.record(cut.id).await;
    let partial = stage.query().response_body(cut.id).expect("the partial answer is kept");
    assert!(whole.as_bytes().starts_with(&partial), "{place}: the record has other bytes");
    assert!(reset || partial.len() == at, "{place}: {} bytes are in the record", partial.len());
    let own = cut.answer.body.strip_prefix(&partial[..]).expect("the client got what the record has");
    // What the dialect calls the end may have come without its empty line: then nothing of the answer is missing.
    let came = events(&[&partial[..], b"\n\n"].concat()).iter().any(is_terminal);
    if own.is_empty() {
        assert!(came && partial.len() > last, "{place}: the stream just ends");
        return false;
    }
    let seen = events(&cut.answer.body);
    assert_eq!(kept.request.ending.as_deref(), Some("upstream_error"), "{place}");
    assert_eq!(kept.request.status, "error", "{place}");
    assert!(seen.last().is_some_and(|event| is_error(path, event)), "{place}: no error at its end");
    assert!(came || !seen.iter().any(is_terminal), "{place}: an end that did not happen");
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_answer_that_is_cut_is_seen_as_cut() {
    const PLAIN: &[u8] =
        br#"{"id":"c","object":"chat.completion","choices":[{"message":{"content":"Round"}}]}"#;
    let stage = Stage::open("retry: { attempts: 1 }\n").await;
    let mut cuts = Vec::new();
    for (path, declared) in GENERATIONS.into_iter().flat_map(|path| [(path, false), (path, true)]) {
        register(&stage, "plain", "application/json", PLAIN, declared);
        for (at, reset) in (1..PLAIN.len()).step_by(7).flat_map(|at| [(at, false), (at, true)]) {
            let call = ask(path, "m", false).script(&cut("plain", at, reset));
            let answer = stage.exchange(&call).await;
            let place = format!("{path} at {at}, declared {declared}, reset {reset}");
            if reset && answer.status() == 502 {
                continue;
            }
            assert_eq!(answer.status(), 200, "{place}");
            assert!(matches!(answer.end, End::Broken(_)), "{place}: it looks whole: {}", answer.text());
            assert!(PLAIN.starts_with(&answer.body), "{place}: {}", answer.text());
            cuts.push((answer.head.request_id(), place));
        }
    }
    for (id, place) in &cuts {
        let kept = stage.record(*id).await;
        assert_eq!(kept.request.ending.as_deref(), Some("upstream_error"), "{place}");
    }
    println!("plain answers cut {}, that looked whole 0", cuts.len());
    assert!(cuts.len() >= 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_before_its_end_is_not_taken_for_whole() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let (whole, last) = stream(path);
        // Properly framed, only incomplete: at an event's end, and within one.
        for short in [&whole[..last], &whole[..last - 20]] {
            register(&stage, "short", "text/event-stream", short.as_bytes(), false);
            let call = ask(path, "m", true).script(&Script::registered("short"));
            let answer = stage.exchange(&call).await;
            let seen = events(&answer.body);
            assert!(answer.body.starts_with(short.as_bytes()), "{path}: {}", answer.text());
            assert!(seen.last().is_some_and(|event| is_error(path, event)), "{path}: {}", answer.text());
            assert!(!seen.iter().any(is_terminal), "{path}: {}", answer.text());
            let kept = stage.record(answer.head.request_id()).await;
            assert_eq!(kept.request.ending.as_deref(), Some("upstream_error"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_dies_before_its_head_is_a_502_in_the_callers_dialect() {
    let stage = Stage::open("retry: { attempts: 1 }\n").await;
    let mut connection = Connection::open(stage.gateway.address).await;
    for (path, provider) in [(CHAT, "openai"), (RESPONSES, "openai"), (MESSAGES, "anthropic")] {
        for script in ["cut_head", "cut_head,reset"] {
            let answer = connection.exchange(&ask(path, "m", true).short(script)).await;
            assert_eq!(answer.status(), 502, "{path} {script}: {}", answer.text());
            let error = answer.json();
            assert!(error["error"]["message"].is_string(), "{error}");
            assert_eq!(error["type"] == "error", path == MESSAGES, "{error}");
            let kept = stage.record(answer.head.request_id()).await;
            assert_eq!(kept.request.ending.as_deref(), Some("upstream_error"));
            assert_eq!(kept.request.provider.as_deref(), Some(provider));
        }
    }
}
