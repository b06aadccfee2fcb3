//! The edits that a configuration asks for: a few bytes, and no others.

use lunaroute_sim::Entry;
use serde_json::Value;

use crate::support::bodies::encode;
use crate::support::client::{Call, exchange};
use crate::support::events::events;
use crate::support::stage::{CHAT, GEMINI, GENERATIONS, MESSAGES, RESPONSES, Stage, body};
use crate::support::{Gateway, GatewayOptions};

const MODELS: &str = "models:\n  - { model: fast, provider: openai, upstream: 'gpt \"real\"' }\n  \
    - { model: 'claude-[ab]*', provider: anthropic, upstream: claude-real }\n  \
    - { model: plain, provider: openai }\n  \
    - { model: quick, provider: gemini, upstream: 'gemini 3/pro' }\n";

/// What the provider got of the call.
async fn arrived(stage: &Stage, call: Call, test_id: &str) -> Entry {
    let answer = stage.exchange(&call.header("x-test-id", test_id)).await;
    assert_eq!(answer.status(), 200, "{test_id}: {}", answer.text());
    stage.entry(test_id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_renamed_in_its_place() {
    let stage = Stage::open(MODELS).await;
    let around = |model: &str| {
        format!(
            "\r\n{{ \"n\" : 12345678901234567890123,\"messages\":[{{\"role\":\"user\",\"content\":\"\\ud83d \\\"model\\\":\\\"fast\\\"\"}}],\
             \"metadata\":{{\"model\":\"fast\"}},\"model\"\t: {model} ,\"e\":1e400,\"input\":\"x\",\"n\":1}} \n"
        )
    };
    let rows = [
        (CHAT, "\"fast\"", "\"gpt \\\"real\\\"\""),
        (RESPONSES, "\"f\\u0061st\"", "\"gpt \\\"real\\\"\""),
        (MESSAGES, "\"claude-b-1\"", "\"claude-real\""),
        (MESSAGES, "\"claude-c-1\"", "\"claude-c-1\""),
        (CHAT, "\"plain\"", "\"plain\""),
        (CHAT, "\"other\"", "\"other\""),
    ];
    for (number, (path, named, renamed)) in rows.into_iter().enumerate() {
        for coding in [None, Some("zstd"), Some("gzip"), Some("br")] {
            let plain = around(named).into_bytes();
            let bytes = coding.map_or(plain.clone(), |coding| encode(coding, &plain));
            let mut call = Call::post(path, bytes.clone()).short("echo");
            if let Some(coding) = coding {
                call = call.header("content-encoding", coding);
            }
            let entry = arrived(&stage, call, &format!("{number}-{coding:?}")).await;
            let place = format!("{path} {named} {coding:?}");
            let changed = named != renamed;
            // An edited body travels in its plain form; any other in its own bytes.
            let expected = if changed { around(renamed).into_bytes() } else { bytes };
            assert_eq!(entry.header("content-encoding"), if changed { None } else { coding }, "{place}");
            assert_eq!(entry.header("content-length"), Some(expected.len().to_string().as_str()), "{place}");
            let body = entry.body.expect("the ledger keeps bodies");
            assert!(body == expected, "{place}: {}", body.escape_ascii());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_in_the_path_is_renamed_there_and_where_the_body_says_it_again() {
    let stage = Stage::open(MODELS).await;
    let rows = [
        ("/v1beta/models/quick:generateContent?a=%7e", r#"{ "contents":[] ,"e":1e400}"#),
        ("/v1/models/q%75ick:streamGenerateContent?alt=sse", r#"{"contents":[],"model":"models/quick"}"#),
        ("/v1beta/models/quick:embedContent", r#"{"model" : "models/quick","content":{"model":"quick"}}"#),
        (
            "/v1beta/models/quick:batchEmbedContents",
            r#"{"requests":[{"model":"models/quick"},{},{"model":"quick"}]}"#,
        ),
        ("/v1beta/models/quick:countTokens", r#"{"generateContentRequest":{"model":"models/quick"}}"#),
    ];
    let renamed =
        |text: &str| text.replacen("quick", "gemini%203/pro", 1).replacen("q%75ick", "gemini%203/pro", 1);
    for (number, (target, sent)) in rows.into_iter().enumerate() {
        let call = Call::post(target, sent).short("echo");
        let answer = stage.exchange(&call.header("x-test-id", number.to_string())).await;
        assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
        let entry = stage.entry(&number.to_string()).await;
        assert_eq!(entry.path, renamed(target));
        let body = String::from_utf8(entry.body.expect("the ledger keeps bodies").to_vec()).expect("text");
        let inner = sent.contains(r#""content":{"model""#);
        let expected = if inner {
            sent.replacen("quick", "gemini 3/pro", 1)
        } else {
            sent.replace("quick", "gemini 3/pro")
        };
        assert_eq!(body, expected, "{target}");
        let kept = stage.record(answer.head.request_id()).await.request;
        assert_eq!(kept.model_requested.as_deref(), Some("quick"), "{target}");
    }
    let call = Call::post("/v1beta/models/other:generateContent", r#"{"contents":[]}"#);
    assert_eq!(arrived(&stage, call, "other").await.path, "/v1beta/models/other:generateContent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_figures_are_asked_for_when_the_configuration_says_so() {
    const ASKED: &str = r#""stream_options":{"include_usage":true}"#;
    let stage = Stage::open("streaming: { include_usage: true }\n").await;
    let bare = r#"{ "model":"m","messages":[],"stream":true ,"x":1e400}"#;
    let rows = [
        (CHAT, bare, true),
        (CHAT, r#"{"stream":true,"model":"m","messages":[],"stream_options":{"include_usage":true}}"#, false),
        (CHAT, r#"{"stream":false,"model":"m","messages":[]}"#, false),
        (RESPONSES, r#"{"stream":true,"model":"m","input":"a"}"#, false),
        (MESSAGES, r#"{"stream":true,"model":"m","messages":[],"max_tokens":9}"#, false),
    ];
    for (number, (path, sent, edited)) in rows.into_iter().enumerate() {
        let entry = arrived(&stage, Call::post(path, sent).short("text=3"), &number.to_string()).await;
        let body = entry.body.expect("the ledger keeps bodies");
        let body = std::str::from_utf8(&body).expect("text");
        if edited {
            assert!(serde_json::from_str::<Value>(&body.replace("1e400", "1")).is_ok(), "{body}");
            let without = body.replacen(ASKED, "", 1).replacen("{,", "{", 1).replacen(",}", "}", 1);
            assert!(body.contains(ASKED) && without == sent, "{body}");
        } else {
            assert_eq!(body, sent);
        }
    }
    let answer = stage.exchange(&Call::post(CHAT, bare).short("text=3")).await;
    assert!(events(&answer.body).iter().any(|event| event.data.contains("completion_tokens")));
    let kept = stage.record(answer.head.request_id()).await;
    assert_eq!(kept.request.tokens.output, Some(3));
}

/// The ids in a list of models.
fn ids(list: &Value) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |entry: &'_ Value| -> Option<String> {
        let name = entry["id"].as_str().or(entry["name"].as_str())?;
        Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
    };
    entries.iter().filter_map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_models_are_listed_in_every_shape_also_without_a_provider() {
    let stage = Stage::open(MODELS).await;
    let openai = Call::get("/v1/models");
    let codex = Call::get("/v1/models?client_version=0.169.0").header("originator", "codex_cli_rs");
    let anthropic = Call::get("/v1/models?limit=1000").header("anthropic-version", "2023-06-01");
    let gemini = Call::get("/v1beta/models?pageSize=50");
    let sim = ["claude-sim", "gpt-sim", "sim-agent", "sim-tools"];
    let whole: Vec<String> = sim.into_iter().chain(["fast", "plain", "quick"]).map(str::to_owned).collect();
    let list = stage.exchange(&openai).await.json();
    assert_eq!((&list["object"], ids(&list["data"])), (&Value::from("list"), whole.clone()));
    let list = stage.exchange(&anthropic).await.json();
    assert_eq!(ids(&list["data"]), whole);
    assert!(list["data"][4]["display_name"].is_string() && list["has_more"] == false, "{list}");
    let list = stage.exchange(&codex).await.json();
    // The simulated provider has no `models` array, so the configured ones make it.
    assert_eq!(ids(&list["models"]), ["fast", "plain", "quick"], "{list}");
    let list = stage.exchange(&gemini).await.json();
    assert_eq!(ids(&list["models"]), whole);
    assert_eq!(list["models"][6]["name"], "models/quick", "{list}");

    let home = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let upstream = Some(format!("http://{}", free.local_addr().expect("an address")));
    drop(free);
    let yaml = format!("{MODELS}retry: {{ attempts: 1 }}\n");
    let gateway = Gateway::start(home.path(), &GatewayOptions { upstream, yaml: &yaml, provider_yaml: "" });
    for (call, member) in [(openai, "data"), (anthropic, "data"), (codex, "models"), (gemini, "models")] {
        let answer = exchange(gateway.address, &call).await;
        assert_eq!(answer.status(), 200, "{}: {}", call.target, answer.text());
        assert_eq!(ids(&answer.json()[member]), ["fast", "plain", "quick"], "{}", call.target);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_models_table_the_list_is_the_providers_bytes() {
    let stage = Stage::open("").await;
    for path in GENERATIONS {
        let list = if path == GEMINI { "/v1beta/models" } else { "/v1/models" };
        let call = Call::get(list).header("accept-encoding", "gzip");
        let call = if path == MESSAGES { call.header("anthropic-version", "2023-06-01") } else { call };
        let direct = exchange(stage.provider.address(), &call).await;
        assert_eq!(stage.exchange(&call).await.body, direct.body);
    }
    // A body of another kind in a renamed request is nobody's to change.
    let stage = Stage::open(MODELS).await;
    let sent = body(CHAT, "other", false);
    let entry = arrived(&stage, Call::post(CHAT, sent.clone()), "untouched").await;
    assert_eq!(entry.body.as_deref(), Some(sent.as_bytes()));
}
