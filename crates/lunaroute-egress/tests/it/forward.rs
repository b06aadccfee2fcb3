//! What travels and what does not.

use bytes::Bytes;
use http::{HeaderMap, Method};
use lunaroute_core::FailureKind;
use lunaroute_egress::Outbound;
use tokio::sync::mpsc;

use crate::upstream::Upstream;
use crate::{PATIENT, base, client, headers, post, read, send};

/// An upstream that hands the text of each request to the test.
async fn listening() -> (Upstream, mpsc::Receiver<String>) {
    let (heard, requests) = mpsc::channel(16);
    let upstream = Upstream::start(move |mut peer| {
        let heard = heard.clone();
        async move {
            while let Some(request) = peer.request().await {
                heard.send(request).await.expect("the test listens");
                peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    (upstream, requests)
}

#[tokio::test]
async fn the_request_arrives_as_it_was_but_for_what_belongs_to_a_connection() {
    let (upstream, mut requests) = listening().await;
    let base = base(&format!("http://{}/v1", upstream.address()));
    let outbound = Outbound {
        path_and_query: "/v1/chat/completions?b=%2F&a=1&a=2&&",
        headers: headers(&[
            ("host", "gateway.local"),
            ("accept-encoding", "br, x-own"),
            ("anthropic-beta", "one"),
            ("x-single", "1"),
            ("anthropic-beta", "two,three"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic canary"),
            ("x-latin", "caf\u{e9}"),
        ]),
        body: Bytes::from_static(b"{\"a\":1e400,\"a\":\"\\ud800\"}\n"),
        ..post(&base)
    };
    client().attempt(outbound, &PATIENT).await.expect("an answer");
    let request = requests.recv().await.expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /v1/chat/completions?b=%2F&a=1&a=2&& HTTP/1.1"));
    let mut lines: Vec<&str> = lines.collect();
    let betas: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("anthropic-beta")).collect();
    assert_eq!(
        betas,
        ["anthropic-beta: one", "anthropic-beta: two,three"],
        "repeated headers keep their order"
    );
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept-encoding: br, x-own",
            "anthropic-beta: one",
            "anthropic-beta: two,three",
            "content-length: 25",
            &format!("host: {}", upstream.address()),
            "x-latin: caf\u{e9}",
            "x-single: 1",
        ]
    );
    assert_eq!(body, "{\"a\":1e400,\"a\":\"\\ud800\"}\n");
}

#[tokio::test]
async fn nothing_is_added_to_a_bare_request() {
    let (upstream, mut requests) = listening().await;
    let base = upstream.base();
    let get = Outbound { method: Method::GET, body: Bytes::new(), ..post(&base) };
    client().attempt(get, &PATIENT).await.expect("an answer");
    let expected = format!("GET /v1/x HTTP/1.1\r\nhost: {}\r\n\r\n", upstream.address());
    assert_eq!(requests.recv().await, Some(expected));
}

#[tokio::test]
async fn the_length_is_that_of_the_body_that_is_sent() {
    let (upstream, mut requests) = listening().await;
    let base = upstream.base();
    let outbound = Outbound { headers: headers(&[("content-length", "999")]), ..post(&base) };
    client().attempt(outbound, &PATIENT).await.expect("an answer");
    let request = requests.recv().await.expect("a request");
    assert!(request.contains("content-length: 2\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
}

#[tokio::test]
async fn the_answer_arrives_as_it_was_but_for_what_belongs_to_a_connection() {
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 0, 0xfd, 0xff, b'h', b'i'];
    let mut answer = b"HTTP/1.1 418 I'm odd\r\nset-cookie: a=1\r\nx-request-id: r\r\nset-cookie: b=2\r\n\
        content-encoding: gzip\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\ncontent-length: 17\r\n\r\n"
        .to_vec();
    answer.extend_from_slice(gzip);
    let upstream = Upstream::answering(answer).await;
    let inbound = send(&upstream.base()).await.expect("an answer");
    assert_eq!(inbound.status.as_u16(), 418);
    let shown: Vec<(&str, &[u8])> =
        inbound.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(shown.len(), 5, "{shown:?}");
    let cookies: Vec<_> = inbound.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(inbound.headers["content-encoding"], "gzip");
    assert_eq!(inbound.headers["content-length"], "17");
    assert_eq!(read(inbound).await, (gzip.to_vec(), None), "the coding is not undone");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let upstream = Upstream::answering(format!(
        "HTTP/1.1 307 T\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address()
    ))
    .await;
    let inbound = send(&upstream.base()).await.expect("an answer");
    assert_eq!(inbound.status.as_u16(), 307);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn requests_that_reach_past_the_provider_are_refused() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let base = upstream.base();
    let connect = Outbound { method: Method::CONNECT, ..post(&base) };
    let failure = client().attempt(connect, &PATIENT).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::MethodNotAllowed);
    let absolute =
        Outbound { path_and_query: "http://evil.example/", headers: HeaderMap::new(), ..post(&base) };
    let failure = client().attempt(absolute, &PATIENT).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert_eq!(upstream.connections(), 0);
}
