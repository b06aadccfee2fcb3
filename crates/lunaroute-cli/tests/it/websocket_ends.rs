//! How a WebSocket begins and ends, and what it may use up.

use std::time::Duration;

use lunaroute_sim::Outcome;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::client::Call;
use crate::support::stage::{RESPONSES, Stage};
use crate::support::websocket::Socket;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_cancels_what_it_asked_for() {
    let stage = Stage::open("").await;
    let headers = [("x-sim-script", "endless,delay=3"), ("x-test-id", "gone")];
    let mut socket = Socket::open(stage.gateway.address, &headers).await;
    socket.ask("m", json!("talk"), json!({})).await;
    assert_eq!(socket.event().await["type"], "response.created");
    drop(socket);
    let entry = tokio::time::timeout(Duration::from_secs(10), stage.entry("gone")).await.expect("it is cut");
    assert_ne!(entry.outcome, Some(Outcome::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_has_its_code() {
    let stage = Stage::open("limits: { body: 8KiB, decoded_body: 8KiB }\n").await;
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    socket.send(Message::text("x".repeat(10_000))).await;
    assert_eq!(socket.end().await, 1009, "too large");
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    socket.send(Message::binary(vec![1, 2])).await;
    assert_eq!(socket.end().await, 1003, "not text");
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    socket.send(Message::Close(None)).await;
    let mut idle = Socket::open(stage.gateway.address, &[]).await;
    stage.gateway.terminate();
    assert_eq!(idle.end().await, 1001, "the gateway stops");
    assert_eq!(stage.gateway.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_finished_before_the_gateway_stops() {
    let stage = Stage::open("").await;
    let mut socket = Socket::open(stage.gateway.address, &[("x-sim-script", "text=6,delay=50")]).await;
    socket.ask("m", json!("talk"), json!({})).await;
    assert_eq!(socket.event().await["type"], "response.created");
    stage.gateway.terminate();
    assert_eq!(socket.answer().await.last().expect("events")["type"], "response.completed");
    assert_eq!(socket.end().await, 1001);
    assert_eq!(stage.gateway.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_told_goodbye() {
    let stage = Stage::open("responses: { websocket_idle: 50ms }\n").await;
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    assert_eq!(socket.end().await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_waiting_frames_end_the_connection() {
    let stage = Stage::open("").await;
    let mut socket = Socket::open(stage.gateway.address, &[("x-sim-script", "first_byte=20000")]).await;
    for _ in 0..18 {
        socket.ask("m", json!("more"), json!({})).await;
    }
    assert_eq!(socket.end().await, 1013);
    assert_eq!(stage.ledger_when(|ledger| ledger.finished() == 1).await.entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_takes_a_place_and_a_full_house_says_so() {
    let stage = Stage::open("limits: { requests: 1 }\n").await;
    let slow = Call::post(RESPONSES, r#"{"model":"m","input":"x","stream":true}"#).short("endless,delay=5");
    let mut connection = stage.connect().await;
    connection.send(&slow).await;
    assert_eq!(connection.head().await.status, 200);
    let mut socket = Socket::open(stage.gateway.address, &[]).await;
    let event = socket.error("m", json!("one"), json!({})).await;
    assert_eq!((&event["status"], &event["error"]["code"]), (&json!(503), &json!("server_is_overloaded")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_none_is_refused() {
    let stage = Stage::open("").await;
    let upgrade = || Call::get(RESPONSES).header("connection", "Upgrade").header("upgrade", "websocket");
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (call, status) in [
        (upgrade().header("sec-websocket-version", "13"), 400),
        (upgrade().header("sec-websocket-version", "12").header("sec-websocket-key", key), 400),
        (upgrade().header("sec-websocket-version", "13").header("sec-websocket-key", "short"), 400),
        (upgrade().header("origin", "https://elsewhere.example"), 403),
    ] {
        assert_eq!(stage.exchange(&call).await.status(), status, "{call:?}");
    }
    for path in ["/v1/chat/completions", "/v1/responses/resp_1", "/v1/realtime"] {
        let call = Call { target: path.to_owned(), ..upgrade() };
        assert_eq!(stage.exchange(&call).await.status(), 426, "{path}");
    }
    let refused = Socket::try_open(stage.gateway.address, &[("origin", "https://elsewhere.example")]).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 403));
    assert_eq!(stage.provider.ledger().entries.len(), 0);
}
