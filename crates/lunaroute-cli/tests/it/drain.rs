//! A gateway that is told to stop: what runs may finish, up to a deadline, and everything is written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lunaroute_sim::Script;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, block_in_place};

use crate::support::gateway::log;
use crate::support::ledger::{Parity, Recorded, Seen, assert_sound, compare, watch};
use crate::support::stage::{GENERATIONS, Stage, ask, until};

const STREAMS: usize = 50;

/// Streams of one kind through a stage, all of them with a first piece at the client.
struct Flowing {
    tasks: JoinSet<Seen>,
}

impl Flowing {
    async fn start(stage: &Stage, count: usize, script: &Script) -> Self {
        let mut tasks = JoinSet::new();
        let mut alive = Vec::new();
        for number in 0..count {
            let pieces = Arc::new(AtomicUsize::new(0));
            alive.push(Arc::clone(&pieces));
            let path = GENERATIONS[number % GENERATIONS.len()];
            let call = ask(path, "a-model", true).script(script);
            let address = stage.gateway.address;
            tasks.spawn(async move { watch(address, format!("stream {number}"), call, &pieces).await });
        }
        let lively = || alive.iter().all(|pieces| pieces.load(Ordering::Relaxed) >= 3);
        until("every stream lives", async || lively().then_some(())).await;
        Self { tasks }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_streams_finish() {
    streams_finish("SIGTERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_lets_streams_finish() {
    streams_finish("SIGINT").await;
}

async fn streams_finish(signal: &str) {
    let stage = Stage::open("log:\n  format: json\n").await;
    let script = Script { event_delay_ms: 15, ..Script::text(150) };
    let flowing = Flowing::start(&stage, STREAMS, &script).await;
    if signal == "SIGTERM" {
        stage.gateway.terminate()
    } else {
        stage.gateway.interrupt()
    }
    let address = stage.gateway.address;
    until("new connections are refused", async || {
        let refused = TcpStream::connect(address).await.err();
        refused.filter(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
    .await;
    let open_meanwhile =
        stage.provider.ledger().entries.iter().filter(|entry| entry.outcome.is_none()).count();
    assert_eq!(open_meanwhile, STREAMS, "the door closes while the streams still flow");
    let seen = flowing.tasks.join_all().await;
    let Stage { provider, gateway, home } = stage;
    assert_eq!(block_in_place(|| gateway.wait()), Some(0));

    let recorded = Recorded::read(home.path());
    let parity = compare(home.path(), &seen, &provider.ledger(), &recorded);
    assert_eq!(parity, Parity { accepted: STREAMS, ..Parity::default() });
    for seen in &seen {
        assert!(seen.is_whole() && seen.status() == Some(200), "{}", seen.mark);
        assert_recorded(&recorded, seen, "completed");
    }
    assert_sound(home.path());
    let stopped = stop_report(&log(home.path()), signal);
    assert_eq!(stopped["events_lost"], 0, "{stopped}");
    assert_eq!(stopped["connections_cut"], 0, "{stopped}");
    let written = stopped["events_written"].as_u64().expect("a figure");
    // Each has at least its beginning, its reading, its attempt, its head, a piece, its figures and its end.
    assert!(written >= 7 * STREAMS as u64, "{stopped}");
    println!("{signal} under {STREAMS} streams: {parity:?}, events written {written}, exit 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_beyond_the_deadline_is_cut_and_recorded() {
    let stage = Stage::open("log:\n  format: json\ntimeouts:\n  drain: 1s\n").await;
    let script = Script { endless: true, event_delay_ms: 15, ..Script::default() };
    let flowing = Flowing::start(&stage, 6, &script).await;
    stage.gateway.terminate();
    let seen = flowing.tasks.join_all().await;
    let Stage { provider, gateway, home } = stage;
    assert_eq!(block_in_place(|| gateway.wait()), Some(0));

    let recorded = Recorded::read(home.path());
    let parity = compare(home.path(), &seen, &provider.ledger(), &recorded);
    assert_eq!(parity, Parity { accepted: 6, ..Parity::default() });
    for seen in &seen {
        assert!(!seen.is_whole(), "{}: a stream that was cut looks like one that ended", seen.mark);
        assert_recorded(&recorded, seen, "interrupted");
    }
    assert_sound(home.path());
    let stopped = stop_report(&log(home.path()), "SIGTERM");
    assert_eq!((&stopped["connections_cut"], &stopped["events_lost"]), (&6.into(), &0.into()), "{stopped}");
    println!("SIGTERM under 6 endless streams, deadline 1 s: {parity:?}, recorded as interrupted, exit 0");
}

/// The record has everything that the client got, and this ending.
#[track_caller]
fn assert_recorded(recorded: &Recorded, seen: &Seen, ending: &str) {
    use lunaroute_session::query::SessionQuery;
    let row = &recorded.of(&seen.mark).request;
    assert_eq!(row.ending.as_deref(), Some(ending), "{}", seen.mark);
    let kept = recorded.query.response_body(row.id).expect("the answer's body");
    let had = seen.body();
    assert!(
        !had.is_empty() && kept.starts_with(&had),
        "{}: {} and {} bytes",
        seen.mark,
        had.len(),
        kept.len()
    );
    if ending == "completed" {
        assert_eq!(kept.len(), had.len(), "{}", seen.mark);
    }
}

/// The fields of the line with which the gateway said that it had stopped, after one that names the signal.
#[track_caller]
fn stop_report(log: &str, signal: &str) -> Value {
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let told = |line: &&Value| line["fields"]["message"] == "stopped" || line["message"] == "stopped";
    let named = lines.iter().any(|line| line.to_string().contains(&format!("\"signal\":\"{signal}\"")));
    assert!(named, "{log}");
    let line = lines.iter().find(told).unwrap_or_else(|| panic!("no report in {log}"));
    if line["fields"].is_object() { line["fields"].clone() } else { line.clone() }
}
