//! Further attempts: made when they help, bounded when they do not, and never after a byte has left for the client. And
//! what happens to a provider that takes its time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lunaroute_session::query::SessionQuery;

use crate::support::client::End;
use crate::support::events::{events, is_error, is_terminal};
use crate::support::stage::{GENERATIONS, MESSAGES, Stage, ask, until};
use crate::support::{Gateway, GatewayOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_fails_is_made_again() {
    let stage = Stage::open("retry: { first_delay: 10ms }\n").await;
    for path in GENERATIONS {
        for (status, stream) in [(503, false), (529, true), (429, false)] {
            let test_id = format!("{path}-{status}");
            let script = format!("error={status},fail_times=1,retry_after_ms=20,text=5");
            let call = ask(path, "m", stream).short(&script).header("x-test-id", &test_id);
            let answer = stage.exchange(&call).await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{test_id}: {}", answer.text());
            assert_eq!(stage.provider.ledger().of_test(&test_id).count(), 2);
            let kept = stage.record(answer.head.request_id()).await.request;
            let statuses: Vec<_> = kept.attempt_list.iter().map(|attempt| attempt.status_code).collect();
            assert_eq!((kept.attempts, statuses), (2, vec![Some(status), Some(200)]), "{test_id}");
            assert_eq!(kept.attempt_list[1].reason.as_deref(), Some("retry"));
            assert_eq!(kept.status, "success");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_retry_after_is_the_clients_to_wait() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let call = ask(path, "m", true).short("429,retry_after_ms=7000").header("x-test-id", path);
        let began = Instant::now();
        let answer = stage.exchange(&call).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{path} was held");
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.head.header("retry-after"), Some("7"));
        assert_eq!(answer.head.header("retry-after-ms"), Some("7000"));
        assert_eq!(stage.provider.ledger().of_test(path).count(), 1);
        let entry = stage.entry(path).await;
        let named = if path == MESSAGES { "request-id" } else { "x-request-id" };
        assert_eq!(answer.head.header(named), Some(entry.request_id.as_str()));
        let kept = stage.record(answer.head.request_id()).await.request;
        assert_eq!((kept.attempts, kept.http_status, kept.status.as_str()), (1, Some(429), "error"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_errors_is_not_amplified() {
    const REQUESTS: usize = 200;
    let stage = Stage::open("retry: { attempts: 3, first_delay: 1ms, max_delay: 2ms }\n").await;
    let workers = (0..4).map(|_| async {
        let mut connection = stage.connect().await;
        for number in 0..REQUESTS / 4 {
            let path = GENERATIONS[number % GENERATIONS.len()];
            let answer = connection.exchange(&ask(path, "m", false).short("503")).await;
            assert_eq!(answer.status(), 503);
        }
    });
    join_all(workers).await;
    let upstream = stage.provider.ledger().entries.len();
    println!("requests {REQUESTS}, attempts {upstream}");
    // A share of 0.2 and a reserve of ten.
    assert!(upstream > REQUESTS && upstream <= REQUESTS * 12 / 10 + 10, "{upstream} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_total_time_never_cuts_a_stream_that_produces() {
    let stage = Stage::open("retry: { attempts: 1 }\ntimeouts: { total: 1s }\n").await;
    let checks = GENERATIONS.map(async |path| {
        let call = ask(path, "m", true).short("text=20,delay=80");
        let began = Instant::now();
        let answer = stage.exchange(&call).await;
        assert!(began.elapsed() > Duration::from_millis(1_300), "{path}: it was no long stream");
        assert!(events(&answer.body).iter().any(is_terminal), "{path}: {}", answer.text());
        let call = ask(path, "m", false).short("first_byte=20000");
        assert_eq!(stage.exchange(&call).await.status(), 504, "{path}");
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_told_in_the_callers_dialect() {
    let stage = Stage::open("retry: { attempts: 1 }\ntimeouts: { first_byte: 300ms, idle: 300ms }\n").await;
    for path in GENERATIONS {
        let answer = stage.exchange(&ask(path, "m", true).short("first_byte=20000")).await;
        assert_eq!(answer.status(), 504, "{path}");
        assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
        assert_eq!(answer.json()["type"] == "error", path == MESSAGES);
        let kept = stage.record(answer.head.request_id()).await.request;
        assert_eq!(
            (kept.ending.as_deref(), kept.error_kind.as_deref()),
            (Some("upstream_error"), Some("timeout"))
        );

        let call = ask(path, "m", true).short("text=9,delay=20000").header("x-test-id", path);
        let answer = stage.exchange(&call).await;
        let seen = events(&answer.body);
        assert_eq!((answer.status(), answer.end), (200, End::Whole), "{path}");
        assert!(seen.last().is_some_and(|event| is_error(path, event)), "{path}: {}", answer.text());
        assert!(!seen.iter().any(is_terminal), "{path}");
        let kept = stage.record(answer.head.request_id()).await.request;
        assert_eq!(
            (kept.ending.as_deref(), kept.error_kind.as_deref()),
            (Some("upstream_error"), Some("timeout"))
        );
        // The provider is not left to go on for nobody.
        stage.entry(path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_not_there_is_a_502_that_names_it() {
    let home = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let upstream = Some(format!("http://{address}"));
    let options = GatewayOptions { upstream, yaml: "retry: { first_delay: 1ms }\n", provider_yaml: "" };
    let gateway = Gateway::start(home.path(), &options);
    for path in GENERATIONS {
        let call = ask(path, "m", true);
        let answer = crate::support::client::exchange(gateway.address, &call).await;
        assert_eq!(answer.status(), 502, "{path}: {}", answer.text());
        let error = answer.json();
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&address.to_string()), "{path}: {message}");
        assert_eq!(error["type"] == "error", path == MESSAGES, "{error}");
        let query = crate::support::stage::query(home.path());
        let id = answer.head.request_id();
        let kept =
            until("the record", async || query.request(id).ok().filter(|kept| kept.request.ending.is_some()));
        let kept = kept.await.request;
        assert_eq!((kept.attempts, kept.error_kind.as_deref()), (2, Some("connect")), "{path}");
        assert_eq!(kept.ending.as_deref(), Some("upstream_error"));
    }
}
