//! Endings that are easy to mistake: an answer that was whole is never told as one that broke, nor the other way round.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use bytes::Bytes;
use lunaroute_sim::{Fault, Point, RawResponse, Script};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::support::client::{Call, Connection, End, Piece, exchange};
use crate::support::events::{events, is_error};
use crate::support::gateway::{command, log, signal};
use crate::support::raw_upstream::RawUpstream;
use crate::support::stage::{CHAT, Stage, body, record, until};
use crate::support::{Gateway, GatewayOptions};

/// A gateway before a provider that answers byte for byte.
async fn before_raw_upstream() -> (RawUpstream, Gateway, TempDir) {
    let upstream = RawUpstream::start().await;
    let home = tempfile::tempdir().expect("a directory");
    let address = format!("http://{}", upstream.address);
    let options = GatewayOptions { upstream: Some(address), ..GatewayOptions::default() };
    let gateway = Gateway::start(home.path(), &options);
    (upstream, gateway, home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_body_is_whole() {
    let (upstream, gateway, home) = before_raw_upstream().await;
    for (method, head, length) in [
        ("GET", "204 No Content\r\n", None),
        ("GET", "200 OK\r\ncontent-length: 0\r\n", Some("0")),
        ("GET", "304 Not Modified\r\ncontent-length: 120\r\netag: \"x\"\r\n", Some("120")),
        ("HEAD", "200 OK\r\ncontent-length: 120\r\n", Some("120")),
    ] {
        upstream.answer_with(format!("HTTP/1.1 {head}\r\n"));
        let answer = exchange(gateway.address, &Call::new(method, "/v1/files/a")).await;
        assert_eq!(answer.end, End::Whole, "{method} {head}");
        assert_eq!(answer.head.header("content-length"), length, "{method} {head}");
        let row = record(home.path(), answer.head.request_id()).await.request;
        assert_eq!(row.ending.as_deref(), Some("completed"), "{method} {head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_after_the_end_has_not_hung_up() {
    let (upstream, gateway, home) = before_raw_upstream().await;
    // The provider says its last word and never closes.
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    upstream.answer_with(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{said}\r\n",
        said.len()
    ));
    let mut connection = Connection::open(gateway.address).await;
    connection.send(&Call::post(CHAT, body(CHAT, "m", true))).await;
    let head = connection.head().await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"[DONE]\n\n") {
        let Piece::Data(data) = connection.piece().await else { panic!("the stream ended") };
        seen.extend(data);
    }
    drop(connection);
    let row = record(home.path(), head.request_id()).await.request;
    assert_eq!(row.ending.as_deref(), Some("completed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_finished_choice_does_not_hide_that_another_was_cut() {
    let stage = Stage::open("").await;
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"but\"},\"finish_reason\":null}]}\n\n";
    let raw = RawResponse::new(
        "text/event-stream",
        vec![Bytes::from_static(text.as_bytes()), Bytes::from_static(b"data: [DONE]\n\n")],
    );
    stage.provider.register("two", raw).expect("there is room");
    for reset in [false, true] {
        let after = Point::Bytes(text.len() as u64);
        let script = Script { fault: Some(Fault::Cut { after, reset }), ..Script::registered("two") };
        let answer = stage.exchange(&Call::post(CHAT, body(CHAT, "m", true)).script(&script)).await;
        let seen = events(&answer.body);
        assert!(seen.last().is_some_and(|event| is_error(CHAT, event)), "{}", answer.text());
        let row = stage.record(answer.head.request_id()).await.request;
        assert_eq!(row.ending.as_deref(), Some("upstream_error"), "reset: {reset}");
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut child = command(home.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::from(full))
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("a line");
    assert!(line.contains("listening"), "{line:?}");
    signal(child.id(), "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_nothing_is_open_after_the_next_start() {
    let stage = Stage::open("").await;
    let mut connection = stage.connect().await;
    let script = Script { endless: true, event_delay_ms: 10, ..Script::default() };
    connection.send(&Call::post(CHAT, body(CHAT, "m", true)).script(&script)).await;
    let id = connection.head().await.request_id();
    let Stage { provider, gateway, home } = stage;
    gateway.terminate();
    until("the drain to begin", async || log(home.path()).contains("once more stops at once").then_some(()))
        .await;
    gateway.terminate();
    assert_eq!(block_in_place(|| gateway.wait()), Some(130));
    let options = GatewayOptions { upstream: Some(provider.base_url()), ..GatewayOptions::default() };
    let again = Gateway::start(home.path(), &options);
    let row = record(home.path(), id).await.request;
    assert!(matches!(row.ending.as_deref(), Some("interrupted" | "cancelled")), "{row:?}");
    assert_eq!(block_in_place(|| again.stop()), Some(0));
}

#[test]
fn run_passes_sigterm_on_to_its_command() {
    let home = tempfile::tempdir().expect("a directory");
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let mut child = command(home.path())
        .args(["run", "--listen", "127.0.0.1:0", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("a line");
    assert_eq!(line, "up\n");
    signal(child.id(), "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(9));
}
