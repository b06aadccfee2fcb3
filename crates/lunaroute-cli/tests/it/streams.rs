//! Streams flow: at once, piece by piece, byte for byte.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use lunaroute_core::Timestamp;
use lunaroute_session::query::SessionQuery;
use lunaroute_sim::{Delivery, Encoding, RawResponse, Script};

use crate::support::bodies::encode;
use crate::support::client::{End, Piece, exchange};
use crate::support::events::{events, is_error, is_terminal};
use crate::support::stage::{CHAT, GEMINI, GENERATIONS, RESPONSES, Stage, ask};

/// What a delayed acknowledgement costs on Linux.
const DELAYED_ACKNOWLEDGEMENT: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_delta_arrives_before_the_last_is_sent() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let call = ask(path, "m", true).short("text=20,delay=20").header("x-test-id", path);
        let mut connection = stage.connect().await;
        connection.send(&call).await;
        connection.head().await;
        let mut arrivals = Vec::new();
        while let Piece::Data(_) = connection.piece().await {
            arrivals.push(Timestamp::now());
        }
        let entry = stage.entry(path).await;
        let sent = entry.last_byte_at.expect("something was sent");
        let ahead = Duration::from_micros(sent.micros_since(arrivals[0]));
        println!("{path}: {} pieces, the first {ahead:?} before the last was sent", arrivals.len());
        assert!(
            ahead >= Duration::from_millis(200),
            "{path}: the first came {ahead:?} before the last was sent"
        );
        assert!(arrivals.len() >= 20, "{path}: {} pieces", arrivals.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_frames_meets_no_delayed_acknowledgement() {
    let stage = Stage::open("").await;
    let script = Script { delivery: Delivery::SeparateWrites, ..Script::text(50) };
    for path in GENERATIONS {
        let call = ask(path, "m", true).script(&script);
        let mut connection = stage.connect().await;
        let mut times = Vec::new();
        for _ in 0..15 {
            let began = Instant::now();
            let answer = connection.exchange(&call).await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole));
            let last = *answer.arrivals.last().expect("a body");
            times.push((last - answer.arrivals[0], last - began));
        }
        times.sort();
        let (body, whole) = times[times.len() / 2];
        println!("{path}: 50 frames, median {body:?} from first to last, {whole:?} from the request");
        assert!(body < DELAYED_ACKNOWLEDGEMENT - Duration::from_millis(10), "{path}: {body:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_of_a_burst_goes_by_itself() {
    let stage = Stage::open("").await;
    let event =
        |word| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n");
    let end = Bytes::from_static(b"data: [DONE]\n\n");
    let chunks: Vec<Bytes> = (0..40).map(|word| event(word).into()).chain([end]).collect();
    let raw = RawResponse::new("text/event-stream", chunks.clone());
    stage.provider.register("burst", raw).expect("there is room");
    let call = ask(CHAT, "m", true).script(&Script::registered("burst"));
    let mut joined = 0;
    for _ in 0..20 {
        let mut connection = stage.connect().await;
        connection.send(&call).await;
        connection.head().await;
        let mut pieces = Vec::new();
        while let Piece::Data(piece) = connection.piece().await {
            pieces.push(piece);
        }
        assert!(pieces[0] == chunks[0], "with others: {}", String::from_utf8_lossy(&pieces[0]));
        assert!(pieces.concat() == chunks.concat(), "the bytes differ");
        joined += usize::from(pieces.len() < chunks.len());
    }
    assert!(joined > 0, "none of the answers came as a burst");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_streams_are_the_providers_bytes() {
    let stage = Stage::open("").await;
    let script = |encoding| Script { encoding, reasoning_tokens: 5, ..Script::text(30) };
    for path in GENERATIONS {
        for encoding in [None, Some(Encoding::Gzip), Some(Encoding::Zstd)] {
            let call = ask(path, "m", true).script(&script(encoding));
            let direct = exchange(stage.provider.address(), &call).await;
            let passed = stage.exchange(&call).await;
            assert!(passed.body == direct.body, "{path} {encoding:?}: the bytes differ");
            assert_eq!(passed.head.all("content-encoding"), direct.head.all("content-encoding"));
            assert_eq!(passed.end, End::Whole);
            let kept = stage.record(passed.head.request_id()).await;
            assert_eq!(kept.request.ending.as_deref(), Some("completed"), "{path} {encoding:?}");
            assert!(kept.request.tokens.output.is_some(), "{path} {encoding:?}: no token figures");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_own_error_event_passes_as_it_is() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let call = ask(path, "m", true).short("text=9,error_event=8");
        let direct = exchange(stage.provider.address(), &call).await;
        let passed = stage.exchange(&call).await;
        assert_eq!(passed.text(), direct.text(), "{path}");
        assert!(events(&passed.body).last().is_some_and(|event| is_error_of_provider(path, &event.data)));
        let kept = stage.record(passed.head.request_id()).await;
        assert_eq!(kept.request.ending.as_deref(), Some("upstream_error"), "{path}");
        assert_eq!(kept.request.status, "error", "{path}");
        assert!(kept.text_preview.is_some_and(|text| !text.is_empty()), "{path}: the partial text is lost");
    }
}

fn is_error_of_provider(path: &str, data: &str) -> bool {
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    match path {
        RESPONSES => data["type"] == "response.failed" || data["type"] == "error",
        _ => data["error"].is_object(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_speaks_between_events_only() {
    let stage = Stage::open("streaming: { keep_alive: 40ms }\n").await;
    for path in GENERATIONS {
        // Silences between events, and one within an event, each longer than the interval.
        let chunks = torn(path);
        let whole = chunks.concat();
        stage.provider.register(path, RawResponse::new("text/event-stream", chunks)).expect("there is room");
        let script = Script { event_delay_ms: 130, ..Script::registered(path) };
        let answer = stage.exchange(&ask(path, "m", true).script(&script)).await;
        let (kept, signs) = without_signs_of_life(&answer.text());
        println!("{path}: {signs} signs of life");
        assert!(signs >= 3, "{path}: {}", answer.text());
        assert!(kept.as_bytes() == whole, "{path}: {}", answer.text());
        assert_eq!(answer.end, End::Whole);
        assert!(!events(&answer.body).iter().any(|event| is_error(path, event)), "{path}");
        stage.record(answer.head.request_id()).await;
        let recorded = stage.query().response_body(answer.head.request_id()).expect("the answer is kept");
        assert!(recorded == whole, "{path}: the gateway's own signs are in the record");
    }
}

/// A stream in pieces that end between and within events.
fn torn(path: &str) -> Vec<Bytes> {
    let pieces: &[&'static str] = match path {
        CHAT => &[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"del",
            "ta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ],
        RESPONSES => &[
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
            "event: response.output_text.delta\n",
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n",
        ],
        GEMINI => &[
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a\"}]},\"index\": 0}]}\n\n",
            "data: {\"candidates\": [{\"content\": {\"par",
            "ts\": []},\"finishReason\": \"STOP\"}],\"usageMetadata\": {\"promptTokenCount\": 3}}",
            "\n\n",
        ],
        _ => &[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
    };
    pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect()
}

/// The stream without comments and pings of the gateway, and how many there were.
fn without_signs_of_life(stream: &str) -> (String, usize) {
    let is_sign = |event: &&str| event.starts_with(": ") || event.starts_with("event: ping\n");
    let (mut kept, mut signs) = (String::new(), 0);
    for event in stream.split_inclusive("\n\n") {
        // Gemini's are empty lines.
        let rest = event.trim_start_matches('\n');
        signs += event.len() - rest.len();
        if is_sign(&rest) {
            signs += 1;
        } else {
            kept.push_str(rest);
        }
    }
    (kept, signs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_framing_or_with_a_coding_is_passed_and_read() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        // Close-delimited, as HTTP/1.0 servers send it.
        let call = ask(path, "m", true).short("text=6,close");
        let answer = stage.exchange(&call).await;
        assert_eq!((answer.status(), answer.end), (200, End::Whole), "{path}");
        assert!(events(&answer.body).iter().any(is_terminal), "{path}: {}", answer.text());
        let kept = stage.record(answer.head.request_id()).await;
        assert_eq!(kept.request.ending.as_deref(), Some("completed"), "{path}");
        // One gzip frame over all events, cut where no event ends.
        let whole = encode("gzip", &torn(path).concat());
        let (first, second) = whole.split_at(whole.len() / 2);
        let chunks = vec![Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)];
        let mut raw = RawResponse::new("text/event-stream", chunks);
        raw.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        stage.provider.register("gzip", raw).expect("there is room");
        let call = ask(path, "m", true).script(&Script::registered("gzip"));
        let answer = stage.exchange(&call).await;
        assert!(answer.body == whole, "{path}: the coded bytes differ");
        let kept = stage.record(answer.head.request_id()).await;
        assert_eq!(kept.request.ending.as_deref(), Some("completed"), "{path}");
        let read = kept.text_preview.unwrap_or_default();
        assert_eq!(read, "a", "{path}: the record has not read the coded stream");
    }
}
