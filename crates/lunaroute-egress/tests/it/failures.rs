//! What the provider or the way to it can do wrong, and the sentence that says so.

use bytes::Bytes;
use lunaroute_core::{FailureKind, Retry, Side};
use lunaroute_egress::Outbound;
use tokio::net::TcpListener;

use crate::upstream::Upstream;
use crate::{PATIENT, base, client, headers, post, read, send};

const BODY: &[u8] = b"data: {\"n\":1}\n\ndata: [DONE]\n\n";

/// The two framings that have an end of their own.
fn framings() -> [Vec<u8>; 2] {
    let by_length = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
    let chunk = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", BODY.len());
    [[by_length.as_bytes(), BODY].concat(), [chunk.as_bytes(), BODY, b"\r\n0\r\n\r\n"].concat()]
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_is_never_whole() {
    let mut cuts = 0;
    let client = client();
    for answer in framings() {
        for reset in [false, true] {
            for cut in 1..answer.len() {
                let part = answer[..cut].to_vec();
                let upstream = Upstream::start(move |mut peer| {
                    let part = part.clone();
                    async move {
                        peer.request().await;
                        peer.send(part).await;
                        if reset {
                            peer.reset();
                        }
                    }
                })
                .await;
                let base = upstream.base();
                let failure = match client.attempt(post(&base), &PATIENT).await {
                    Err(failure) => failure,
                    Ok(inbound) => {
                        let (bytes, failure) = read(inbound).await;
                        assert!(BODY.starts_with(&bytes), "cut at {cut}: {bytes:?}");
                        failure
                            .unwrap_or_else(|| panic!("cut at {cut} of {} was taken as whole", answer.len()))
                    }
                };
                assert_eq!(
                    (failure.side, failure.kind),
                    (Side::Upstream, FailureKind::Protocol),
                    "{failure}"
                );
                assert_eq!(failure.retry, Retry::Never);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 300, "{cuts}");
}

#[tokio::test]
async fn framing_that_contradicts_itself_is_refused() {
    for (answer, sentence) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "not valid HTTP"),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nab", "not valid HTTP"),
        ("HTTP/1.1 abc OK\r\n\r\n", "not valid HTTP"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "not valid HTTP"),
        ("HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "switched protocols"),
        ("", "closed the connection before it answered"),
    ] {
        let upstream = Upstream::start(move |mut peer| async move {
            peer.request().await;
            peer.send(answer).await;
        })
        .await;
        let failure = send(&upstream.base()).await.expect_err(answer);
        assert_eq!((failure.side, failure.kind), (Side::Upstream, FailureKind::Protocol), "{answer}");
        assert!(failure.message.contains(sentence), "{answer:?}: {failure}");
    }
}

#[tokio::test]
async fn a_bad_chunk_breaks_the_body_and_not_the_process() {
    let upstream = Upstream::start(move |mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n").await;
        peer.closed().await;
    })
    .await;
    let inbound = send(&upstream.base()).await.expect("a head");
    let (bytes, failure) = read(inbound).await;
    assert_eq!(bytes, b"ok");
    assert_eq!(failure.expect("broken").kind, FailureKind::Protocol);
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_never_answer_the_next_request() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforeign",
    )
    .await;
    let client = client();
    let base = upstream.base();
    for round in 1..=20 {
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
        assert_eq!(upstream.connections(), round, "a connection with a surplus is not used again");
    }
}

#[tokio::test]
async fn a_head_without_end_is_given_up_with_bounded_memory() {
    let upstream = Upstream::start(move |mut peer| async move {
        peer.request().await;
        peer.send(format!("HTTP/1.1 200 OK\r\nx-large: {}", "x".repeat(4 << 20))).await;
        peer.closed().await;
    })
    .await;
    let failure = send(&upstream.base()).await.expect_err("too large");
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(failure.message.contains("too large"), "{failure}");
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let upstream = Upstream::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let inbound = send(&upstream.base()).await.expect("an answer");
    assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
}

#[tokio::test]
async fn no_connection_is_told_apart_by_its_cause_and_shows_no_secret() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    // A label of more than 63 characters is refused by the resolver itself, so no name server is asked.
    let nobody = format!("{}.invalid", "x".repeat(64));
    for (address, sentence) in [
        (format!("http://{gone}"), "refuses connections; check that it runs"),
        (format!("http://{nobody}"), "cannot be resolved; check the provider's base URL"),
    ] {
        let base = base(&address);
        let outbound = Outbound {
            path_and_query: "/v1/x?key=canary&other=canary",
            headers: headers(&[("authorization", "Bearer canary"), ("x-canary", "canary")]),
            body: Bytes::from_static(b"canary"),
            ..post(&base)
        };
        let failure = client().attempt(outbound, &PATIENT).await.expect_err("no connection");
        assert_eq!((failure.side, failure.kind), (Side::Upstream, FailureKind::Connect));
        assert!(failure.message.contains(sentence), "{failure}");
        assert!(failure.message.contains(base.authority()), "{failure}");
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
}
