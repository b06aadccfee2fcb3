//! Every limit of the configuration has its effect.

use std::time::{Duration, Instant};

use http::Response;
use lunaroute_ingress::{BindError, Config, Listener, Reply};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::{Raw, alarm, endless, serve, serve_echo, soon};

const SHORT: Duration = Duration::from_millis(150);

/// Says one byte of `head` now and then until the connection is closed, and returns how long that took.
async fn dribble(raw: &mut Raw, head: &str) -> Duration {
    let start = Instant::now();
    let mut buffer = [0; 1024];
    for byte in head.bytes().chain(std::iter::repeat(b'x')) {
        if !raw.say([byte]).await {
            break;
        }
        let pause = timeout(Duration::from_millis(10), raw.stream.read(&mut buffer)).await;
        if matches!(pause, Ok(Ok(0) | Err(_))) {
            break;
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "never closed");
    }
    start.elapsed()
}

#[tokio::test]
async fn a_first_request_that_does_not_come_closes_the_connection() {
    let patient = Duration::from_secs(3_600);
    let config = Config { header_read_timeout: SHORT, keep_alive_timeout: patient, ..Config::default() };
    let served = serve_echo(config);
    // Silent; silent within the HTTP/2 preface, where no protocol's own timer runs; silent after it.
    for words in ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut raw = served.connect().await;
        let start = Instant::now();
        raw.say(words).await;
        raw.hear_all().await;
        assert!(start.elapsed() >= SHORT, "{words:?}");
    }
    let mut raw = served.connect().await;
    let taken = dribble(&mut raw, "POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert!(taken >= SHORT, "{taken:?}");
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_nothing_follows() {
    let config = Config { keep_alive_timeout: SHORT, ..Config::default() };
    let served = serve_echo(config);
    for following in ["", "GET /b HTTP/1.1\r\nx-slow: "] {
        let mut raw = served.connect().await;
        raw.say("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        raw.hear("GET /a ").await;
        let start = Instant::now();
        if following.is_empty() {
            raw.hear_all().await;
        } else {
            dribble(&mut raw, following).await;
        }
        assert!(start.elapsed() >= SHORT * 9 / 10, "closed after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_gets_431() {
    let served = serve_echo(Config { header_limit_bytes: 8_192, ..Config::default() });
    for (size, status) in [(7_000, "200"), (9_000, "431"), (60_000, "431")] {
        let mut raw = served.connect().await;
        raw.say(format!("GET / HTTP/1.1\r\nhost: a\r\nx-large: {}\r\n\r\n", "x".repeat(size))).await;
        let status_line = raw.hear("\r\n").await;
        assert!(status_line.starts_with(&format!("HTTP/1.1 {status}")), "{size}: {status_line}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_gets_413_that_can_be_read() {
    const LIMIT: usize = 64 * 1024;
    let served = serve_echo(Config { body_limit_bytes: LIMIT, ..Config::default() });
    let mut raw = served.connect().await;
    raw.say(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LIMIT}\r\n\r\n")).await;
    raw.say(vec![b'x'; LIMIT]).await;
    assert!(raw.hear("POST / x").await.starts_with("HTTP/1.1 200"), "at the limit");

    // Announced: answered before anything of the body was sent.
    let mut raw = served.connect().await;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n", LIMIT + 1);
    raw.say(format!("{head}expect: 100-continue\r\n\r\n")).await;
    let answer = raw.hear_all().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too_large"), "{answer}");

    // The client sends all before it reads: a reset would fail its sending, and it would not look for an answer.
    for (framing, chunk) in [("content-length: 16000000", ""), ("transfer-encoding: chunked", "f42400\r\n")] {
        let mut raw = served.connect().await;
        raw.say(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{chunk}")).await;
        assert!(raw.say(vec![b'x'; 16_000_000]).await, "{framing}: reset while sending");
        let answer = raw.hear_all().await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too_large"), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_gets_408() {
    let served = serve_echo(Config { body_read_timeout: SHORT, ..Config::default() });
    let mut raw = served.connect().await;
    let start = Instant::now();
    raw.say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await;
    let answer = raw.hear_all().await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.ends_with("request_timeout"), "{answer}");
    assert!(start.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let (guard, dropped) = alarm();
    let guard = std::sync::Mutex::new(Some(guard));
    let served = serve(Config { write_stall_timeout: SHORT, ..Config::default() }, move |_| {
        let reply = endless(guard.lock().unwrap().take());
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    raw.hear("\r\n\r\n").await;
    soon(dropped.cancelled()).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_cut() {
    let limit = Duration::from_millis(400);
    let (guard, dropped) = alarm();
    let guard = std::sync::Mutex::new(Some(guard));
    let served = serve(Config { write_stall_timeout: limit, ..Config::default() }, move |_| {
        let reply = endless(guard.lock().unwrap().take());
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let start = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut buffer = vec![0; 512 * 1024];
    while start.elapsed() < limit * 3 {
        pace.tick().await;
        assert!(soon(raw.stream.read(&mut buffer)).await.unwrap() > 0);
    }
    assert!(!dropped.is_cancelled());
}

#[tokio::test]
async fn beyond_the_most_connections_a_few_are_answered_and_sent_away_and_the_others_wait() {
    /// As many as are taken beyond the limit.
    const CROWDED: usize = 32;
    let served = serve(Config { max_connections: 1, ..Config::default() }, |arrival| async move {
        Response::new(Reply::full(format!("{} {}", arrival.head.uri.path(), arrival.is_crowded).into()))
    });
    let mut first = served.connect().await;
    first.say("GET /first HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.hear("/first false").await;

    let mut second = served.connect().await;
    second.say("GET /second HTTP/1.1\r\nhost: a\r\n\r\nGET /after HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = second.hear_all().await;
    assert!(answer.contains("connection: close") && answer.ends_with("/second true"), "{answer}");

    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..CROWDED {
        silent.push(served.connect().await);
    }
    let mut last = served.connect().await;
    last.say("GET /last HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let early = timeout(SHORT, last.hear("/last ")).await;
    assert!(early.is_err(), "answered beside all others");
    assert!(last.hear_all().await.ends_with("/last true"));
    let taken = start.elapsed();
    assert!(taken < Config::default().header_read_timeout, "silence costs the others no more: {taken:?}");

    drop(first);
    let mut next = served.connect().await;
    loop {
        next.say("GET /next HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = next.hear("/next ").await;
        if !answer.contains("connection: close") {
            break;
        }
        next = served.connect().await;
    }
    println!("a crowded listener answered at once, and after {taken:?} of silence of {CROWDED} others");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once() {
    let any = ([127, 0, 0, 1], 0).into();
    for config in [
        Config { header_limit_bytes: 100, ..Config::default() },
        Config { max_connections: 0, ..Config::default() },
        Config { max_concurrent_streams: 0, ..Config::default() },
        Config { write_stall_timeout: Duration::ZERO, ..Config::default() },
    ] {
        let error = Listener::bind(any, config).unwrap_err();
        assert!(matches!(error, BindError::Setting { .. }), "{error}");
    }
    let holder = Listener::bind(any, Config::default()).unwrap();
    let error = Listener::bind(holder.local_addr(), Config::default()).unwrap_err();
    assert!(error.to_string().contains(&holder.local_addr().to_string()), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(format!("{:?}", Reply::full("abc".into())), r#"Reply { kind: "full", bytes: Some(3) }"#);
}
