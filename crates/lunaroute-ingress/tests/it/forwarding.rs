//! Bytes, order and pace of answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use lunaroute_core::{Failure, FailureKind, Retry, Timestamp};
use lunaroute_ingress::{Broken, Config, Gathered, Reply};

use crate::support::{PATIENCE, fed, serve, serve_echo};

#[tokio::test]
async fn an_arrival_says_who_and_when() {
    let before = Timestamp::now();
    let served = serve(Config::default(), move |arrival| {
        let is_timely = arrival.received_at >= before
            && arrival.received_at <= Timestamp::now()
            && arrival.started.elapsed() < Duration::from_secs(20);
        let line = format!("{} {is_timely} {:?}", arrival.peer, arrival.head.headers.get_all("x-twice"));
        async { Response::new(Reply::full(line.into())) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\nx-twice: 1\r\nX-Twice: 2\r\nconnection: close\r\n\r\n").await;
    let peer = raw.stream.local_addr().unwrap();
    let answer = raw.hear_all().await;
    assert!(answer.contains(&format!("{peer} true ")), "{answer}");
    assert!(answer.contains(r#""1""#) && answer.contains(r#""2""#), "{answer}");
}

#[tokio::test]
async fn a_hundred_requests_in_one_segment_are_answered_in_order() {
    let served = serve_echo(Config::default());
    let mut raw = served.connect().await;
    let requests: String =
        (0..100).map(|n| format!("POST /{n} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody")).collect();
    raw.say(requests).await;
    for n in 0..100 {
        let answer = raw.hear("body").await;
        assert!(answer.ends_with(&format!("POST /{n} body")), "{n}: {answer}");
    }
}

#[tokio::test]
async fn a_broken_answer_never_ends_like_a_whole_one() {
    for declared in [None, Some("100")] {
        let (sender, reply) = fed(());
        let reply = Mutex::new(Some(reply));
        let served = serve(Config::default(), move |_| {
            let mut response = Response::new(reply.lock().unwrap().take().unwrap_or_default());
            if let Some(length) = declared {
                response.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
            }
            async { response }
        });
        let mut raw = served.connect().await;
        raw.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        sender.send(Ok("part".into())).await.unwrap();
        raw.hear("part").await;
        let failure = Failure::upstream(FailureKind::Protocol, Retry::Never, "the provider hung up");
        sender.send(Err(Broken { failure })).await.unwrap();
        let rest = raw.hear_all().await;
        assert!(rest.is_empty() || rest == "\r\n", "{declared:?}: {rest:?}");
    }
}

/// On one connection, because the kernel acknowledges at once until it has seen an exchange or two.
#[tokio::test]
async fn a_burst_of_small_frames_meets_no_delayed_acknowledgement() {
    const FRAMES: usize = 50;
    let (replies, waiting) = tokio::sync::mpsc::channel(1);
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let served = serve(Config::default(), move |_| {
        let waiting = Arc::clone(&waiting);
        async move { Response::new(waiting.lock().await.recv().await.unwrap()) }
    });
    let mut raw = served.connect().await;
    let mut times = Vec::new();
    for _ in 0..9 {
        let (sender, reply) = fed(());
        raw.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        replies.send(reply).await.unwrap();
        raw.hear("\r\n\r\n").await;
        let start = Instant::now();
        for n in 0..FRAMES {
            sender.send(Ok(format!("data: {n:02}\n\n").into())).await.unwrap();
            // The listener writes each frame by itself: the case in which small segments wait for each other.
            tokio::task::yield_now().await;
        }
        drop(sender);
        raw.hear("\r\n0\r\n\r\n").await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(30), "a delayed acknowledgement costs 40 ms: {times:?}");
}

#[tokio::test]
async fn the_first_frame_does_not_wait_for_the_second() {
    let (sender, reply) = fed(());
    let reply = Mutex::new(Some(reply));
    let served = serve(Config::default(), move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    for piece in ["one", "two", "three"] {
        sender.send(Ok(piece.into())).await.unwrap();
        raw.hear(piece).await;
    }
    drop(sender);
    assert_eq!(raw.hear_all().await, "\r\n0\r\n\r\n");
}

/// When the second piece is asked for, it is looked whether the client has the first.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_many_ready_events_goes_out_before_the_second_is_asked_for() {
    const PIECES: [&str; 4] = ["one ", "two ", "three ", "four "];
    let (arrived, arrival) = std::sync::mpsc::sync_channel(1);
    let asked = futures_util::stream::iter(0..PIECES.len()).map(move |n| {
        // Somebody else has to look after the client meanwhile.
        let is_there = n != 1 || tokio::task::block_in_place(|| arrival.recv_timeout(PATIENCE).is_ok());
        Ok(Frame::data(Bytes::from(if is_there { PIECES[n] } else { "too late " })))
    });
    let reply = Mutex::new(Some(Reply::gathered(Gathered::new(StreamBody::new(asked)).prompt())));
    let served = serve(Config::default(), move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    raw.hear(PIECES[0]).await;
    arrived.send(()).unwrap();
    let rest = raw.hear_all().await;
    assert!(PIECES[1..].iter().all(|piece| rest.contains(piece)) && rest.ends_with("0\r\n\r\n"), "{rest:?}");
}

/// A stream of ready pieces and what it ends with, to a client that sees the framing.
async fn heard(pieces: usize, end: Option<Broken>) -> String {
    let frames = (0..pieces)
        .map(|n| Ok(Frame::data(Bytes::from(format!("data: {n:03}\n\n")))))
        .chain(end.map(Err))
        .collect::<Vec<_>>();
    let reply = Mutex::new(Some(Reply::stream(StreamBody::new(futures_util::stream::iter(frames)))));
    let served = serve(Config::default(), move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    raw.hear_all().await
}

#[tokio::test]
async fn a_burst_reaches_the_client_in_few_pieces() {
    const PIECES: usize = 500;
    let answer = heard(PIECES, None).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let chunks = body.split("\r\n").step_by(2).filter(|size| !size.is_empty() && *size != "0").count();
    println!("{PIECES} pieces came in {chunks} chunks");
    assert!((1..=3).contains(&chunks), "{chunks} chunks");
    let data: String = body.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(data, (0..PIECES).map(|n| format!("data: {n:03}\n\n")).collect::<String>());
}

#[tokio::test]
async fn what_came_before_a_failure_reaches_the_client() {
    let failure = Failure::upstream(FailureKind::Protocol, Retry::Never, "the provider hung up");
    for pieces in [1, 2, 50] {
        let answer = heard(pieces, Some(Broken { failure: failure.clone() })).await;
        assert_eq!(answer.matches("data: ").count(), pieces, "{answer:?}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer:?}");
    }
}
