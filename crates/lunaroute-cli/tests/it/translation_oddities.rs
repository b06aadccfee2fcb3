//! Providers that do not quite do what their dialect says, behind a client of another: answers of the wrong form, figures
//! that never come, and errors that call themselves answers.

use std::time::{Duration, Instant};

use lunaroute_core::Dialect;
use lunaroute_session::query::SessionQuery;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Answer, Connection, End, exchange};
use crate::support::dialogue::{post, question, read, turns};
use crate::support::raw_upstream::RawUpstream;
use crate::support::stage::{provider, query, record};
use crate::support::{Gateway, GatewayOptions};
use crate::translation::{Foreign, model};

/// A Chat provider that answers whatever bytes it is told to.
struct Odd {
    upstream: RawUpstream,
    gateway: Gateway,
    home: TempDir,
}

impl Odd {
    async fn open() -> Self {
        let upstream = RawUpstream::start().await;
        let home = tempfile::tempdir().expect("a directory");
        let yaml = format!(
            "retry: {{ attempts: 1 }}\n\
             providers:\n  odd: {{ dialect: openai, dialects: [openai_chat], base_url: 'http://{}' }}\n\
             models:\n  - {{ model: '*', provider: odd }}\n",
            upstream.address
        );
        let gateway =
            Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
        Self { upstream, gateway, home }
    }

