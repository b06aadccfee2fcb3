//! Clients of one dialect in front of providers of another: answers, plain and streamed, what is warned about, and what
//! is recorded.

use lunaroute_core::Dialect;
use lunaroute_sim::Provider;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Answer, Call, End, exchange};
use crate::support::dialogue::{pairs, path, post, question, read};
use crate::support::gateway::run;
use crate::support::stage::{MESSAGES, provider, record};
use crate::support::{Gateway, GatewayOptions};

/// A gateway with a provider for each dialect, which speaks nothing else; all are one simulated provider. The model
/// `DIALECT:NAME` goes to the provider of that dialect as `NAME`.
pub(crate) struct Foreign {
    pub(crate) provider: Provider,
    pub(crate) gateway: Gateway,
    pub(crate) home: TempDir,
}

impl Foreign {
    pub(crate) async fn open(yaml: &str) -> Self {
        let provider = provider().await;
        let home = tempfile::tempdir().expect("a directory");
        let yaml = format!("{}{yaml}", providers(&provider.base_url()));
        let gateway =
            Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
        Self { provider, gateway, home }
    }

    pub(crate) async fn exchange(&self, call: &Call) -> Answer {
        exchange(self.gateway.address, call).await
    }

    /// Asks in one dialect for a model that only speaks another.
    pub(crate) async fn ask(&self, from: Dialect, body: &Value, script: &str) -> Answer {
        self.exchange(&post(from, body).short(script)).await
    }

    /// The body that the provider got last.
    pub(crate) fn received(&self) -> Value {
        let ledger = self.provider.ledger();
        let body = ledger.entries.last().and_then(|entry| entry.body.clone()).expect("a request");
        serde_json::from_slice(&body).expect("JSON")
    }
}

/// The name of a model that only a provider of this dialect has.
pub(crate) fn model(to: Dialect) -> String {
    format!("{to}:m")
}

