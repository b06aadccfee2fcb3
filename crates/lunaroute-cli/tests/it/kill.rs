//! `kill -9` under load: what was accepted is recorded, once, and nothing stays open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lunaroute_sim::{Provider, Script};
use tokio::task::JoinSet;

use crate::support::client::{Call, exchange};
use crate::support::ledger::{Clients, Parity, Recorded, Seen, assert_sound, compare, watch};
use crate::support::stage::{GENERATIONS, body, provider, until};
use crate::support::{Gateway, GatewayOptions};

const KILLS: usize = 5;
const STREAMS: usize = 20;
const PLAIN_CLIENTS: usize = 4;

/// Pieces that each live stream has sent when the gateway is killed: a second of them, many times the declared tail.
const PIECES: usize = 100;

/// What goes in a kill: joined pieces of at most this age and size. The rest of the bound is what a loaded machine may take
/// to give a thread its turn.
const TAIL: Duration = Duration::from_millis(50 + 150);
const TAIL_BYTES: usize = 64 << 10;

const READY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_duplicates_and_leaves_open_nothing() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let options = GatewayOptions { upstream: Some(provider.base_url()), ..GatewayOptions::default() };
    let mut seen = Vec::new();
    let (mut tail, mut ready) = (Tail::default(), Duration::ZERO);
    for round in 0..KILLS {
        let gateway = Gateway::start(home.path(), &options);
        let (of_round, killed_at) = load_and_kill(round, gateway).await;
        let began = Instant::now();
        let gateway = Gateway::start(home.path(), &options);
        assert_eq!(exchange(gateway.address, &Call::get("/readyz")).await.status(), 200);
        ready = ready.max(began.elapsed());
        assert_eq!(tokio::task::block_in_place(|| gateway.stop()), Some(0));
        seen.extend(of_round);
        let parity = check(home.path(), &provider, &seen);
        tail.measure(home.path(), &seen, round, killed_at);
        println!("kill {}: {parity:?}", round + 1);
    }
    println!("kills {KILLS}, live streams {STREAMS}, {tail:?}, ready again after at most {ready:?}");
    assert_eq!(tail.streams, KILLS * STREAMS);
    assert!(tail.age <= TAIL && tail.bytes <= TAIL_BYTES, "{tail:?}");
    assert!(ready <= READY, "{ready:?}");
}

/// Streams that live when the gateway is killed, and plain requests that come and go.
async fn load_and_kill(round: usize, gateway: Gateway) -> (Vec<Seen>, Instant) {
    let (address, clients, over) =
        (gateway.address, Arc::new(Clients::default()), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    let mut alive = Vec::new();
    for number in 0..STREAMS {
        let pieces = Arc::new(AtomicUsize::new(0));
        alive.push(Arc::clone(&pieces));
        let clients = Arc::clone(&clients);
        tasks.spawn(async move {
            let path = GENERATIONS[number % GENERATIONS.len()];
            let script = Script { endless: true, event_delay_ms: 10, ..Script::default() };
            let call = Call::post(path, body(path, "a-model", true)).script(&script);
            clients.add(watch(address, format!("{round} stream {number}"), call, &pieces).await);
        });
    }
    for client in 0..PLAIN_CLIENTS {
        let (clients, over) = (Arc::clone(&clients), Arc::clone(&over));
        tasks.spawn(async move {
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let path = GENERATIONS[number % GENERATIONS.len()];
                let script = Script { first_byte_delay_ms: 15, ..Script::text(5) };
                let call = Call::post(path, body(path, "a-model", number % 2 == 0)).script(&script);
                let mark = format!("{round} plain {client} {number}");
                clients.add(watch(address, mark, call, &AtomicUsize::new(0)).await);
            }
        });
    }
    let lively = || alive.iter().all(|pieces| pieces.load(Ordering::Relaxed) >= PIECES);
    until("every stream lives", async || lively().then_some(())).await;
    let killed_at = Instant::now();
    tokio::task::block_in_place(|| gateway.kill());
    over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let clients = Arc::into_inner(clients).expect("all clients have ended");
    (clients.all(), killed_at)
}

fn check(home: &std::path::Path, provider: &Provider, seen: &[Seen]) -> Parity {
    let recorded = Recorded::read(home);
    let parity = compare(home, seen, &provider.ledger(), &recorded);
    let expected = Parity { accepted: parity.accepted, ..Parity::default() };
    assert_eq!(parity, expected);
    assert_sound(home);
    parity
}

/// The largest part of an answer that its client had and the record has not.
#[derive(Debug, Default)]
struct Tail {
    streams: usize,
    bytes: usize,
    age: Duration,
}

impl Tail {
    /// Measures what the clients of this round had before the kill.
    fn measure(&mut self, home: &std::path::Path, seen: &[Seen], round: usize, killed_at: Instant) {
        let recorded = Recorded::read(home);
        let of_round = seen.iter().filter(|seen| seen.mark.starts_with(&format!("{round} ")));
        for seen in of_round.filter(|seen| seen.status().is_some()) {
            let row = &recorded.of(&seen.mark).request;
            let live = seen.mark.contains("stream");
            self.streams += usize::from(live);
            let ending = row.ending.as_deref();
            if live {
                assert_eq!(ending, Some("interrupted"), "{}: {row:?}", seen.mark);
            } else if seen.is_whole() && seen.ended_at() + TAIL < killed_at {
                assert_eq!(ending, Some("completed"), "{}: {row:?}", seen.mark);
            }
            let kept = recorded_body(&recorded, row);
            let had = seen.body();
            let common = had.len().min(kept.len());
            assert_eq!(
                had[..common],
                kept[..common],
                "{}: the record has other bytes than the client",
                seen.mark
            );
            if let Some(arrival) = seen.arrival_of(kept.len()) {
                self.bytes = self.bytes.max(had.len() - kept.len());
                self.age = self.age.max(killed_at.saturating_duration_since(arrival));
            }
        }
    }
}

fn recorded_body(recorded: &Recorded, row: &lunaroute_session::query::RequestRecord) -> Vec<u8> {
    use lunaroute_session::query::{QueryError, SessionQuery};
    match recorded.query.response_body(row.id) {
        Ok(body) => body,
        // A request that had no piece of its answer yet.
        Err(QueryError::NotKept { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}
