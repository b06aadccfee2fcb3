//! The same promises over HTTP/2, spoken with prior knowledge.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lunaroute_core::{Failure, FailureKind, Retry};
use lunaroute_ingress::{Broken, Config, Reply};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Served, alarm, endless, fed, serve, serve_draining, serve_echo, soon};

/// An HTTP/2 client; its connection lives in the returned set.
async fn client(served: &Served) -> (SendRequest<Full<Bytes>>, JoinSet<bool>) {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(async { connection.await.is_ok() });
    (sender, task)
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("http://localhost{path}");
    Request::builder().method("POST").uri(uri).body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn requests_are_answered_side_by_side() {
    let served = serve_echo(Config::default());
    let (sender, _connection) = client(&served).await;
    let mut calls = JoinSet::new();
    for n in 0..100 {
        let mut sender = sender.clone();
        calls.spawn(async move {
            let body = format!("body {n}").repeat(1_000);
            let response = sender.send_request(post(&format!("/{n}"), body.clone())).await.unwrap();
            let answer = response.into_body().collect().await.unwrap().to_bytes();
            answer == format!("POST /{n} {body}")
        });
    }
    assert!(soon(calls.join_all()).await.into_iter().all(|is_right| is_right));
}

#[tokio::test]
async fn a_reset_stream_drops_its_handler_and_no_other() {
    let (guard, dropped) = alarm();
    let guard = Mutex::new(Some(guard));
    let (sender_of_other, other) = fed(());
    let other = Mutex::new(Some(other));
    let served = serve(Config::default(), move |arrival| {
        let is_waiting = arrival.head.uri.path() == "/waiting";
        let guard = is_waiting.then(|| guard.lock().unwrap().take());
        let reply = other.lock().unwrap().take_if(|_| !is_waiting).unwrap_or_default();
        async move {
            if is_waiting {
                std::future::pending::<()>().await;
            }
            drop(guard);
            Response::new(reply)
        }
    });
    let (mut sender, _connection) = client(&served).await;
    let mut body = sender.send_request(post("/other", "")).await.unwrap().into_body();
    let mut waiting = JoinSet::new();
    let call = sender.send_request(post("/waiting", ""));
    waiting.spawn(call);
    // Both are under way: a third answer proves that the second request was sent before it.
    sender.send_request(post("/third", "")).await.unwrap();
    let start = Instant::now();
    waiting.shutdown().await;
    soon(dropped.cancelled()).await;
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    sender_of_other.send(Ok("still here".into())).await.unwrap();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "still here");
}

#[tokio::test]
async fn a_hang_up_drops_all_handlers_of_the_connection() {
    let (guard, dropped) = alarm();
    let guard = Mutex::new(Some(guard));
    let served = serve(Config::default(), move |_| {
        let (sender, reply) = fed((guard.lock().unwrap().take(), ()));
        async move { Response::builder().extension(Arc::new(sender)).body(reply).unwrap() }
    });
    let (mut sender, mut connection) = client(&served).await;
    let response = soon(sender.send_request(post("/", ""))).await.unwrap();
    let start = Instant::now();
    connection.shutdown().await;
    soon(dropped.cancelled()).await;
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    drop(response);
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_while_its_connection_lives() {
    let (guard, dropped) = alarm();
    let guard = Mutex::new(Some(guard));
    let config = Config { write_stall_timeout: Duration::from_millis(100), ..Config::default() };
    let served = serve(config, move |arrival| {
        let is_endless = arrival.head.uri.path() == "/endless";
        let reply =
            if is_endless { endless(guard.lock().unwrap().take()) } else { Reply::full("fine".into()) };
        async { Response::new(reply) }
    });
    let (mut sender, _connection) = client(&served).await;
    let unread = sender.send_request(post("/endless", "")).await.unwrap();
    soon(dropped.cancelled()).await;
    let response = soon(sender.send_request(post("/other", ""))).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fine");
    assert!(unread.into_body().collect().await.is_err(), "the client learns that its answer is not whole");
}

#[tokio::test]
async fn a_silent_stream_is_not_taken_for_one_that_is_not_read() {
    let (guard, dropped) = alarm();
    let (pieces, reply) = fed(guard);
    let reply = Mutex::new(Some(reply));
    let config = Config { write_stall_timeout: Duration::from_millis(50), ..Config::default() };
    let served = serve(config, move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let (mut sender, _connection) = client(&served).await;
    let mut body = sender.send_request(post("/", "")).await.unwrap().into_body();
    for piece in ["one", "two"] {
        pieces.send(Ok(piece.into())).await.unwrap();
        assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), piece);
        let cut = tokio::time::timeout(Duration::from_millis(200), dropped.cancelled()).await;
        assert!(cut.is_err(), "a stream that waits for its provider was cut");
    }
}

