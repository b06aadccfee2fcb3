//! The cases of a list of sixty that only the real program can show, by their numbers. The others stand with the dialects;
//! 55 and 57 stand with what the gateway answers itself.

use lunaroute_core::Dialect;
use lunaroute_session::query::SessionQuery;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bodies::encode;
use crate::support::client::{Answer, Call, exchange};
use crate::support::dialogue::{events, post, question};
use crate::support::gateway::log;
use crate::support::raw_upstream::RawUpstream;
use crate::support::stage::{GENERATIONS, MESSAGES, RESPONSES, Stage, body, provider, record};
use crate::support::{Gateway, GatewayOptions};
use crate::translation::{Foreign, model};

/// A provider of one dialect that answers whatever bytes it is told to; every model is its own.
struct Raw {
    upstream: RawUpstream,
    gateway: Gateway,
    home: TempDir,
}

impl Raw {
    async fn open(provider: &str) -> Self {
        let upstream = RawUpstream::start().await;
        let home = tempfile::tempdir().expect("a directory");
        let yaml = format!(
            "retry: {{ first_delay: 5ms }}\nproviders:\n  raw: {{ {provider}, base_url: 'http://{}' }}\n\
             models:\n  - {{ model: '*', provider: raw }}\n",
            upstream.address
        );
        let gateway =
            Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
        Self { upstream, gateway, home }
    }

