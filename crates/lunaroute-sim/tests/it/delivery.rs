//! How answers are delivered: byte for byte, coded, framed, paced.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lunaroute_sim::{
    Config, InlineResponse, Outcome, Provider, ProviderError, RawResponse, SCRIPT_HEADER, Script, Source,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::client::{CHAT, GENERATIONS, MESSAGES, body, connect, exchange, post, provider, request, short};

/// Bytes that are neither JSON nor UTF-8.
fn odd_bytes() -> Vec<u8> {
    (0..=255).cycle().take(3_000).chain(*b"{\"a\":1e400,\"a\":\"\\ud800\"}\r\n\0").collect()
}

#[tokio::test]
async fn an_echo_is_the_request_byte_for_byte() {
    let provider = provider().await;
    let bytes = odd_bytes();
    for (script, content_type) in [("echo", "application/odd"), ("echo-sse", "text/event-stream")] {
        for path in ["/v1/chat/completions", "/v1/anything"] {
            let headers = [(SCRIPT_HEADER, script), ("content-type", "application/odd")];
            let reply = exchange(&provider, "POST", path, &headers, &bytes).await;
            assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)));
            assert_eq!(reply.body, bytes, "{script}");
        }
    }
}

#[tokio::test]
async fn registered_and_inline_answers_are_given_as_they_are() {
    let provider = provider().await;
    let bytes = odd_bytes();
    let mut raw = RawResponse::new("text/odd", bytes.chunks(7).map(Bytes::copy_from_slice).collect());
    raw.status = StatusCode::IM_A_TEAPOT;
    raw.headers.append("x-twice", HeaderValue::from_static("a"));
    raw.headers.append("x-twice", HeaderValue::from_static("b"));
    provider.register("odd", raw).expect("room");
    let asked = body(CHAT, "m", false);
    for script in ["raw=odd", "raw=odd,one_write", "raw=odd,separate_writes", "raw=odd,close"] {
        let reply = short(&provider, CHAT, script, &asked).await;
        assert_eq!((reply.status, reply.body == bytes, reply.whole), (418, true, true), "{script}");
        assert_eq!(reply.head.matches("x-twice").count(), 2);
    }
    let inline = InlineResponse { status: 202, content_type: "a/b".to_owned(), body: "AP8K".to_owned() };
    let script = Script { source: Source::Inline(inline), ..Script::default() };
    let reply = post(&provider, CHAT, &script, &asked).await;
    assert_eq!(
        (reply.status, reply.header("content-type"), &reply.body[..]),
        (202, Some("a/b"), &b"\0\xff\n"[..])
    );
    assert_eq!(short(&provider, CHAT, "raw=unknown", &asked).await.status, 400);
    for number in 1..4_096 {
        provider.register(number.to_string(), RawResponse::default()).expect("room");
    }
    let full = provider.register("one too many", RawResponse::default());
    assert!(matches!(full, Err(ProviderError::RegistryFull { capacity: 4_096 })), "{full:?}");
    provider.register("odd", RawResponse::default()).expect("a known name always fits");
}

#[tokio::test]
async fn every_delivery_carries_the_same_bytes() {
    let provider = provider().await;
    for path in GENERATIONS {
        for stream in [true, false] {
            let asked = body(path, "m", stream);
            let usual = short(&provider, path, "text=50", &asked).await;
            for delivery in
                ["one_write", "separate_writes", "close", "gzip", "zstd", "delay=1", "first_byte=1"]
            {
                let reply = short(&provider, path, &format!("text=50,{delivery}"), &asked).await;
                let decoded = match reply.header("content-encoding") {
                    Some("gzip") => {
                        let mut decoded = Vec::new();
                        let mut decoder = flate2::read::GzDecoder::new(&reply.body[..]);
                        decoder.read_to_end(&mut decoded).expect("gzip");
                        decoded
                    }
                    Some("zstd") => zstd::decode_all(&reply.body[..]).expect("zstd"),
                    _ => reply.body.clone(),
                };
                assert_eq!(decoded, usual.body, "{path} {delivery}");
                assert!(reply.whole);
                if delivery == "close" {
                    assert_eq!(reply.header("content-length").or(reply.header("transfer-encoding")), None);
                }
            }
        }
    }
}

/// A coded stream can be decoded up to each event as soon as that event is there.
#[tokio::test]
async fn a_coded_stream_is_flushed_after_each_event() {
    let provider = provider().await;
    let asked = body(CHAT, "m", true);
    let whole = short(&provider, CHAT, "text=9", &asked).await;
    let cut = short(&provider, CHAT, "text=9,gzip,cut_events=4", &asked).await;
    let mut decoded = Vec::new();
    let end = flate2::read::GzDecoder::new(&cut.body[..]).read_to_end(&mut decoded);
    assert!(end.is_err(), "the coded stream was cut");
    let four: usize = whole.text().split_inclusive("\n\n").take(4).map(str::len).sum();
    assert_eq!(decoded, whole.body[..four]);
}

