//! The account: what it keeps, what it never keeps, and where it ends.

use std::time::Duration;

use lunaroute_sim::{BodyPolicy, Config, Outcome, Provider, SCRIPT_HEADER, credential_mark};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{CHAT, GENERATIONS, body, connect, exchange, last_entry, provider, request, short};

#[tokio::test]
async fn a_request_is_written_down_without_its_secrets() {
    let config = Config { bodies: BodyPolicy::Whole, ..Config::default() };
    let provider = Provider::start(config).await.expect("a free port");
    let body = body(CHAT, "m", false).to_string();
    let headers = [
        ("authorization", "Bearer canary"),
        ("x-api-key", "canary"),
        ("cookie", "canary"),
        ("x-test-id", "t1"),
        ("x-request-id", "r1"),
        ("x-twice", "a"),
        ("x-twice", "b"),
    ];
    let path = format!("{CHAT}?key=canary&beta=true");
    let reply = exchange(&provider, "POST", &path, &headers, body.as_bytes()).await;
    let entry = last_entry(&provider, 1).await;
    assert!(!format!("{entry:?}").contains("canary"), "{entry:?}");
    assert_eq!(entry.header("authorization"), Some(credential_mark(b"Bearer canary").as_str()));
    assert_ne!(entry.header("authorization"), entry.header("x-api-key"));
    let twice: Vec<&str> =
        entry.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value.as_str()).collect();
    assert_eq!(twice, ["a", "b"]);
    assert_eq!((entry.test_id.as_deref(), entry.correlation_id.as_deref()), (Some("t1"), Some("r1")));
    assert_eq!(entry.body.as_deref(), Some(body.as_bytes()));
    assert_eq!(entry.body_digest.as_deref(), Some(blake3::hash(body.as_bytes()).to_hex().as_str()));
    assert_eq!(
        (reply.header("x-sim-request"), reply.header("x-request-id")),
        (Some("1"), Some("req_sim_00000001"))
    );
    assert_eq!(entry.request_id, "req_sim_00000001");
    assert_eq!(provider.ledger().of_test("t1").count(), 1);
    let (first, last) = (entry.first_byte_at.expect("bytes"), entry.last_byte_at.expect("bytes"));
    assert!(entry.received_at <= first && first <= last && last <= entry.finished_at.expect("an end"));
}

#[tokio::test]
async fn the_ledger_is_bounded_and_counts_what_it_forgot() {
    let config =
        Config { ledger_capacity: 3, bodies: BodyPolicy::Whole, kept_body_bytes: 200, ..Config::default() };
    let provider = Provider::start(config).await.expect("a free port");
    let body = body(CHAT, "m", false);
    let bytes = body.to_string().len();
    for _ in 0..8 {
        assert_eq!(short(&provider, CHAT, "text=1", &body).await.status, 200);
    }
    let ledger = provider.ledger();
    let numbers: Vec<u64> = ledger.entries.iter().map(|entry| entry.number).collect();
    assert_eq!((numbers, ledger.forgotten), (vec![6, 7, 8], 5));
    assert!(ledger.entries.iter().all(|entry| entry.outcome == Some(Outcome::Completed)));
    let kept = ledger.entries.iter().filter(|entry| entry.body.is_some()).count();
    assert_eq!(kept, 200 / bytes, "no more bodies than there is room for, and room is given back");
    provider.reset();
    assert_eq!((provider.ledger().entries.len(), provider.ledger().forgotten), (0, 0));
}

/// Hangs up in the middle of an endless stream, while waiting for the first byte, and before the request is whole.
#[tokio::test]
async fn a_client_that_goes_is_noticed() {
    let provider = provider().await;
    let mut number = 0;
    for path in GENERATIONS {
        let body = body(path, "m", true).to_string();
        for script in ["endless,delay=1", "endless", "first_byte=60000", "delay=60000"] {
            let mut stream = connect(&provider).await;
            let bytes = request("POST", path, &[(SCRIPT_HEADER, script)], body.as_bytes());
            stream.write_all(&bytes).await.expect("the request is taken");
            number += 1;
            if script.starts_with("first_byte") {
                let asked = provider
                    .ledger_when(|ledger| ledger.entries.iter().any(|e| e.number == number && e.stream));
                tokio::time::timeout(Duration::from_secs(5), asked).await.expect("the request arrives");
            } else {
                let mut received = vec![0; 256];
                stream.read_exact(&mut received).await.expect("an answer");
            }
            drop(stream);
            let gone = std::time::Instant::now();
            let entry = last_entry(&provider, number as usize).await;
            assert_eq!(entry.outcome, Some(Outcome::ClientGone), "{path} {script}");
            assert!(gone.elapsed() < Duration::from_secs(2), "{path} {script}: {:?}", gone.elapsed());
            assert_eq!(entry.stop, None);
        }
        let mut stream = connect(&provider).await;
        let bytes = request("POST", path, &[], body.as_bytes());
        stream.write_all(&bytes[..bytes.len() - 5]).await.expect("most of the request is taken");
        number += 1;
        let arrived = provider.ledger_when(|ledger| ledger.entries.len() as u64 == number);
        tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("the head arrives");
        drop(stream);
        assert_eq!(last_entry(&provider, number as usize).await.outcome, Some(Outcome::ClientGone));
    }
    println!("clients that went: {number}, noticed: {number}");
}

#[tokio::test]
async fn other_languages_read_the_ledger_over_http() {
    let provider = provider().await;
    let body = body(CHAT, "m", true).to_string();
    for id in ["a", "b", "a"] {
        let headers = [("x-test-id", id), (SCRIPT_HEADER, "text=3")];
        exchange(&provider, "POST", CHAT, &headers, body.as_bytes()).await;
    }
    let all = exchange(&provider, "GET", "/sim/ledger", &[], b"").await.json();
    assert_eq!(all["entries"].as_array().map(Vec::len), Some(3), "and not itself");
    let some = exchange(&provider, "GET", "/sim/ledger?test_id=a&settled=2", &[], b"").await.json();
    let entry = &some["entries"][1];
    assert_eq!((some["entries"].as_array().map(Vec::len), entry["number"].as_u64()), (Some(2), Some(3)));
    assert_eq!((&entry["outcome"], &entry["operation"]), (&"completed".into(), &"chat".into()));
    assert!(entry["usage"]["output"].is_u64() && entry["first_byte_at"].is_i64(), "{entry}");
    assert_eq!(exchange(&provider, "POST", "/sim/reset", &[], b"").await.status, 200);
    assert_eq!(provider.ledger().entries.len(), 0);
    assert_eq!(exchange(&provider, "GET", "/sim/other", &[], b"").await.status, 404);
}
