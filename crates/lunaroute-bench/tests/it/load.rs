//! The client's side counts what the provider counts.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lunaroute_bench::{Load, Pool, Template, Workload};
use lunaroute_sim::Outcome;
use tokio::net::TcpListener;

use crate::stand::{address, provider};

const SHORT: Duration = Duration::from_millis(150);

/// Both sides agree on requests and events, and no request repeats another.
#[track_caller]
fn check(workload: Workload, load: Load) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = provider().await;
        let template = Arc::new(Template::new(workload, 0));
        let mut pool = Pool::open(address(&provider), 3).await.unwrap();
        let tally = pool.run(&template, load, SHORT).await.unwrap();
        assert_eq!(tally.failed, 0, "{workload:?}: {:?}", tally.failure);
        assert!(tally.answered > 0, "{workload:?}");
        assert_eq!(tally.events, tally.answered * workload.events(), "{workload:?}");
        assert_eq!(tally.whole.len(), tally.answered, "{workload:?}");
        assert!(tally.first.max() <= tally.whole.max(), "{workload:?}");
        let ledger = provider.ledger();
        assert_eq!(ledger.entries.len() as u64, tally.answered, "{workload:?}");
        let bodies: HashSet<_> = ledger.entries.iter().map(|entry| entry.body.clone().unwrap()).collect();
        assert_eq!(bodies.len() as u64, tally.answered, "{workload:?}");
        assert!(ledger.entries.iter().all(|entry| entry.outcome == Some(Outcome::Completed)), "{workload:?}");
    });
}

#[test]
fn every_kind_is_answered_whole() {
    check(Workload::Small, Load::SATURATING);
    check(Workload::Agent, Load::SATURATING);
    check(Workload::Stream50, Load::SATURATING);
    check(Workload::Stream500, Load::SATURATING);
    check(Workload::Messages50, Load::SATURATING);
    check(Workload::MessagesSmall, Load::SATURATING);
    check(Workload::MessagesStream500, Load::SATURATING);
    check(Workload::Paced, Load::SATURATING);
}

#[test]
fn a_fixed_rate_sends_as_many_as_are_due_however_long_answers_take() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = provider().await;
        let mut pool = Pool::open(address(&provider), 2).await.unwrap();
        // Two connections answer 100 a second at most when each answer takes 20 ms; 200 a second are due.
        let template = Arc::new(Template::new(Workload::Small, 20));
        let tally = pool.run(&template, Load::PerSecond(200.0), Duration::from_millis(300)).await.unwrap();
        assert_eq!((tally.answered, tally.failed), (60, 0), "{:?}", tally.failure);
        // Thirty on each connection, 20 ms each, due within 300 ms: the last waits 300 ms at least.
        assert!(tally.whole.max() >= 250_000_000, "{} ns", tally.whole.max());
    });
}

#[tokio::test]
async fn what_fails_is_counted_and_told() {
    let nobody: SocketAddr = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    assert!(Pool::open(nobody, 1).await.is_err());
    // The bare proxy answers 502 when there is no provider.
    let (proxy, _tasks) = crate::stand::bare_proxy(nobody).await;
    let mut pool = Pool::open(proxy, 2).await.unwrap();
    let template = Arc::new(Template::new(Workload::Small, 0));
    let tally = pool.run(&template, Load::PerSecond(100.0), Duration::from_millis(100)).await.unwrap();
    assert_eq!((tally.answered, tally.failed), (0, 10));
    assert!(tally.failure.unwrap().contains("502"));
}
