//! Four clocks, none of which runs more than a tenth over.

use std::time::{Duration, Instant};

use lunaroute_core::{Failure, FailureKind, Retry, Side};
use lunaroute_egress::{Client, Config, Timeouts};
use tokio::sync::Notify;
use tokio::time::interval;

use crate::upstream::Upstream;
use crate::{PATIENT, base, client, post, read};

/// Long enough that a tenth of it is more than a busy machine needs to wake a task.
const LIMIT: Duration = Duration::from_secs(3);

#[track_caller]
fn check(started: Instant, failure: &Failure, kind: FailureKind, sentence: &str) {
    let taken = started.elapsed();
    assert!(taken >= LIMIT && taken <= LIMIT.mul_f64(1.1), "{taken:?} instead of {LIMIT:?}");
    // What may have reached the provider is not sent again.
    let retry = if kind == FailureKind::Connect { Retry::Elsewhere } else { Retry::Never };
    assert_eq!((failure.side, failure.kind, failure.retry), (Side::Upstream, kind, retry));
    assert!(failure.message.contains(sentence), "{failure}");
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn the_connection_has_a_limit_that_includes_the_handshake() {
    // The socket is accepted and the handshake is never answered.
    let silent = Upstream::start(|mut peer| async move { peer.closed().await }).await;
    let client = Client::new(&Config { connect_timeout: LIMIT, ..Config::default() }).expect("a client");
    let base = base(&format!("https://{}", silent.address()));
    let started = Instant::now();
    let failure = client.attempt(post(&base), &PATIENT).await.expect_err("no handshake");
    check(started, &failure, FailureKind::Connect, "no connection to 127.0.0.1");
}

#[tokio::test]
async fn the_head_has_a_limit() {
    let silent = Upstream::start(|mut peer| async move { peer.closed().await }).await;
    let base = silent.base();
    let client = client();
    for timeouts in [Timeouts { first_byte: LIMIT, ..PATIENT }, Timeouts { total: Some(LIMIT), ..PATIENT }] {
        let started = Instant::now();
        let failure = client.attempt(post(&base), &timeouts).await.expect_err("no head");
        check(started, &failure, FailureKind::Timeout, "did not begin to answer within 3 s");
    }
}

#[tokio::test]
async fn silence_has_a_limit_and_frames_before_it_arrive() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.request().await;
        peer.send(HEAD).await;
        peer.send("5\r\nfirst\r\n").await;
        peer.closed().await;
    })
    .await;
    let base = upstream.base();
    let inbound = client().attempt(post(&base), &Timeouts { idle: LIMIT, ..PATIENT }).await.expect("a head");
    let started = Instant::now();
    let (bytes, failure) = read(inbound).await;
    assert_eq!(bytes, b"first");
    check(started, &failure.expect("cut"), FailureKind::Timeout, "fell silent");
}

#[tokio::test]
async fn a_stream_that_produces_outlives_the_idle_limit_and_the_total() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.request().await;
        peer.send(HEAD).await;
        let mut pace = interval(LIMIT / 6);
        for _ in 0..18 {
            pace.tick().await;
            peer.send("1\r\nx\r\n").await;
        }
        peer.send("0\r\n\r\n").await;
    })
    .await;
    let base = upstream.base();
    let timeouts = Timeouts { first_byte: LIMIT, idle: LIMIT, total: Some(LIMIT) };
    let started = Instant::now();
    let inbound = client().attempt(post(&base), &timeouts).await.expect("a head");
    assert_eq!(read(inbound).await, (vec![b'x'; 18], None));
    assert!(started.elapsed() > LIMIT * 2, "the stream was longer than both limits");
}

#[tokio::test]
async fn an_answer_that_is_no_stream_has_to_be_whole_in_time() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n")
            .await;
        let mut pace = interval(LIMIT / 10);
        for _ in 0..1_000 {
            pace.tick().await;
            peer.send("x").await;
        }
    })
    .await;
    let base = upstream.base();
    let client = client();
    let started = Instant::now();
    let inbound =
        client.attempt(post(&base), &Timeouts { total: Some(LIMIT), ..PATIENT }).await.expect("a head");
    let (bytes, failure) = read(inbound).await;
    assert!(bytes.len() > 3, "{bytes:?}");
    check(started, &failure.expect("cut"), FailureKind::Timeout, "did not finish its answer within 3 s");
}

#[tokio::test]
async fn a_reader_that_pauses_longer_than_the_idle_limit_is_not_the_providers_fault() {
    let go = std::sync::Arc::new(Notify::new());
    let gate = std::sync::Arc::clone(&go);
    let upstream = Upstream::start(move |mut peer| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            peer.request().await;
            peer.send(HEAD).await;
            peer.send("5\r\nfirst\r\n").await;
            gate.notified().await;
            peer.send("4\r\nlast\r\n0\r\n\r\n").await;
            peer.closed().await;
        }
    })
    .await;
    let base = upstream.base();
    let mut inbound =
        client().attempt(post(&base), &Timeouts { idle: LIMIT, ..PATIENT }).await.expect("a head");
    let first =
        http_body_util::BodyExt::frame(&mut inbound.body).await.expect("a frame").expect("no failure");
    assert_eq!(first.into_data().expect("data"), "first");
    let mut pause = interval(LIMIT * 2);
    pause.tick().await;
    pause.tick().await;
    go.notify_one();
    assert_eq!(read(inbound).await, (b"last".to_vec(), None));
}

#[tokio::test]
async fn limits_without_bound_are_limits_that_never_fire() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let base = upstream.base();
    let endless = Timeouts { first_byte: Duration::MAX, idle: Duration::MAX, total: Some(Duration::MAX) };
    let inbound = client().attempt(post(&base), &endless).await.expect("an answer");
    assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
}