#[tokio::test]
async fn no_more_streams_at_once_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&most));
    let served = serve(Config { max_concurrent_streams: 2, ..Config::default() }, move |_| {
        let (now, most) = (Arc::clone(&counted), Arc::clone(&peak));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            Response::new(Reply::empty())
        }
    });
    let (mut sender, _connection) = client(&served).await;
    // The first answer comes after the settings: from here on the client knows the limit.
    sender.send_request(post("/", "")).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let mut sender = sender.clone();
        calls.spawn(async move { sender.send_request(post("/", "")).await.is_ok() });
    }
    assert!(soon(calls.join_all()).await.into_iter().all(|is_ok| is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_and_the_connection_goes_on() {
    let served = serve_echo(Config { header_limit_bytes: 8_192, ..Config::default() });
    let (mut sender, _connection) = client(&served).await;
    sender.send_request(post("/", "")).await.unwrap();
    let mut large = post("/large", "");
    large.headers_mut().insert("x-large", "x".repeat(9_000).parse().unwrap());
    let refused = soon(sender.send_request(large)).await;
    assert!(
        refused.is_err()
            || refused.is_ok_and(|response| response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    );
    let response = soon(sender.send_request(post("/small", ""))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let limit = Duration::from_millis(100);
    let (pieces, reply) = fed(());
    let reply = Mutex::new(Some(reply));
    let config = Config { header_read_timeout: limit, keep_alive_timeout: limit, ..Config::default() };
    let served = serve(config, move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let (mut sender, mut connection) = client(&served).await;
    let mut body = sender.send_request(post("/", "")).await.unwrap().into_body();
    assert!(tokio::time::timeout(limit * 5, connection.join_next()).await.is_err(), "closed while busy");
    pieces.send(Ok("piece".into())).await.unwrap();
    soon(body.frame()).await.unwrap().unwrap();
    drop((pieces, body));
    assert!(soon(connection.join_next()).await.is_some(), "closed once idle");
}

#[tokio::test]
async fn a_broken_answer_is_a_reset_stream_and_a_panic_is_500() {
    let (pieces, reply) = fed(());
    let reply = Mutex::new(Some(reply));
    let served = serve(Config::default(), move |arrival| {
        let reply = reply.lock().unwrap().take_if(|_| arrival.head.uri.path() == "/broken");
        async { Response::new(reply.expect("asked to panic")) }
    });
    let (mut sender, _connection) = client(&served).await;
    let body = sender.send_request(post("/broken", "")).await.unwrap().into_body();
    pieces.send(Ok("part".into())).await.unwrap();
    let failure = Failure::upstream(FailureKind::Timeout, Retry::Never, "no more came");
    pieces.send(Err(Broken { failure })).await.unwrap();
    assert!(soon(body.collect()).await.is_err());
    let response = soon(sender.send_request(post("/panic", ""))).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_stop_lets_streams_finish_and_leaves_nothing_running() {
    for (drain, is_finished) in [(Duration::from_secs(600), true), (Duration::from_millis(100), false)] {
        let (guard, dropped) = alarm();
        let (pieces, reply) = fed(guard);
        let reply = Mutex::new(Some(reply));
        let served = serve_draining(Config::default(), drain, move |_| {
            let reply = reply.lock().unwrap().take().unwrap_or_default();
            async { Response::new(reply) }
        });
        let (mut sender, _connection) = client(&served).await;
        let body = sender.send_request(post("/", "")).await.unwrap().into_body();
        pieces.send(Ok("before".into())).await.unwrap();
        served.begin_stop();
        if is_finished {
            pieces.send(Ok(" after".into())).await.unwrap();
            drop(pieces);
            assert_eq!(soon(body.collect()).await.unwrap().to_bytes(), "before after");
        }
        let report = served.stopped().await;
        assert_eq!(
            (report.connections_finished, report.connections_cut),
            (is_finished.into(), (!is_finished).into())
        );
        assert!(dropped.is_cancelled());
    }
}
