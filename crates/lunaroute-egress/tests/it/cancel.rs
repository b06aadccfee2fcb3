//! Whoever lets go of an answer lets go of the request, at once.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::upstream::{Upstream, within};
use crate::{PATIENT, client, post, read};

/// A quarter of a second is what a client's hang-up may take to reach the provider.
const PROMISED: Duration = Duration::from_millis(250);

#[tokio::test]
async fn a_dropped_body_closes_the_connection() {
    for head in ["transfer-encoding: chunked", "content-length: 1000000"] {
        let (tell, mut told) = mpsc::channel(1);
        let upstream = Upstream::start(move |mut peer| {
            let tell = tell.clone();
            async move {
                peer.request().await;
                peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nfirst\r\n")).await;
                peer.closed().await;
                tell.send(()).await.expect("the test listens");
            }
        })
        .await;
        let client = client();
        let base = upstream.base();
        let mut inbound = client.attempt(post(&base), &PATIENT).await.expect("a head");
        http_body_util::BodyExt::frame(&mut inbound.body).await.expect("a frame").expect("no failure");
        drop(inbound);
        within(PROMISED, told.recv()).await.expect("the provider saw the end");
    }
}

#[tokio::test]
async fn a_body_nobody_has_read_from_closes_the_connection_too() {
    let (tell, mut told) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            peer.closed().await;
            tell.send(()).await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    drop(client.attempt(post(&base), &PATIENT).await.expect("a head"));
    within(PROMISED, told.recv()).await.expect("the provider saw the end");
}

#[tokio::test]
async fn a_dropped_attempt_closes_the_connection() {
    let (tell, mut told) = mpsc::channel(2);
    let upstream = Upstream::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            tell.send("request").await.expect("the test listens");
            peer.closed().await;
            tell.send("end").await.expect("the test listens");
        }
    })
    .await;
    let client = client();
    let base = upstream.base();
    {
        let attempt = std::pin::pin!(client.attempt(post(&base), &PATIENT));
        tokio::select! {
            _ = attempt => panic!("nothing answers"),
            word = told.recv() => assert_eq!(word, Some("request")),
        }
    }
    assert_eq!(within(PROMISED, told.recv()).await, Some("end"));
}

#[tokio::test]
async fn a_body_that_was_read_to_its_end_keeps_the_connection() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let client = client();
    let base = upstream.base();
    for _ in 0..3 {
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
    }
    assert_eq!(upstream.connections(), 1);
}