/// The first event of a paced stream arrives while later ones are still to come.
#[tokio::test]
async fn a_paced_stream_flows() {
    let provider = provider().await;
    for path in GENERATIONS {
        provider.reset();
        let mut stream = connect(&provider).await;
        let bytes = body(path, "m", true).to_string();
        let bytes = request("POST", path, &[(SCRIPT_HEADER, "text=6,delay=20")], bytes.as_bytes());
        stream.write_all(&bytes).await.expect("the request is taken");
        let mut received = vec![0; 300];
        stream.read_exact(&mut received).await.expect("the first events");
        assert_eq!(provider.ledger().finished(), 0, "{path}: the stream goes on");
        stream.read_to_end(&mut received).await.expect("the rest");
        let entry = provider.ledger_when(|ledger| ledger.finished() == 1).await.entries.remove(0);
        let took = entry.last_byte_at.expect("bytes").micros_since(entry.first_byte_at.expect("bytes"));
        assert!(
            took >= (entry.events_sent - 1) * 20_000,
            "{path}: {took} us for {} events",
            entry.events_sent
        );
    }
}

/// An endless text of Responses counts on, so that every event is one that the dialect allows.
#[tokio::test]
async fn an_endless_stream_keeps_to_its_dialect() {
    let provider = provider().await;
    for path in GENERATIONS {
        let reply = short(&provider, path, "text=2,endless,cut_events=40", &body(path, "m", true)).await;
        let events = reply.events();
        assert_eq!(events.len(), 40, "{path}");
        for (place, (_, event)) in events.iter().enumerate() {
            assert!(event.is_object(), "{path}: {event}");
            if path == "/v1/responses" {
                assert_eq!(event["sequence_number"], place);
            }
        }
    }
}

#[tokio::test]
async fn compressed_requests_are_understood_and_bounded() {
    let config = Config { request_body_limit: 4_096, ..Config::default() };
    let provider = Provider::start(config).await.expect("a free port");
    let asked = body(MESSAGES, "m", false).to_string();
    let zstd = zstd::encode_all(asked.as_bytes(), 1).expect("memory");
    let bomb = zstd::encode_all(&vec![b' '; 1 << 20][..], 1).expect("memory");
    let send = async |coding: &str, bytes: &[u8]| {
        exchange(&provider, "POST", MESSAGES, &[("content-encoding", coding)], bytes).await.status
    };
    assert_eq!(send("zstd", &zstd).await, 200);
    assert_eq!(send("zstd", &bomb).await, 413);
    assert_eq!(send("zstd", &zstd[..zstd.len() / 2]).await, 400);
    assert_eq!(send("br", asked.as_bytes()).await, 415);
    assert_eq!(send("identity", &vec![b' '; 5_000]).await, 413);
}

#[tokio::test]
async fn a_stopped_provider_is_gone() {
    let provider = provider().await;
    let mut stream = connect(&provider).await;
    let bytes = body(CHAT, "m", true).to_string();
    let bytes = request("POST", CHAT, &[(SCRIPT_HEADER, "endless,delay=1")], bytes.as_bytes());
    stream.write_all(&bytes).await.expect("the request is taken");
    let mut received = vec![0; 300];
    stream.read_exact(&mut received).await.expect("the stream flows");
    let address = provider.address();
    tokio::time::timeout(Duration::from_secs(5), provider.shutdown()).await.expect("it ends at once");
    // The open stream ends one way or the other, and nobody listens any more.
    let _ = stream.read_to_end(&mut received).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// HTTP/2 shares its connection among streams: a cut ends the stream alone, as an error.
#[tokio::test]
async fn http_2_streams_are_whole_or_reset() {
    let provider = provider().await;
    let io = TokioIo::new(connect(&provider).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 without TLS");
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let bytes = Bytes::from(body(CHAT, "m", true).to_string());
    for (script, whole) in [("text=20", true), ("text=20,cut_events=5", false), ("text=20,close", true)] {
        let request = http::Request::post(provider.base_url() + CHAT).header(SCRIPT_HEADER, script);
        let request = request.body(Full::new(bytes.clone())).expect("a request");
        let response = sender.send_request(request).await.expect("a head");
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.is_ok(), whole, "{script}");
    }
    let entries = provider.ledger_when(|ledger| ledger.finished() == 3).await.entries;
    let outcomes: Vec<_> = entries.iter().map(|entry| (entry.version.as_str(), entry.outcome)).collect();
    let (completed, cut) = (Some(Outcome::Completed), Some(Outcome::Cut));
    assert_eq!(outcomes, [("HTTP/2.0", completed), ("HTTP/2.0", cut), ("HTTP/2.0", completed)]);
}
