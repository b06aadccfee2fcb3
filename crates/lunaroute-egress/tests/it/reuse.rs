//! Which connections are used again, which never, and what driving them costs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Body;
use lunaroute_egress::{Outbound, Timeouts};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::upstream::{Upstream, within};
use crate::{PATIENT, client, post, read};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn every_kind_of_whole_answer_leaves_the_connection_for_the_next_request() {
    let answers = [
        (Method::POST, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        (
            Method::POST,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n",
            "ok",
        ),
        (Method::POST, OK, "ok"),
        (Method::POST, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        (Method::POST, "HTTP/1.1 204 No Content\r\n\r\n", ""),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", ""),
        (
            Method::POST,
            "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        ),
        (Method::GET, OK, "ok"),
    ];
    let scripted: Vec<_> = answers.iter().map(|(_, answer, _)| *answer).collect();
    let upstream = Upstream::start(move |mut peer| {
        let scripted = scripted.clone();
        async move {
            for answer in scripted {
                peer.request().await;
                peer.send(answer).await;
            }
            peer.closed().await;
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    for (method, answer, expected) in answers {
        let inbound = client.attempt(Outbound { method, ..post(&base) }, &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (expected.as_bytes().to_vec(), None), "{answer}");
        assert_eq!(upstream.connections(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_the_provider_means_to_close_is_not_used_again() {
    for head in ["HTTP/1.1 200 OK\r\nconnection: close", "HTTP/1.0 200 OK"] {
        let upstream = Upstream::answering(format!("{head}\r\ncontent-length: 2\r\n\r\nok")).await;
        let client = client();
        let base = upstream.base();
        for round in 1..=3 {
            let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
            assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
            assert_eq!(upstream.connections(), round, "{head}");
        }
    }
}

#[tokio::test]
async fn an_answer_before_the_request_was_taken_ends_the_connection() {
    let upstream = Upstream::start(move |mut peer| async move {
        // The head and little of the body; what follows is never read.
        let mut start = [0; 1024];
        if peer.stream.read_exact(&mut start).await.is_ok() {
            peer.send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
            peer.stalled().await;
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    // More than the socket buffers of both sides hold.
    let body = Bytes::from(vec![b'x'; 64 << 20]);
    for round in 1..=2 {
        let outbound = Outbound { body: body.clone(), ..post(&base) };
        let inbound =
            within(Duration::from_secs(10), client.attempt(outbound, &PATIENT)).await.expect("an answer");
        assert_eq!(inbound.status, 413);
        assert_eq!(read(inbound).await, (b"big".to_vec(), None));
        assert_eq!(
            upstream.connections(),
            round,
            "what is left of the body would stand before the next request"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_that_says_something_unasked_is_closed() {
    let (tell, mut told) = mpsc::channel(1);
    let (go, gate) = mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let upstream = Upstream::start(move |mut peer| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        async move {
            peer.request().await;
            peer.send(OK).await;
            gate.lock().await.recv().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforeign").await;
            peer.closed().await;
            tell.send(()).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
    assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
    go.send(()).await.expect("the provider waits");
    within(Duration::from_secs(10), told.recv()).await.expect("closed while it was idle");
    go.send(()).await.expect("the provider waits");
    let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
    assert_eq!(read(inbound).await, (b"ok".to_vec(), None), "never the foreign answer");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn kept_connections_end_with_their_client() {
    let (tell, mut told) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.send(OK).await;
            peer.closed().await;
            tell.send(()).await.expect("the test listens");
        }
    })
    .await;
    let base = upstream.base();
    {
        let client = client();
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
    }
    within(Duration::from_millis(500), told.recv()).await.expect("closed");
}

#[tokio::test]
async fn a_burst_of_pieces_is_handed_out_without_a_wake_up_for_each() {
    const PIECES: usize = 2_000;
    let upstream = Upstream::start(move |mut peer| async move {
        peer.request().await;
        let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        answer.extend_from_slice(&b"8\r\ndata: x\n\r\n".repeat(PIECES));
        answer.extend_from_slice(b"0\r\n\r\n");
        peer.send(answer).await;
        peer.closed().await;
    })
    .await;
    let client = client();
    let base = upstream.base();
    let mut inbound = client.attempt(post(&base), &PATIENT).await.expect("a head");
    let runs = AtomicUsize::new(0);
    let (mut pieces, mut bytes) = (0, 0);
    std::future::poll_fn(|context| {
        runs.fetch_add(1, Ordering::Relaxed);
        loop {
            match std::task::ready!(Pin::new(&mut inbound.body).poll_frame(context)) {
                Some(frame) => {
                    pieces += 1;
                    bytes += frame.expect("no failure").data_ref().map_or(0, Bytes::len);
                }
                None => return std::task::Poll::Ready(()),
            }
        }
    })
    .await;
    let runs = runs.into_inner();
    println!("{pieces} pieces in {runs} runs of the reading task");
    assert_eq!(bytes, PIECES * 8);
    assert!(runs < PIECES / 20, "{runs} runs for {PIECES} pieces");
}

/// Answers arrive while their requests are being driven by other threads: no wake-up may be lost between two looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_in_many_exchanges() {
    const TASKS: usize = 8;
    const EXCHANGES: usize = 1_000;
    let upstream = Upstream::start(move |mut peer| async move {
        while peer.request().await.is_some() {
            peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            peer.send("2\r\nok\r\n").await;
            peer.send("0\r\n\r\n").await;
        }
    })
    .await;
    let client = client();
    // A time-out that fires looks at the connection once more, and would hide what is looked for.
    let endless = Timeouts { first_byte: Duration::MAX, idle: Duration::MAX, total: None };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (client, base) = (client.clone(), upstream.base());
        tasks.spawn(async move {
            for _ in 0..EXCHANGES {
                let inbound = client.attempt(post(&base), &endless).await.expect("an answer");
                assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
            }
        });
    }
    within(Duration::from_secs(60), async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no failure");
        }
    })
    .await;
    println!("{} exchanges over {} connections", TASKS * EXCHANGES, upstream.connections());
}