    async fn ask(&self, stream: bool, kind: &str, body: &str) -> Answer {
        self.upstream.answer_with(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let request = question(Dialect::Anthropic, "m", stream);
        exchange(self.gateway.address, &post(Dialect::Anthropic, &request)).await
    }
}

const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Rain."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#;

const STOPPED: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Rain.\"},\"finish_reason\":null}]}\n\n\
     data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_to_a_request_for_a_stream_becomes_one() {
    let odd = Odd::open().await;
    let answer = odd.ask(true, "application/json", PLAIN).await;
    let told = read(Dialect::Anthropic, &answer, true);
    assert_eq!((told.text.as_str(), told.usage), ("Rain.", (7, 0, 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_an_error_of_the_provider() {
    let odd = Odd::open().await;
    for (stream, kind, body) in [
        (false, "text/html", "<html>Sign in</html>"),
        (false, "application/json", "[]"),
        (true, "text/html", "<html>Sign in</html>"),
        (true, "text/event-stream", ": nothing at all\n\n"),
        (false, "application/json", r#"{"error":{"message":"The engine is gone","type":"server_error"}}"#),
        (
            true,
            "text/event-stream",
            "data: {\"error\":{\"message\":\"The engine is gone\",\"code\":500}}\n\n",
        ),
    ] {
        let answer = odd.ask(stream, kind, body).await;
        assert!(answer.status() >= 500, "{body}: {} {}", answer.status(), answer.text());
        let error = answer.json();
        assert_eq!(error["type"], "error", "{body}: {error}");
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(
            !message.is_empty() && (!body.contains("engine") || message.contains("engine")),
            "{body}: {message}"
        );
        let kept = record(odd.home.path(), answer.head.request_id()).await.request;
        assert_eq!(kept.status, "error", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_never_come_are_not_waited_for_for_long() {
    let odd = Odd::open().await;
    // The connection stays open, and nothing follows.
    let chunk = format!("{:x}\r\n{STOPPED}\r\n", STOPPED.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    odd.upstream.answer_with(format!("{head}{chunk}"));
    let began = Instant::now();
    let request = question(Dialect::Anthropic, "m", true);
    let answer = exchange(odd.gateway.address, &post(Dialect::Anthropic, &request)).await;
    let told = read(Dialect::Anthropic, &answer, true);
    assert_eq!((told.text.as_str(), told.stop.as_str(), answer.end), ("Rain.", "end", End::Whole));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let kept = record(odd.home.path(), answer.head.request_id()).await.request;
    assert_eq!(kept.ending.as_deref(), Some("completed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_its_last_mark_is_whole_when_the_model_had_stopped() {
    let odd = Odd::open().await;
    let answer = odd.ask(true, "text/event-stream", STOPPED).await;
    assert_eq!(read(Dialect::Anthropic, &answer, true).text, "Rain.");
    let half = STOPPED.split("\n\n").next().expect("an event");
    let answer = odd.ask(true, "text/event-stream", &format!("{half}\n\n")).await;
    assert!(
        !answer.text().contains("message_stop") && answer.text().contains("event: error"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_reason_to_stop_is_none() {
    let odd = Odd::open().await;
    let chunk = |word: &str, reason: &str| {
        let delta = serde_json::json!({"index": 0, "delta": {"content": word}, "finish_reason": reason});
        format!("data: {}\n\n", serde_json::json!({"id": "c", "model": "m", "choices": [delta]}))
    };
    let cut = chunk("Ra", "") + &chunk("in", "");
    let answer = odd.ask(true, "text/event-stream", &cut).await.text();
    assert!(!answer.contains("message_stop") && answer.contains("event: error"), "{answer}");
    let answer = odd.ask(true, "text/event-stream", &(cut + &chunk(".", "length"))).await.text();
    assert!(answer.contains(r#""stop_reason":"max_tokens""#) && answer.contains("message_stop"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_long_to_be_read_is_an_error() {
    let odd = Odd::open().await;
    let begins = STOPPED.split("\n\n").next().expect("an event");
    let long = "x".repeat(17 * 1024 * 1024);
    let event = serde_json::json!({"id": "c", "choices": [{"index": 0, "delta": {"content": long}}]});
    let stream = format!("{begins}\n\ndata: {event}\n\n{STOPPED}data: [DONE]\n\n");
    let answer = odd.ask(true, "text/event-stream", &stream).await;
    let told = answer.text();
    assert!(told.contains("Rain.") && told.contains("event: error"), "{told}");
    assert!(!told.contains("message_stop"), "{told}");
    let kept = record(odd.home.path(), answer.head.request_id()).await;
    assert_eq!(kept.request.status, "error", "{:?}", kept.request);
    assert!(kept.request.error.is_some_and(|message| message.contains("more than")), "it says why");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_names_of_the_provider_are_told_in_the_clients_words() {
    let odd = Odd::open().await;
    odd.upstream.answer_with(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_theirs\r\nset-cookie: a=b\r\n\
         x-ratelimit-remaining-requests: 41\r\nx-ratelimit-limit-tokens: 9000\r\ncontent-length: {}\r\n\r\n{PLAIN}",
        PLAIN.len()
    ));
    let request = question(Dialect::Anthropic, "m", false);
    let answer = exchange(odd.gateway.address, &post(Dialect::Anthropic, &request)).await;
    for (name, value) in [
        ("anthropic-ratelimit-requests-remaining", Some("41")),
        ("anthropic-ratelimit-tokens-limit", Some("9000")),
        ("x-lunaroute-upstream-request-id", Some("req_theirs")),
        ("x-ratelimit-remaining-requests", None),
        ("set-cookie", None),
    ] {
        assert_eq!(answer.head.header(name), value, "{name}");
    }
    let kept = record(odd.home.path(), answer.head.request_id()).await;
    let form = kept.provider_form.expect("the provider's heads are kept");
    assert!(
        form.response_headers.iter().any(|(name, value)| name == "x-request-id" && value == "req_theirs")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_read_on_for_the_record_when_the_client_is_gone() {
    let stage = Foreign::open("streaming: { on_disconnect: drain }\n").await;
    let (from, to) = (Dialect::Anthropic, Dialect::OpenaiChat);
    let mut connection = Connection::open(stage.gateway.address).await;
    let call = post(from, &question(from, &model(to), true));
    connection.send(&call.short("text=40,delay=5")).await;
    let head = connection.head().await;
    connection.piece().await;
    drop(connection);
    let id = head.request_id();
    let kept = record(stage.home.path(), id).await.request;
    assert_eq!(kept.ending.as_deref(), Some("cancelled"));
    assert!(kept.error.as_deref().is_some_and(|error| error.contains("read to its end")), "{:?}", kept.error);
    let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
    assert_eq!(kept.tokens.output, entry.usage.output, "the true figures");
    let (client, provider) = (query(stage.home.path()).response_body(id), query(stage.home.path()));
    let provider = provider.provider_response_body(id).expect("kept");
    assert_eq!(provider.len() as u64, entry.bytes_sent);
    let last: Vec<Value> = crate::support::dialogue::events(&client.expect("kept"));
    assert_eq!(last.last().map(|event| event["type"].clone()), Some(Value::from("message_stop")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_responses_at_the_path_of_chat_is_answered_in_chunks_of_chat() {
    let stage = Foreign::open("").await;
    for to in Dialect::ALL {
        for stream in [false, true] {
            let what = format!("to {to}, stream {stream}");
            let mut request = question(Dialect::OpenaiResponses, &model(to), stream);
            if stream {
                request["stream_options"] = json!({ "include_usage": true });
            }
            let answer = stage.ask(Dialect::OpenaiChat, &request, "text=7").await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{what}: {}", answer.text());
            let told = read(Dialect::OpenaiChat, &answer, stream);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!((entry.dialect, entry.stream), (to, stream), "{what}");
            assert_eq!(entry.model.as_deref(), Some("m"), "{what}: the provider's name of the model");
            assert_eq!((told.text, told.model), (entry.text, model(to)), "{what}");
            assert_eq!(told.usage.2, entry.usage.output.expect("figures"), "{what}");
            let sent = stage.received();
            assert!(sent.get(turns(to)).is_some(), "{what}: {sent}");
            assert_eq!(sent.get("stream_options").is_some(), stream && to == Dialect::OpenaiChat, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_no_tokens_is_answered_with_none() {
    let stage = Foreign::open("").await;
    let from = Dialect::Anthropic;
    for to in Dialect::ALL {
        for stream in [false, true] {
            let mut request = question(from, &model(to), stream);
            request["max_tokens"] = 0.into();
            let answer = stage.ask(from, &request, "text=0").await;
            let asked = stage.provider.ledger().entries.len();
            stage.provider.reset();
            assert_eq!(asked, usize::from(to == from), "to {to}: only its own vendor has a cache to fill");
            if to == from {
                continue;
            }
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{}", answer.text());
            let told = read(from, &answer, stream);
            assert_eq!((told.text.as_str(), told.stop.as_str(), told.usage), ("", "length", (0, 0, 0)));
            assert_eq!(told.model, model(to));
            let kept = record(stage.home.path(), answer.head.request_id()).await.request;
            assert_eq!((kept.ending.as_deref(), kept.http_status), (Some("completed"), Some(200)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_goes_where_the_clients_own_key_goes() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let url = provider.base_url();
    let yaml = format!(
        "providers:\n  theirs: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}' }}\n  \
         ours: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}', api_key: 'sk-ours' }}\n  \
         claude: {{ dialect: anthropic, base_url: '{url}' }}\n\
         models:\n  - {{ model: theirs, provider: theirs }}\n  - {{ model: ours, provider: ours }}\n  \
         - {{ model: claude, provider: claude }}\n"
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    let from = Dialect::OpenaiResponses;
    for (name, goes) in [("theirs", true), ("ours", false), ("claude", false)] {
        let call = post(from, &question(from, name, false)).short("text=2");
        let call = call.header("authorization", "Bearer sk-theirs").header("openai-organization", "org-1");
        let call = call.header("openai-project", "proj-1").header("openai-beta", "x");
        let answer = exchange(gateway.address, &call).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        let entry = provider.ledger().entries.last().cloned().expect("a request");
        let got = |header: &str| entry.headers.iter().any(|(known, _)| known == header);
        assert_eq!((got("openai-organization"), got("openai-project")), (goes, goes), "{name}");
        assert!(!got("openai-beta"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_translated_only_where_there_is_memory_for_its_parts() {
    let stage = Foreign::open("limits: { body: 64KiB, bodies: 224KiB }\n").await;
    let (from, to) = (Dialect::Anthropic, Dialect::OpenaiChat);
    let asked = async |to, length: usize| {
        let mut request = question(from, &model(to), false);
        request["system"] = "x".repeat(length).into();
        stage.ask(from, &request, "text=2").await
    };
    // The body, twice as much for its parts, and the body for the provider.
    assert_eq!(asked(to, 40 * 1024).await.status(), 200);
    let refused = asked(to, 60 * 1024).await;
    assert_eq!(refused.status(), 529, "{}", refused.text());
    assert!(refused.text().contains("limits.bodies"), "{}", refused.text());
    assert_eq!(asked(from, 60 * 1024).await.status(), 200, "what is passed on needs no such memory");
    assert_eq!(stage.provider.ledger().entries.len(), 2);
}