    fn answer_with(&self, status: &str, headers: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        self.upstream.answer_with(format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ));
    }

    async fn ask(&self, from: Dialect) -> Answer {
        exchange(self.gateway.address, &post(from, &question(from, "m", false))).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_25_overloaded_says_when_to_come_again_in_the_callers_words() {
    let raw = Raw::open("dialect: anthropic").await;
    let theirs = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"});
    raw.answer_with("529 Overloaded", "retry-after: 31\r\nx-theirs: 1\r\n", &theirs);
    for from in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        let answer = raw.ask(from).await;
        assert_eq!((answer.status(), answer.head.header("retry-after")), (503, Some("31")), "{from}");
        assert_eq!(answer.json()["error"]["code"], "server_is_overloaded", "{from}");
    }
    let own = raw.ask(Dialect::Anthropic).await;
    assert_eq!((own.status(), own.head.header("x-theirs"), own.json()), (529, Some("1"), theirs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_27_who_has_no_credit_is_not_asked_again() {
    let raw = Raw::open("dialect: openai, dialects: [openai_chat]").await;
    let error = |kind: &str, code: &str| json!({"error": {"message": "no", "type": kind, "param": null, "code": code}});
    raw.answer_with("429 Too Many", "", &error("insufficient_quota", "insufficient_quota"));
    let told = raw.ask(Dialect::Anthropic).await;
    assert_eq!((told.status(), &told.json()["error"]["type"]), (402, &json!("billing_error")));
    assert_eq!(raw.upstream.requests(), 1, "nothing is different a moment later");
    let same = raw.ask(Dialect::OpenaiChat).await;
    assert_eq!((same.status(), raw.upstream.requests()), (429, 2));
    assert_eq!(
        same.json(),
        error("insufficient_quota", "insufficient_quota"),
        "the body that was looked into is whole"
    );
    raw.answer_with("429 Too Many", "retry-after: 45\r\n", &error("requests", "rate_limit_exceeded"));
    let limited = raw.ask(Dialect::Anthropic).await;
    assert_eq!((limited.status(), limited.head.header("retry-after")), (429, Some("45")));
    // A short throttle is waited out.
    raw.answer_with("429 Too Many", "retry-after-ms: 1\r\n", &error("requests", "rate_limit_exceeded"));
    let before = raw.upstream.requests();
    assert_eq!(raw.ask(Dialect::Anthropic).await.status(), 429);
    assert!(raw.upstream.requests() - before > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_28_the_wait_that_stands_in_the_body_is_told_as_a_header() {
    let raw = Raw::open("dialect: gemini").await;
    let theirs = json!({"error": {
        "code": 429, "message": "You exceeded your current quota.", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "10"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.2s"},
        ],
    }});
    for (listed, from) in [
        (false, Dialect::OpenaiChat),
        (false, Dialect::OpenaiResponses),
        (false, Dialect::Anthropic),
        (true, Dialect::Anthropic),
    ] {
        let before = raw.upstream.requests();
        raw.answer_with("429 Too Many", "", &if listed { json!([theirs]) } else { theirs.clone() });
        let answer = raw.ask(from).await;
        assert_eq!((answer.status(), answer.head.header("retry-after")), (429, Some("34")), "{from}");
        assert_eq!(raw.upstream.requests() - before, 1, "{from}: so long a wait is the client's");
        let kept = record(raw.home.path(), answer.head.request_id()).await.request;
        assert_eq!(kept.attempt_list[0].retry_after_ms, Some(33_200), "{from}");
    }
    // In its own dialect nothing is added and nothing changed.
    raw.answer_with("429 Too Many", "", &theirs);
    let own = raw.ask(Dialect::Gemini).await;
    assert_eq!((own.status(), own.head.header("retry-after"), own.json()), (429, None, theirs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_which_nothing_is_left_say_when_to_come_again() {
    let raw = Raw::open("dialect: openai, dialects: [openai_chat]").await;
    let limits = "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m30s\r\n\
                  x-ratelimit-remaining-tokens: 5\r\nx-ratelimit-reset-tokens: 6m0s\r\nx-should-retry: false\r\n";
    let error = json!({"error": {"message": "slow", "type": "requests", "param": null, "code": "rate_limit_exceeded"}});
    raw.answer_with("429 Too Many", limits, &error);
    let answer = raw.ask(Dialect::Anthropic).await;
    assert_eq!((answer.status(), answer.head.header("retry-after")), (429, Some("90")));
    let moment =
        |name: &str| -> jiff::Timestamp { answer.head.header(name).expect(name).parse().expect("RFC 3339") };
    let from_now = |name: &str| (moment(name) - jiff::Timestamp::now()).get_seconds();
    assert!((80..=91).contains(&from_now("anthropic-ratelimit-requests-reset")));
    assert!((350..=361).contains(&from_now("anthropic-ratelimit-tokens-reset")));
    assert_eq!(answer.head.header("anthropic-ratelimit-requests-remaining"), Some("0"));
}

/// The header lines of the last request by this name.
fn lines(upstream: &RawUpstream, name: &str) -> Vec<String> {
    let (_, headers) = upstream.last();
    let named = headers.into_iter().filter(|(known, _)| known == name);
    named.map(|(_, value)| String::from_utf8(value).expect("text")).collect()
}

fn message() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_30_a_key_in_a_bearer_header_is_a_key() {
    let call = Call::post(MESSAGES, body(MESSAGES, "m", false))
        .header("authorization", "Bearer sk-ant-api03-of-the-client")
        .header("anthropic-version", "2026-10-21");
    let raw = Raw::open("dialect: anthropic").await;
    raw.answer_with("200 OK", "", &message());
    assert_eq!(exchange(raw.gateway.address, &call).await.status(), 200);
    assert_eq!(lines(&raw.upstream, "authorization"), ["Bearer sk-ant-api03-of-the-client"]);
    assert_eq!(lines(&raw.upstream, "anthropic-version"), ["2026-10-21"], "what arrived is forwarded");
    assert!(lines(&raw.upstream, "anthropic-beta").is_empty(), "nothing says that it is a login");
    let own = Raw::open("dialect: anthropic, api_key: sk-of-the-gateway").await;
    own.answer_with("200 OK", "", &message());
    assert_eq!(exchange(own.gateway.address, &call).await.status(), 200);
    assert_eq!(lines(&own.upstream, "x-api-key"), ["sk-of-the-gateway"]);
    assert!(lines(&own.upstream, "authorization").is_empty(), "one credential, the gateway's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_31_a_subscription_is_shown_to_no_other_vendor() {
    let call = Call::post(MESSAGES, body(MESSAGES, "m", false))
        .header("authorization", "Bearer sk-ant-oat01-of-the-client")
        .header("anthropic-beta", "oauth-2025-04-20")
        .header("anthropic-version", "2023-06-01");
    let answer = json!({"id": "c", "object": "chat.completion", "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]});
    for (key, shown) in [("", vec![]), (", api_key: sk-own", vec!["Bearer sk-own".to_owned()])] {
        let raw = Raw::open(&format!("dialect: openai, dialects: [openai_chat]{key}")).await;
        raw.answer_with("200 OK", "", &answer);
        assert_eq!(exchange(raw.gateway.address, &call).await.status(), 200);
        assert_eq!(lines(&raw.upstream, "authorization"), shown);
        assert!(lines(&raw.upstream, "anthropic-beta").is_empty());
        let (_, headers) = raw.upstream.last();
        let holds_token = |value: &[u8]| String::from_utf8_lossy(value).contains("sk-ant-oat01");
        assert!(headers.iter().all(|(_, value)| !holds_token(value)));
    }
    // At its own vendor the pair arrives as it is.
    let raw = Raw::open("dialect: anthropic").await;
    raw.answer_with("200 OK", "", &message());
    assert_eq!(exchange(raw.gateway.address, &call).await.status(), 200);
    assert_eq!(lines(&raw.upstream, "authorization"), ["Bearer sk-ant-oat01-of-the-client"]);
    assert_eq!(lines(&raw.upstream, "anthropic-beta"), ["oauth-2025-04-20"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_32_betas_of_several_lines_all_reach_their_vendor() {
    let raw = Raw::open("dialect: anthropic").await;
    raw.answer_with("200 OK", "", &message());
    let call = Call::post(MESSAGES, body(MESSAGES, "m", false))
        .header("anthropic-beta", "a,b")
        .header("anthropic-beta", "c");
    assert_eq!(exchange(raw.gateway.address, &call).await.status(), 200);
    assert_eq!(lines(&raw.upstream, "anthropic-beta"), ["a,b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_37_thinking_by_a_budget_is_put_right_where_the_rule_says_so() {
    let provider = provider().await;
    let home = tempfile::tempdir().expect("a directory");
    let route = |name: &str, more: &str| {
        format!("  - {{ model: {name}, provider: claude, upstream: claude-opus-5{more} }}\n")
    };
    let yaml = format!(
        "providers:\n  claude: {{ dialect: anthropic, base_url: '{}' }}\nmodels:\n{}{}",
        provider.base_url(),
        route("as-it-is", ""),
        route("repaired", ", repair: true")
    );
    let gateway = Gateway::start(home.path(), &GatewayOptions { yaml: &yaml, ..GatewayOptions::default() });
    let asked = |name: &str, thinking: &str, more: &str| {
        format!(
            r#"{{ "model":"{name}","max_tokens":20000,"e":1e400, "thinking" : {thinking}{more} ,"messages":[{{"role":"user","content":"q"}}]}}"#
        )
    };
    let by_budget = r#"{"type":"enabled","budget_tokens":10000,"display":"omitted"}"#;
    let adaptive = r#"{"type":"adaptive","display":"omitted"}"#;
    let rows = [
        ("as-it-is", (by_budget, ""), (by_budget, "", "")),
        ("repaired", (by_budget, ""), (adaptive, "", r#""output_config":{"effort":"medium"},"#)),
        (
            "repaired",
            (by_budget, r#","output_config":{"task_budget":3}"#),
            (adaptive, r#","output_config":{"effort":"medium","task_budget":3}"#, ""),
        ),
        (
            "repaired",
            (by_budget, r#","output_config":{"effort":"max"}"#),
            (adaptive, r#","output_config":{"effort":"max"}"#, ""),
        ),
        ("repaired", (r#"{"type":"disabled"}"#, ""), (r#"{"type":"disabled"}"#, "", "")),
    ];
    for (name, (thinking, more), (expected, expected_more, front)) in rows {
        let answer =
            exchange(gateway.address, &Call::post(MESSAGES, asked(name, thinking, more)).short("echo")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let expected =
            asked("claude-opus-5", expected, expected_more).replacen('{', &format!("{{{front}"), 1);
        assert_eq!(answer.text(), expected, "{name} {thinking} {more}: every other byte is the client's");
        let kept = record(home.path(), answer.head.request_id()).await.request;
        assert_eq!(kept.model_requested.as_deref(), Some(name));
    }
    assert_eq!(log(home.path()).matches("the request was repaired").count(), 3, "each edit is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_54_a_compressed_body_is_read_and_a_bomb_or_a_torn_one_refused() {
    let stage = Foreign::open("limits: { decoded_body: 1MiB }\n").await;
    let request = question(Dialect::OpenaiResponses, &model(Dialect::OpenaiChat), true);
    let sent = encode("zstd", request.to_string().as_bytes());
    let call = |body: &[u8]| Call::post(RESPONSES, body).header("content-encoding", "zstd");
    let answer = stage.exchange(&call(&sent)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(events(&answer.body).last().expect("an event")["type"], "response.completed");
    let kept = record(stage.home.path(), answer.head.request_id()).await;
    assert_eq!(kept.request.model_requested, Some(model(Dialect::OpenaiChat)));
    assert_eq!(kept.request.preview.as_deref(), Some("What is the weather in Kyoto?"), "it was read as JSON");
    assert_eq!((kept.request_encoding.as_deref(), kept.read_problem), (Some("zstd"), None));
    let form = crate::support::stage::query(stage.home.path());
    let form = form.provider_request_body(answer.head.request_id()).expect("kept");
    assert!(serde_json::from_slice::<Value>(&form).is_ok_and(|form| form["messages"].is_array()));
    let asked = stage.provider.ledger().entries.len();
    let bomb = encode("zstd", &vec![b' '; 2 * 1024 * 1024]);
    for (body, status) in [(&bomb[..], 413), (&sent[..sent.len() / 2], 400), (b"no zstd at all", 400)] {
        let refused = stage.exchange(&call(body)).await;
        assert_eq!(refused.status(), status, "{}", refused.text());
        assert!(refused.json()["error"]["message"].is_string());
    }
    assert_eq!(stage.provider.ledger().entries.len(), asked, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_60_bytes_pass_that_no_parser_would_write_again() {
    let stage = Stage::open("").await;
    let odd = "\"a\":1.0,\"b\":1e400,\"c\":-0.0,\"a\":2, \"n\":12345678901234567890 ,\"s\":\"\\u2028\u{2028}\\ud800\\udc00\\udbff \\/\",\"messages\":[]";
    for path in GENERATIONS {
        let sent = format!("{{\"model\":\"m\",\"stream\":false,{odd}}}");
        let answer =
            stage.exchange(&Call::post(path, sent.clone()).short("echo").header("x-test-id", path)).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        let entry = stage.entry(path).await;
        assert_eq!(entry.body.as_deref(), Some(sent.as_bytes()), "{path}");
        let id = answer.head.request_id();
        stage.record(id).await;
        assert_eq!(stage.query().request_body(id).expect("kept"), sent.as_bytes(), "{path}");
    }
}
