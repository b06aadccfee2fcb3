//! What goes wrong between a client of one dialect and a provider of another: errors before and in an answer, answers that
//! break off, and who takes over.

use lunaroute_core::Dialect;
use lunaroute_session::query::SessionQuery;

use crate::support::client::{Connection, End};
use crate::support::dialogue::{events, pairs, post, question, read, turns};
use crate::support::stage::{provider, query, record, until};
use crate::support::{Gateway, GatewayOptions};
use crate::translation::{Foreign, model};

/// The statuses of the same error at a provider of a dialect and for a client of another.
fn status(dialect: Dialect, meaning: &str) -> u16 {
    match (meaning, dialect) {
        ("overloaded", Dialect::Anthropic) => 529,
        ("overloaded", _) => 503,
        ("rate limit", _) => 429,
        ("bad request", _) => 400,
        ("not found", _) => 404,
        (other, _) => panic!("no error is called {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_has_the_clients_status_words_and_headers() {
    let stage = Foreign::open("retry: { attempts: 1 }\n").await;
    for (from, to) in pairs() {
        for meaning in ["overloaded", "rate limit", "bad request", "not found"] {
            for stream in [false, true] {
                let what = format!("{from} to {to}, {meaning}, stream {stream}");
                let script = format!("error={},retry_after_ms=6500", status(to, meaning));
                let answer = stage.ask(from, &question(from, &model(to), stream), &script).await;
                assert_eq!(answer.status(), status(from, meaning), "{what}: {}", answer.text());
                assert_eq!(answer.head.header("retry-after"), Some("7"), "{what}");
                let error = answer.json();
                assert!(error["error"]["message"].is_string(), "{what}: {error}");
                assert_eq!(error["type"] == "error", from == Dialect::Anthropic, "{what}: {error}");
                let kept = record(stage.home.path(), answer.head.request_id()).await.request;
                assert_eq!(kept.http_status, Some(answer.status()), "{what}");
                assert_eq!(
                    (kept.status.as_str(), kept.ending.as_deref()),
                    ("error", Some("completed")),
                    "{what}"
                );
                let theirs: Vec<_> = kept.attempt_list.iter().map(|attempt| attempt.status_code).collect();
                assert_eq!(theirs, [Some(status(to, meaning))], "{what}: the provider's own status");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_within_a_stream_ends_it_in_the_clients_dialect() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        for script in ["error_event=8,text=30", "cut_events=9,text=30", "cut_events=9,reset,text=30"] {
            let what = format!("{from} to {to}, {script}");
            let answer = stage.ask(from, &question(from, &model(to), true), script).await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{what}");
            let events = events(&answer.body);
            let last = events.last().expect("an event");
            let is_error = match from {
                Dialect::OpenaiChat | Dialect::Gemini => last["error"]["message"].is_string(),
                Dialect::OpenaiResponses => last["type"] == "response.failed" || last["type"] == "error",
                Dialect::Anthropic => last["type"] == "error" && last["error"]["message"].is_string(),
            };
            assert!(is_error, "{what}: {}", answer.text());
            assert!(!answer.text().contains("[DONE]"), "{what}: {}", answer.text());
            let kept = record(stage.home.path(), answer.head.request_id()).await.request;
            assert_eq!(kept.ending.as_deref(), Some("upstream_error"), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_comes_in_place_of_an_answer_has_a_status() {
    let stage = Foreign::open("retry: { attempts: 1 }\n").await;
    for (from, to) in pairs() {
        for script in ["error_event=0", "cut_events=0"] {
            let what = format!("{from} to {to}, {script}");
            let answer = stage.ask(from, &question(from, &model(to), true), script).await;
            assert!(
                answer.status() >= 500 || answer.status() == 429,
                "{what}: {} {}",
                answer.status(),
                answer.text()
            );
            assert!(answer.json()["error"]["message"].is_string(), "{what}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_of_another_dialect_takes_over() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let url = provider.base_url();
    // Nobody listens on the port of discard.
    let yaml = format!(
        "retry: {{ first_delay: 10ms }}\n\
         providers:\n  dead: {{ dialect: anthropic, base_url: 'http://127.0.0.1:9' }}\n  \
         chat: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}' }}\n  \
         claude: {{ dialect: anthropic, base_url: '{url}' }}\n\
         models:\n  - {{ model: one, provider: dead, fallbacks: [{{ provider: chat, upstream: gpt-m }}] }}\n  \
         - {{ model: two, provider: chat, fallbacks: [{{ provider: dead }}, {{ provider: claude, upstream: claude-m }}] }}\n"
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    let ask = async |from: Dialect, name: &str, stream, script: &str| {
        let call = post(from, &question(from, name, stream)).short(script);
        crate::support::client::exchange(gateway.address, &call).await
    };
    for from in Dialect::ALL {
        for stream in [false, true] {
            let answer = ask(from, "one", stream, "text=5").await;
            assert_eq!(answer.status(), 200, "{from}: {}", answer.text());
            let told = read(from, &answer, stream);
            let entry = provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!((entry.dialect, entry.model.as_deref()), (Dialect::OpenaiChat, Some("gpt-m")));
            assert_eq!(
                (told.text, told.model),
                (entry.text, expected_model(from, "one", Dialect::OpenaiChat))
            );
            let kept = record(home.path(), answer.head.request_id()).await.request;
            let tried: Vec<_> =
                kept.attempt_list.iter().filter_map(|attempt| attempt.provider.clone()).collect();
            assert_eq!(tried, ["dead", "chat"]);
            assert_eq!(kept.attempt_list[1].reason.as_deref(), Some("fallback"));
            // The first that answers fails, and the second is not there.
            let answer =
                ask(from, "two", stream, &format!("503,fail_times=1,id={from}-{stream},text=3")).await;
            assert_eq!(answer.status(), 200, "{from}: {}", answer.text());
            read(from, &answer, stream);
            let entry = provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!((entry.dialect, entry.model.as_deref()), (Dialect::Anthropic, Some("claude-m")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_cannot_carry_the_request_is_passed_over() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let url = provider.base_url();
    let yaml = format!(
        "retry: {{ attempts: 2, first_delay: 10ms }}\n\
         providers:\n  chat: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}' }}\n  \
         claude: {{ dialect: anthropic, base_url: '{url}' }}\n  google: {{ dialect: gemini, base_url: '{url}' }}\n\
         models:\n  - {{ model: own, provider: claude, fallbacks: [{{ provider: chat }}, {{ provider: google }}] }}\n  \
         - {{ model: last, provider: chat, fallbacks: [{{ provider: google }}, {{ provider: claude }}] }}\n  \
         - {{ model: none, provider: chat, fallbacks: [{{ provider: google }}] }}\n"
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    let from = Dialect::Anthropic;
    for (name, script, status, tried) in [
        // Who was asked and failed is told, not why the others could not be asked.
        ("own", "error=529", 529, &["claude", "claude"][..]),
        ("last", "text=3", 200, &["claude"]),
        ("none", "text=3", 400, &[]),
    ] {
        let mut request = question(from, name, false);
        request["mcp_servers"] = serde_json::json!([{ "type": "url", "name": "s", "url": "https://s.test" }]);
        let answer =
            crate::support::client::exchange(gateway.address, &post(from, &request).short(script)).await;
        assert_eq!(answer.status(), status, "{name}: {}", answer.text());
        assert_eq!(answer.text().contains("mcp_servers"), status == 400, "{name}: {}", answer.text());
        let kept = record(home.path(), answer.head.request_id()).await.request;
        let asked: Vec<_> = kept.attempt_list.iter().filter_map(|attempt| attempt.provider.clone()).collect();
        assert_eq!(asked, tried, "{name}");
    }
}

/// The name that an answer gives its model: the caller's own where it was translated, the provider's where it was not.
fn expected_model(from: Dialect, asked: &str, to: Dialect) -> String {
    if from == to { "gpt-m".to_owned() } else { asked.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_cuts_the_provider() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        let mut connection = Connection::open(stage.gateway.address).await;
        let call = post(from, &question(from, &model(to), true));
        connection.send(&call.short("endless,delay=5").header("x-test-id", format!("{from}-{to}"))).await;
        let head = connection.head().await;
        connection.piece().await;
        drop(connection);
        let kept = record(stage.home.path(), head.request_id()).await.request;
        assert_eq!(kept.ending.as_deref(), Some("cancelled"), "{from} to {to}");
        until("the provider was cut", async || {
            let ledger = stage.provider.ledger();
            ledger.entries.last().and_then(|entry| entry.outcome)
        })
        .await;
    }
    let listing =
        query(stage.home.path()).requests(&Default::default(), lunaroute_session::query::Page::new(50, 0));
    assert_eq!(listing.expect("the record").items.len(), pairs().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_request_is_refused_before_anybody_is_asked() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        let mut request = question(from, &model(to), false);
        request[turns(from)] = "none".into();
        if from == Dialect::OpenaiResponses {
            request["input"] = 7.into();
        }
        let answer = stage.exchange(&post(from, &request)).await;
        assert_eq!(answer.status(), 400, "{from} to {to}: {}", answer.text());
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains('\''), "{from} to {to}: the field is named: {message}");
    }
    assert!(stage.provider.ledger().entries.is_empty());
}
