//! Connections are kept, swept and never queued for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lunaroute_egress::{Client, Config};
use tokio::sync::{Barrier, mpsc};

use crate::upstream::{Upstream, within};
use crate::{PATIENT, client, post, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_fifty_requests_at_once_do_not_wait_for_each_other() {
    // Nobody is answered before all have arrived: one queued request would hold up every other for ever.
    let all_here = Arc::new(Barrier::new(250));
    let upstream = Upstream::start(move |mut peer| {
        let all_here = Arc::clone(&all_here);
        async move {
            while peer.request().await.is_some() {
                all_here.wait().await;
                peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    let requests = (0..250)
        .map(|_| async { read(client.attempt(post(&base), &PATIENT).await.expect("an answer")).await });
    let answers = within(Duration::from_secs(20), join_all(requests)).await;
    assert!(answers.iter().all(|(bytes, failure)| bytes == b"ok" && failure.is_none()));
    assert_eq!(upstream.connections(), 250);
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_while_idle_is_not_an_error() {
    let (tell, mut told) = mpsc::channel(8);
    let upstream = Upstream::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            drop(peer);
            tell.send(()).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    for round in 1..=5 {
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
        told.recv().await.expect("closed");
        assert_eq!(upstream.connections(), round);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time_and_beyond_their_number() {
    for config in [
        Config { pool_idle_timeout: Duration::from_millis(100), ..Config::default() },
        Config { pool_max_idle_per_host: 0, ..Config::default() },
    ] {
        let (tell, mut told) = mpsc::channel(1);
        let upstream = Upstream::start(move |mut peer| {
            let tell = tell.clone();
            async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                peer.closed().await;
                tell.send(()).await.expect("the test listens");
            }
        })
        .await;
        let client = Client::new(&config).expect("a client");
        let base = upstream.base();
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
        within(Duration::from_secs(5), told.recv()).await.expect("swept");
    }
}

#[tokio::test]
async fn frames_arrive_one_by_one_as_they_are_sent() {
    let (go, gate) = mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let upstream = Upstream::start(move |mut peer| {
        let gate = Arc::clone(&gate);
        async move {
            peer.request().await;
            peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while gate.lock().await.recv().await.is_some() {
                peer.send("2\r\nab\r\n").await;
            }
            peer.send("0\r\n\r\n").await;
        }
    })
    .await;
    let base = upstream.base();
    let mut inbound = client().attempt(post(&base), &PATIENT).await.expect("a head");
    for _ in 0..20 {
        go.send(()).await.expect("the provider waits");
        let frame =
            http_body_util::BodyExt::frame(&mut inbound.body).await.expect("a frame").expect("no failure");
        assert_eq!(
            frame.into_data().expect("data"),
            "ab",
            "one frame in, the same frame out, before the next one"
        );
    }
    drop(go);
    assert_eq!(read(inbound).await, (vec![], None));
}
