//! Whose traffic goes where, with whose credential; and what the gateway answers itself.

use std::path::Path;

use lunaroute_sim::{Entry, Provider, credential_mark};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{Answer, Call, Connection, exchange};
use crate::support::gateway::log;
use crate::support::stage::{
    CHAT, GEMINI, GENERATIONS, MESSAGES, RESPONSES, Stage, ask, body, provider, recorded,
};
use crate::support::{Gateway, GatewayOptions};

const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

const CLIENT_KEY: &str = "canary-of-the-client-7f3a";
const OWN_KEY: &str = "canary-of-the-gateway-91bc";

/// What a client sends as credentials: header lines, and a query.
fn credentials() -> Vec<(Vec<(&'static str, String)>, &'static str)> {
    let bearer = ("authorization", format!("Bearer {CLIENT_KEY}"));
    let plain = |name| (name, format!("{CLIENT_KEY}-{name}"));
    vec![
        (vec![bearer.clone()], ""),
        (vec![plain("x-api-key")], ""),
        (vec![plain("api-key")], ""),
        (vec![plain("x-goog-api-key")], ""),
        (vec![], "?key=canary-of-the-client-7f3a&beta=true"),
        (vec![bearer, plain("x-api-key"), plain("x-goog-api-key")], "?api_key=canary-of-the-client-7f3a"),
        (vec![], ""),
    ]
}

/// The credential headers that the provider saw.
fn seen(entry: &Entry) -> Vec<(&str, &str)> {
    let is_credential = |name: &str| CREDENTIALS.contains(&name);
    let lines = entry.headers.iter().filter(|(name, _)| is_credential(name));
    lines.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_sides_credential_reaches_the_provider_and_none_is_written_down() {
    let mut checked = 0;
    for own in [false, true] {
        let key = format!("    api_key: {OWN_KEY}\n");
        let stage =
            Stage::with_provider_settings("log: { level: trace }\n", if own { &key } else { "" }).await;
        for path in GENERATIONS {
            for (number, (lines, query)) in credentials().into_iter().enumerate() {
                let test_id = format!("{path}-{number}");
                let mut call = ask(path, "m", number % 2 == 0).header("x-test-id", &test_id);
                // Gemini's stream has a query already.
                let query =
                    if call.target.contains('?') { query.replacen('?', "&", 1) } else { query.to_owned() };
                call.target.push_str(&query);
                for (name, value) in &lines {
                    call = call.header(name, value);
                }
                assert_eq!(stage.exchange(&call).await.status(), 200);
                let entry = stage.entry(&test_id).await;
                let expected: Vec<(&str, String)> = match (own, path) {
                    (false, _) => lines,
                    (true, MESSAGES) => vec![("x-api-key", OWN_KEY.to_owned())],
                    (true, GEMINI) => vec![("x-goog-api-key", OWN_KEY.to_owned())],
                    (true, _) => vec![("authorization", format!("Bearer {OWN_KEY}"))],
                };
                let marks: Vec<(&str, String)> =
                    expected.iter().map(|(name, value)| (*name, credential_mark(value.as_bytes()))).collect();
                let mut got = seen(&entry);
                got.sort_by_key(|(name, _)| CREDENTIALS.iter().position(|known| known == name));
                let marks: Vec<(&str, &str)> =
                    marks.iter().map(|(name, mark)| (*name, mark.as_str())).collect();
                assert_eq!(got, marks, "{test_id}, own key {own}");
                assert_eq!(entry.path.contains("key="), !own && query.contains("key="), "{}", entry.path);
                assert_eq!(entry.path.contains("beta=true"), query.contains("beta=true"), "{}", entry.path);
                checked += 1;
            }
        }
        let refused = Call::post(CHAT, body(CHAT, "m", false)).short("401");
        let refused = stage.exchange(&refused.header("authorization", format!("Bearer {CLIENT_KEY}"))).await;
        assert_eq!(refused.status(), if own { 502 } else { 401 }, "{}", refused.text());
        let metrics = stage.exchange(&Call::get("/metrics")).await;
        assert!(!holds_canary(&metrics.body) && !holds_canary(&refused.body));
        stage.record(refused.head.request_id()).await;
        let Stage { gateway, home, provider } = stage;
        assert_eq!(gateway.stop(), Some(0));
        drop(provider);
        assert!(log(home.path()).contains("TRACE"), "the log tells everything");
        search(home.path());
    }
    println!("credential pairs {checked}, both 0, neither 0");
}

fn holds_canary(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|window| window == b"canary-of-")
}

/// No file below the gateway's directory holds a key, besides the configuration that told it.
fn search(home: &Path) {
    let (mut files, mut bytes, mut pending) = (0, 0, vec![home.to_path_buf()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            pending.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if !path.ends_with("lunaroute.yaml") {
            let content = std::fs::read(&path).expect("a file");
            assert!(!holds_canary(&content), "{} holds a key", path.display());
            (files, bytes) = (files + 1, bytes + content.len());
        }
    }
    println!("searched {files} files, {bytes} bytes, keys found 0");
    assert!(
        files >= 4 && bytes > 100_000,
        "{files} files with {bytes} bytes: log, journal and database are there"
    );
}

/// Method, target, and a header that tells the vendor.
type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// A gateway between one simulated provider per vendor.
struct Vendors {
    openai: Provider,
    anthropic: Provider,
    gemini: Provider,
    gateway: Gateway,
    home: TempDir,
}

impl Vendors {
    async fn open(yaml: &str) -> Self {
        let (openai, anthropic, gemini) = (provider().await, provider().await, provider().await);
        let home = tempfile::tempdir().expect("a directory");
        let providers = format!(
            "providers:\n  openai:\n    base_url: {}/v1\n    api_key: {OWN_KEY}-o\n  anthropic:\n    base_url: {}\n    \
             api_key: {OWN_KEY}-a\n  gemini:\n    base_url: {}\n    api_key: {OWN_KEY}-g\n",
            openai.base_url(),
            anthropic.base_url(),
            gemini.base_url()
        );
        let yaml = format!("{providers}{yaml}");
        let options = GatewayOptions { upstream: None, yaml: &yaml, provider_yaml: "" };
        let gateway = Gateway::start(home.path(), &options);
        Self { openai, anthropic, gemini, gateway, home }
    }

    async fn exchange(&self, call: &Call) -> Answer {
        exchange(self.gateway.address, call).await
    }

    fn seen(&self) -> [usize; 3] {
        [&self.openai, &self.anthropic, &self.gemini].map(|provider| provider.ledger().entries.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_reaches_its_own_vendor_and_no_other() {
    let stage = Vendors::open("").await;
    let version = ("anthropic-version", "2023-06-01");
    let openai: [Row; 12] = [
        ("POST", CHAT, None),
        ("POST", RESPONSES, None),
        ("GET", "/v1/responses/resp_1", None),
        ("POST", "/v1/embeddings", None),
        ("POST", "/v1/images/generations", None),
        ("POST", "/v1/audio/speech", None),
        ("GET", "/v1/fine_tuning/jobs?limit=2", None),
        ("POST", "/v1/files", None),
        ("GET", "/v1/models", None),
        ("DELETE", "/v1/x/unknown", None),
        ("POST", "/v1/batches", None),
        ("GET", "/v1/models?client_version=0.1", Some(("originator", "codex_cli_rs"))),
    ];
    let anthropic: [Row; 9] = [
        ("POST", MESSAGES, None),
        ("POST", "/v1/messages?beta=true", Some(version)),
        ("POST", "/v1/messages/count_tokens", None),
        ("GET", "/v1/messages/batches/b/results", None),
        ("POST", "/v1/complete", None),
        ("GET", "/v1/models?limit=1000", Some(version)),
        ("POST", "/v1/files", Some(version)),
        ("GET", "/v1/x/unknown", Some(version)),
        ("GET", "/v1/skills", Some(("x-claude-code-session-id", "s"))),
    ];
    let key = ("x-goog-api-key", "the-clients-own");
    let gemini: [Row; 11] = [
        ("POST", GEMINI, None),
        ("POST", "/v1beta/models/m:generateContent", None),
        ("POST", "/v1/models/m:generateContent?key=the-clients-own", None),
        ("POST", "/v1beta/models/m:countTokens", None),
        ("POST", "/v1beta/models/m:embedContent", None),
        ("GET", "/v1beta/models?pageSize=5", None),
        ("GET", "/v1beta/models/m", None),
        ("GET", "/v1/models", Some(key)),
        ("POST", "/v1beta/cachedContents", None),
        ("POST", "/upload/v1beta/files?uploadType=resumable", None),
        ("DELETE", "/v1beta/files/f", None),
    ];
    let mut expected = [0; 3];
    let rows = openai.iter().map(|row| (row, 0)).chain(anthropic.iter().map(|row| (row, 1)));
    for ((method, target, header), vendor) in rows.chain(gemini.iter().map(|row| (row, 2))) {
        let mut call = Call::new(method, target).header("content-type", "application/json");
        if *method == "POST" {
            call.body = body(target, "m", false).into_bytes();
        }
        if let Some((name, value)) = header {
            call = call.header(name, value);
        }
        let answer = stage.exchange(&call).await;
        assert!(answer.status() < 500, "{method} {target}: {}", answer.text());
        expected[vendor] += 1;
        assert_eq!(stage.seen(), expected, "{method} {target} went to the wrong vendor");
    }
    let own = |style: &str, key: &str| credential_mark(format!("{style}{OWN_KEY}-{key}").as_bytes());
    for entry in &stage.openai.ledger().entries {
        assert_eq!(seen(entry), [("authorization", own("Bearer ", "o").as_str())], "{}", entry.path);
    }
    for entry in &stage.anthropic.ledger().entries {
        assert_eq!(seen(entry), [("x-api-key", own("", "a").as_str())], "{}", entry.path);
    }
    for entry in &stage.gemini.ledger().entries {
        assert_eq!(seen(entry), [("x-goog-api-key", own("", "g").as_str())], "{}", entry.path);
        assert!(!entry.path.contains("key="), "{}", entry.path);
    }
    println!("requests {expected:?}, at the wrong vendor 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_57_what_needs_no_provider_reaches_none_and_is_not_recorded() {
    let stage = Vendors::open("").await;
    let mut connection = Connection::open(stage.gateway.address).await;
    for path in ["/", "/api/hello"] {
        let answer = connection.exchange(&Call::new("HEAD", path)).await;
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{path}");
    }
    let answer = connection.exchange(&Call::post("/api/event_logging/batch", r#"{"events":[]}"#)).await;
    assert_eq!((answer.status(), answer.json()), (200, serde_json::json!({})));
    for (method, path) in
        [("GET", "/api/oauth/profile"), ("POST", "/api/claude_cli/feedback"), ("GET", "/api/x")]
    {
        let answer = connection.exchange(&Call::new(method, path)).await;
        let error = answer.json();
        assert_eq!(
            (answer.status(), &error["type"], &error["error"]["type"]),
            (404, &Value::from("error"), &Value::from("not_found_error")),
            "{method} {path}"
        );
    }
    for (path, text) in [
        ("/healthz", "ok"),
        ("/readyz", "ready"),
        ("/metrics", "lunaroute_build_info"),
        ("/version", env!("CARGO_PKG_VERSION")),
    ] {
        let answer = connection.exchange(&Call::get(path)).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
    for path in ["/nowhere", "/v2/chat", "/models/gemini:generateContent"] {
        let answer = connection.exchange(&Call::post(path, "{}")).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.json()["error"]["message"].is_string(), "{path}: {}", answer.text());
    }
    assert_eq!(stage.seen(), [0; 3]);
    // The first that is recorded is the first that needs a provider.
    let answer = connection.exchange(&Call::post(CHAT, body(CHAT, "m", false))).await;
    crate::support::stage::record(stage.home.path(), answer.head.request_id()).await;
    assert_eq!(recorded(stage.home.path()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_55_a_websocket_is_refused_so_that_the_client_falls_back() {
    let stage = Vendors::open("responses: { websocket: false }\n").await;
    let upgrade = Call::get(RESPONSES)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("openai-beta", "responses_websockets=2026-02-06");
    let answer = stage.exchange(&upgrade).await;
    assert_eq!(answer.status(), 426);
    let error = answer.json();
    assert!(error["error"]["message"].is_string() && error.get("type").is_none(), "{error}");
    assert!(answer.head.header("upgrade").is_some(), "RFC 9110 asks for it");
    assert_eq!(stage.seen(), [0; 3]);
    let answer = stage.exchange(&Call::post(RESPONSES, body(RESPONSES, "m", true))).await;
    assert_eq!((answer.status(), stage.seen()), (200, [1, 0, 0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_vendor_has_no_path_for_is_refused_clearly() {
    let yaml =
        "models:\n  - { model: 'claude-*', provider: anthropic }\n  - { model: 'gpt-*', provider: openai }\n";
    let stage = Vendors::open(yaml).await;
    let asked = r#"{"model":"claude-x","input":"moon"}"#;
    let answer = stage.exchange(&Call::post("/v1/embeddings", asked)).await;
    assert_eq!(answer.status(), 400, "{}", answer.text());
    let error = answer.json();
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("claude-*") && message.contains("anthropic"), "{message}");
    assert_eq!(stage.seen(), [0; 3]);
    assert_eq!(stage.exchange(&Call::post(CHAT, body(CHAT, "gpt-x", false))).await.status(), 200);
    assert_eq!(stage.exchange(&Call::post(MESSAGES, body(MESSAGES, "claude-x", false))).await.status(), 200);
    assert_eq!(stage.seen(), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_credential_is_never_shown_to_another_vendor() {
    let (openai, anthropic) = (provider().await, provider().await);
    let home = tempfile::tempdir().expect("a directory");
    let yaml = format!(
        "providers:\n  openai: {{ base_url: '{}/v1' }}\n  anthropic: {{ base_url: '{}' }}\n\
         models:\n  - {{ model: 'claude-*', provider: anthropic }}\n  - {{ model: 'gpt-*', provider: openai }}\n",
        openai.base_url(),
        anthropic.base_url()
    );
    let options = GatewayOptions { upstream: None, yaml: &yaml, provider_yaml: "" };
    let gateway = Gateway::start(home.path(), &options);
    for (path, model, theirs) in
        [(CHAT, "claude-x", &anthropic), (RESPONSES, "claude-x", &anthropic), (MESSAGES, "gpt-x", &openai)]
    {
        for (lines, query) in credentials() {
            let mut call = Call::post(&format!("{path}{query}"), body(path, model, false));
            for (name, value) in &lines {
                call = call.header(name, value);
            }
            let answer = exchange(gateway.address, &call.header("cookie", CLIENT_KEY)).await;
            assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        }
        let ledger = theirs.ledger();
        assert!(ledger.entries.iter().all(|entry| seen(entry).is_empty()), "{path}");
        assert!(ledger.entries.iter().all(|entry| !entry.path.contains("key=")), "{path}");
        let is_cookie = |(name, _): &(String, String)| name == "cookie";
        assert!(ledger.entries.iter().all(|entry| !entry.headers.iter().any(is_cookie)), "{path}");
        // Without a key of its own the gateway has none to show: that is no fault of the client's key.
        let call = Call::post(path, body(path, model, false)).short("401").header("x-api-key", CLIENT_KEY);
        let refused = exchange(gateway.address, &call).await;
        assert_eq!(refused.status(), 502, "{}", refused.text());
        assert!(refused.text().contains(".api_key"), "{}", refused.text());
    }
}