fn providers(base_url: &str) -> String {
    let mut yaml = "providers:\n".to_owned();
    for dialect in Dialect::ALL {
        let family = match dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
        };
        yaml += &format!(
            "  only_{dialect}: {{ dialect: {family}, dialects: [{dialect}], base_url: '{base_url}' }}\n"
        );
    }
    yaml += "models:\n";
    for dialect in Dialect::ALL {
        yaml += &format!("  - {{ model: '{dialect}:m', provider: only_{dialect}, upstream: m }}\n");
    }
    yaml
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_says_in_the_clients_dialect_what_the_provider_said() {
    let stage = Foreign::open("").await;
    let script = "text=12,cached=700,cache_write=30";
    for (from, to) in pairs() {
        for stream in [false, true] {
            let what = format!("{from} to {to}, stream {stream}");
            let answer = stage.ask(from, &question(from, &model(to), stream), script).await;
            assert_eq!((answer.status(), answer.end), (200, End::Whole), "{what}: {}", answer.text());
            let told = read(from, &answer, stream);
            let entry = stage.provider.ledger().entries.last().cloned().expect("a request");
            assert_eq!((entry.dialect, entry.stream), (to, stream), "{what}");
            assert_eq!(entry.path, path(to, "m", stream), "{what}");
            assert_eq!(entry.model.as_deref(), Some("m"), "{what}: the provider's name of the model");
            assert_eq!(told.text, entry.text, "{what}");
            assert_eq!(told.stop, "end", "{what}");
            assert_eq!(told.model, model(to), "{what}: the name that the client used");
            assert_eq!(answer.head.header("x-lunaroute-model"), Some("m"), "{what}");
            assert_eq!(
                told.usage,
                (
                    entry.usage.total_input().expect("figures"),
                    entry.usage.cache_read.expect("figures"),
                    entry.usage.output.expect("figures")
                ),
                "{what}"
            );
            let named = if from == Dialect::Anthropic { "request-id" } else { "x-request-id" };
            let id = answer.head.request_id().to_string();
            assert_eq!(answer.head.header(named), Some(id.as_str()), "{what}");
            let theirs = answer.head.header("x-lunaroute-upstream-request-id");
            assert_eq!(theirs, Some(entry.request_id.as_str()), "{what}");
            let version = entry.headers.iter().any(|(name, _)| name == "anthropic-version");
            assert_eq!(version, to == Dialect::Anthropic, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_flows_while_the_provider_speaks_and_lives_through_its_silence() {
    let stage = Foreign::open("streaming: { keep_alive: 40ms }\n").await;
    for (from, to) in pairs() {
        let answer = stage.ask(from, &question(from, &model(to), true), "text=4,delay=150").await;
        let told = read(from, &answer, true);
        assert_eq!(told.text.split_whitespace().count(), 4, "{from} to {to}");
        let spread = *answer.arrivals.last().expect("pieces") - answer.arrivals[0];
        assert!(spread.as_millis() > 300, "{from} to {to}: all came within {spread:?}");
        let sign = match from {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => ": ",
            Dialect::Anthropic => "event: ping",
            // An empty line of its own.
            Dialect::Gemini => "\r\n\r\n\n",
        };
        assert!(answer.text().contains(sign), "{from} to {to}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_answers_are_translated_too() {
    let stage = Foreign::open("").await;
    for (from, to) in pairs() {
        for (stream, coding) in [(false, "gzip"), (true, "gzip"), (true, "zstd")] {
            let script = format!("text=6,{coding}");
            let answer = stage.ask(from, &question(from, &model(to), stream), &script).await;
            assert_eq!(answer.head.header("content-encoding"), None);
            assert_eq!(read(from, &answer, stream).text.split_whitespace().count(), 6, "{from} to {to}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_cannot_cross_is_named_and_counted_and_refused_when_strict() {
    let (mild, strict) = (Foreign::open("").await, Foreign::open("translation: { strict: true }\n").await);
    for (from, to, field, value) in [
        (Dialect::OpenaiChat, Dialect::Anthropic, "logit_bias", json!({ "50256": -100 })),
        (
            Dialect::OpenaiResponses,
            Dialect::OpenaiChat,
            "context_management",
            json!([{ "type": "compaction" }]),
        ),
        (
            Dialect::Anthropic,
            Dialect::OpenaiChat,
            "context_management",
            json!({ "edits": [{ "type": "x" }] }),
        ),
        (Dialect::OpenaiChat, Dialect::Gemini, "logit_bias", json!({ "50256": -100 })),
        (
            Dialect::Gemini,
            Dialect::OpenaiResponses,
            "safetySettings",
            json!([{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE" }]),
        ),
    ] {
        let mut body = question(from, &model(to), false);
        let clean = mild.ask(from, &body, "text=2").await;
        assert_eq!(clean.head.header("x-lunaroute-warnings"), None, "{from} to {to}");
        assert_eq!(strict.ask(from, &body, "text=2").await.status(), 200, "{from} to {to}");
        body[field] = value;
        let answer = mild.ask(from, &body, "text=2").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let named = answer.head.header("x-lunaroute-warnings").unwrap_or_default();
        assert!(named.split(',').any(|path| path == field), "{from} to {to}: {named}");
        assert!(mild.received().get(field).is_none());
        let metrics = mild.exchange(&Call::get("/metrics")).await.text();
        let counted = format!("warnings_total{{field=\"{field}\",from=\"{from}\",to=\"{to}\"}} 1");
        assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
        let seen = strict.provider.ledger().entries.len();
        let refused = strict.ask(from, &body, "text=2").await;
        assert_eq!(refused.status(), 400, "{}", refused.text());
        let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(
            message.contains(&format!("'{field}'")) && message.contains("translation.strict"),
            "{message}"
        );
        assert_eq!(strict.provider.ledger().entries.len(), seen, "the provider was not asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_length_of_a_request_is_estimated_where_the_provider_cannot_count() {
    let stage = Foreign::open("").await;
    let counted = |model: &str, words: usize| {
        let said = "the moon goes round the earth ".repeat(words);
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": said }] });
        Call::post("/v1/messages/count_tokens", body.to_string())
    };
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::Gemini] {
        let answer = stage.exchange(&counted(&model(to), 100)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.head.header("x-lunaroute-estimated"), Some("input_tokens"));
        let tokens = answer.json()["input_tokens"].as_u64().expect("a figure");
        // Six words and as many tokens, a hundred times.
        assert!((600..1_200).contains(&tokens), "{tokens}");
    }
    assert!(stage.provider.ledger().entries.is_empty(), "nobody was asked");
    let own = stage.exchange(&counted(&model(Dialect::Anthropic), 100)).await;
    assert_eq!((own.status(), own.head.header("x-lunaroute-estimated")), (200, None));
    assert_eq!(stage.provider.ledger().entries.len(), 1, "who can count is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_come_late_or_never_are_estimated() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let url = provider.base_url();
    let yaml = format!(
        "providers:\n  late: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}' }}\n  \
         never: {{ dialect: openai, dialects: [openai_chat], base_url: '{url}', differences: [no_stream_options] }}\n\
         models:\n  - {{ model: late, provider: late }}\n  - {{ model: never, provider: never }}\n"
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    for model in ["late", "never"] {
        let body = question(Dialect::Anthropic, model, true);
        let call = Call::post(MESSAGES, body.to_string()).short("text=3");
        let answer = exchange(gateway.address, &call.header("x-lunaroute-session-id", model)).await;
        let text = answer.text();
        let event = |name: &str| -> Value {
            let (_, data) = text.split_once(&format!("event: {name}\ndata: ")).expect("the event");
            serde_json::from_str(data.lines().next().expect("a line")).expect("JSON")
        };
        // The question has some thirty tokens with its tool.
        let begun = event("message_start")["message"]["usage"]["input_tokens"].as_u64();
        assert!(begun.is_some_and(|tokens| (20..200).contains(&tokens)), "{model}: {begun:?}");
        let ended = event("message_delta")["usage"].clone();
        assert_eq!(ended["input_tokens"].as_u64() == begun, model == "never", "{model}: {ended}");
        assert!(ended["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{model}: {ended}");
        // Who looks at the record later has to see which figures were counted.
        let kept = record(home.path(), answer.head.request_id()).await;
        assert_eq!(kept.request.tokens.output.is_none(), model == "never", "the provider's own alone");
        let says = |text: &str| text.contains("usage: the provider told no figures");
        let shown = run(home.path(), &["sessions", "show", model]);
        assert_eq!(says(&String::from_utf8_lossy(&shown.stdout)), model == "never", "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_and_its_overlay_decide_what_a_model_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let overlay = directory.path().join("models.json");
    std::fs::write(&overlay, r#"{"models":[{"match":["m"],"max_output":50}]}"#).expect("written");
    let stage = Foreign::open(&format!("catalog: {{ overlay: '{}' }}\n", overlay.display())).await;
    let to = Dialect::OpenaiChat;
    let answer =
        stage.ask(Dialect::Anthropic, &question(Dialect::Anthropic, &model(to), false), "text=2").await;
    assert_eq!(answer.head.header("x-lunaroute-warnings"), Some("max_tokens"), "{}", answer.text());
    assert_eq!(stage.received()["max_completion_tokens"], 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_does_otherwise_is_respected() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let yaml = format!(
        "providers:\n  local: {{ dialect: openai, dialects: [openai_chat], base_url: '{}', \
         differences: [legacy_max_tokens, no_stream_options, plain_content] }}\n\
         models:\n  - {{ model: '*', provider: local }}\n",
        provider.base_url()
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    let body = question(Dialect::Anthropic, "llama", true);
    let answer = exchange(gateway.address, &Call::post(MESSAGES, body.to_string()).short("text=3")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let entry = provider.ledger().entries.last().cloned().expect("a request");
    let sent: Value = serde_json::from_slice(&entry.body.expect("kept")).expect("JSON");
    assert_eq!(sent["max_tokens"], 2048);
    assert!(sent.get("stream_options").is_none() && sent.get("max_completion_tokens").is_none(), "{sent}");
}
