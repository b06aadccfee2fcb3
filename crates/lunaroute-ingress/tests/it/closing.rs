//! How requests and connections end: by the client, by a panic, by the listener.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Response;
use lunaroute_ingress::{Config, DrainReport, Reply, read_body};
use tokio_util::sync::CancellationToken;

use crate::support::{Served, alarm, fed, room, serve, serve_draining, serve_echo, soon};

const PROMPT: Duration = Duration::from_millis(250);

/// Where a handler is when its client goes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    ReadingBody,
    Waiting,
    Streaming,
}

/// A listener whose handler stays at `stage` for ever; tokens for "it is there" and "it was dropped".
fn staying(stage: Stage) -> (Served, CancellationToken, CancellationToken) {
    let (guard, dropped) = alarm();
    let (guard, there) = (Mutex::new(Some(guard)), CancellationToken::new());
    let reached = there.clone();
    let served = serve(Config::default(), move |arrival| {
        let (guard, reached) = (guard.lock().unwrap().take(), reached.clone());
        async move {
            match stage {
                Stage::ReadingBody => {
                    reached.cancel();
                    let _ = read_body(arrival.body, &Config::default(), &mut room()).await;
                }
                Stage::Waiting => {
                    let _ = read_body(arrival.body, &Config::default(), &mut room()).await;
                    reached.cancel();
                    std::future::pending::<()>().await;
                }
                Stage::Streaming => {
                    let (sender, reply) = fed(guard);
                    sender.send(Ok("first".into())).await.unwrap();
                    reached.cancel();
                    // The sender goes along so that the stream stays open and silent.
                    return Response::builder().extension(std::sync::Arc::new(sender)).body(reply).unwrap();
                }
            }
            drop(guard);
            Response::new(Reply::empty())
        }
    });
    (served, there, dropped)
}

#[tokio::test]
async fn a_hang_up_is_felt_at_once_wherever_the_handler_stands() {
    for stage in [Stage::ReadingBody, Stage::Waiting, Stage::Streaming] {
        for is_reset in [false, true] {
            let (served, there, dropped) = staying(stage);
            let mut raw = served.connect().await;
            raw.say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
            if !matches!(stage, Stage::ReadingBody) {
                raw.say("lo").await;
            }
            soon(there.cancelled()).await;
            if matches!(stage, Stage::Streaming) {
                raw.hear("first").await;
            }
            if is_reset {
                raw.stream.set_zero_linger().unwrap();
            }
            let start = Instant::now();
            drop(raw);
            soon(dropped.cancelled()).await;
            let taken = start.elapsed();
            assert!(taken < PROMPT, "{stage:?}, reset {is_reset}: {taken:?}");
        }
    }
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_nothing_else() {
    let served = serve(Config::default(), |arrival| {
        assert!(arrival.head.uri.path() != "/at-once", "asked to panic at once");
        async move {
            assert!(arrival.head.uri.path() != "/later", "asked to panic later");
            Response::new(Reply::full("fine".into()))
        }
    });
    let mut raw = served.connect().await;
    for path in ["/at-once", "/later", "/at-once"] {
        raw.say(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(raw.hear("\r\n\r\n").await.starts_with("HTTP/1.1 500"));
        raw.say("GET /good HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(raw.hear("fine").await.starts_with("HTTP/1.1 200"), "the same connection goes on");
    }
}

#[tokio::test]
async fn a_stop_lets_streams_finish_and_closes_idle_connections() {
    let (senders, reply) = fed(());
    let reply = Mutex::new(Some(reply));
    let served = serve_draining(Config::default(), Duration::from_secs(600), move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let mut busy = served.connect().await;
    busy.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    senders.send(Ok("before".into())).await.unwrap();
    busy.hear("before").await;
    let mut idle = served.connect().await;
    idle.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.hear("\r\n\r\n").await;

    let address = served.address;
    served.begin_stop();
    assert_eq!(idle.hear_all().await, "", "closed without a word");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody new comes in");
    senders.send(Ok("after".into())).await.unwrap();
    drop(senders);
    assert!(busy.hear_all().await.ends_with("after\r\n0\r\n\r\n"), "the stream came to its own end");
    let report = served.stopped().await;
    assert_eq!(report.connections_cut, 0);
    assert!((1..=2).contains(&report.connections_finished), "{report:?}");
}

#[tokio::test]
async fn a_stop_cuts_what_is_still_busy_at_the_deadline() {
    let (guard, dropped) = alarm();
    let (sender, reply) = fed(guard);
    let reply = Mutex::new(Some(reply));
    let drain = Duration::from_millis(150);
    let served = serve_draining(Config::default(), drain, move |_| {
        let reply = reply.lock().unwrap().take().unwrap_or_default();
        async { Response::new(reply) }
    });
    let mut raw = served.connect().await;
    raw.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sender.send(Ok("part".into())).await.unwrap();
    raw.hear("part").await;
    let start = Instant::now();
    let report = served.stopped().await;
    assert_eq!(report, DrainReport { connections_finished: 0, connections_cut: 1 });
    assert!(start.elapsed() >= drain);
    assert!(dropped.is_cancelled(), "nothing is left running");
    assert!(!raw.hear_all().await.contains("0\r\n\r\n"), "a cut answer has no normal end");
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_head_does_not_wait_for_it() {
    let served = serve_echo(Config::default());
    let mut raw = served.connect().await;
    raw.say("PRI ").await;
    let mut first = served.connect().await;
    first.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.hear("GET / ").await;
    let report = served.stopped().await;
    assert_eq!(report.connections_finished + report.connections_cut, 2, "{report:?}");
}
