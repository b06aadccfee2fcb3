//! A client that hangs up: the provider is cut at once, and the record says so with what had come.

use std::time::Duration;

use futures_util::future::join_all;
use lunaroute_core::Timestamp;
use lunaroute_session::query::{Page, RequestDetail, RequestFilter, SessionQuery};
use lunaroute_sim::{Entry, Outcome};

use crate::support::client::Piece;
use crate::support::stage::{CHAT, GENERATIONS, MESSAGES, Stage, ask, until};

/// How soon the provider has to see it.
const SOON: Duration = Duration::from_millis(250);

/// Where the client loses its patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the head.
    Head,
    /// After the first event, before the first token.
    Token,
    /// While tokens come.
    Stream,
}

impl Moment {
    const ALL: [Self; 3] = [Self::Head, Self::Token, Self::Stream];

    const fn script(self) -> &'static str {
        match self {
            Self::Head => "first_byte=20000",
            Self::Token => "delay=20000",
            Self::Stream => "endless,delay=3",
        }
    }

    /// Pieces of the body that are read first.
    const fn pieces(self) -> usize {
        match self {
            Self::Head => 0,
            Self::Token => 1,
            Self::Stream => 12,
        }
    }
}

/// Sends a request, hangs up, and gives the time that passed until the provider noticed.
async fn hang_up(stage: &Stage, path: &str, moment: Moment, test_id: &str) -> (Duration, Entry) {
    let call = ask(path, "m", true).short(moment.script()).header("x-test-id", test_id);
    let mut connection = stage.connect().await;
    connection.send(&call).await;
    stage.ledger_when(|ledger| ledger.of_test(test_id).next().is_some()).await;
    if moment != Moment::Head {
        assert_eq!(connection.head().await.status, 200);
    }
    for _ in 0..moment.pieces() {
        assert!(matches!(connection.piece().await, Piece::Data(_)));
    }
    let closed_at = Timestamp::now();
    drop(connection);
    let entry = stage.entry(test_id).await;
    let noticed_at = entry.finished_at.expect("it has ended");
    (Duration::from_micros(noticed_at.micros_since(closed_at)), entry)
}

/// The record of the request that the provider's entry speaks of, found by its path.
async fn record(stage: &Stage, test_id: &str) -> RequestDetail {
    let query = stage.query();
    until(&format!("the record of {test_id}"), async || {
        let listing = query.requests(&RequestFilter::default(), Page::new(1_000, 0)).expect("the record");
        let ended = listing.items.iter().filter(|request| request.ending.is_some());
        let details = ended.map(|request| query.request(request.id).expect("the request"));
        let of_test = |detail: &RequestDetail| {
            detail.request_headers.iter().any(|(name, value)| name == "x-test-id" && value == test_id)
        };
        details.into_iter().find(of_test)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_reaches_the_provider_at_once() {
    let stage = Stage::open("").await;
    let mut delays = Vec::new();
    for (moment, round) in Moment::ALL.into_iter().flat_map(|moment| [(moment, 0), (moment, 1), (moment, 2)])
    {
        let calls = (0..6).map(|number| {
            let test_id = format!("{moment:?}-{round}-{number}");
            let path = GENERATIONS[number % GENERATIONS.len()];
            let stage = &stage;
            async move { (hang_up(stage, path, moment, &test_id).await, test_id) }
        });
        for ((delay, entry), test_id) in join_all(calls).await {
            assert_eq!(entry.outcome, Some(Outcome::ClientGone), "{test_id}");
            delays.push(delay);
            let kept = record(&stage, &test_id).await;
            check(moment, &kept, &entry, &test_id);
        }
    }
    delays.sort();
    let slowest = *delays.last().expect("there are some");
    let p99 = delays[(delays.len() * 99).div_ceil(100) - 1];
    let median = delays[delays.len() / 2];
    println!("hang-ups {}, noticed after: median {median:?}, p99 {p99:?}, slowest {slowest:?}", delays.len());
    assert!(delays.len() >= 30 && p99 <= SOON, "p99 {p99:?}");
}

#[track_caller]
fn check(moment: Moment, kept: &RequestDetail, entry: &Entry, test_id: &str) {
    let request = &kept.request;
    assert_eq!(request.ending.as_deref(), Some("cancelled"), "{test_id}");
    assert_eq!(request.status, "cancelled", "{test_id}");
    assert_eq!(request.http_status, (moment != Moment::Head).then_some(200), "{test_id}");
    if moment == Moment::Stream {
        let text = kept.text_preview.as_deref().unwrap_or_default();
        assert!(!text.is_empty(), "{test_id}: the partial text is not in the record");
        let shown: String = text.trim_end_matches('…').to_owned();
        assert!(entry.text.starts_with(&shown), "{test_id}: {shown:?} was not said");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_reads_the_answer_to_its_end_for_the_record() {
    let stage = Stage::open("streaming: { on_disconnect: drain }\n").await;
    for path in GENERATIONS {
        let test_id = format!("drain-{path}");
        let call = ask(path, "m", true).short("text=40,delay=10");
        let mut connection = stage.connect().await;
        connection.send(&call.header("x-test-id", &test_id)).await;
        connection.head().await;
        assert!(matches!(connection.piece().await, Piece::Data(_)));
        drop(connection);
        let entry = stage.entry(&test_id).await;
        assert_eq!(entry.outcome, Some(Outcome::Completed), "{path}");
        let kept = record(&stage, &test_id).await;
        assert_eq!(kept.request.ending.as_deref(), Some("cancelled"), "{path}");
        assert_eq!(kept.request.tokens.output, entry.usage.output, "{path}");
        assert_eq!(kept.request.tokens.output, Some(40), "{path}");
    }
    println!("drained {0}, with the provider's own token figures {0}", GENERATIONS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_while_a_plain_answer_is_awaited_cancels_it() {
    let stage = Stage::open("").await;
    for path in [CHAT, MESSAGES] {
        let test_id = format!("plain-{path}");
        let call = ask(path, "m", false).short("first_byte=20000");
        let mut connection = stage.connect().await;
        connection.send(&call.header("x-test-id", &test_id)).await;
        stage.ledger_when(|ledger| ledger.of_test(&test_id).next().is_some()).await;
        drop(connection);
        assert_eq!(stage.entry(&test_id).await.outcome, Some(Outcome::ClientGone));
        assert_eq!(record(&stage, &test_id).await.request.status, "cancelled");
    }
}
