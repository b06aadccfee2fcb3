//! Heads pass as they are, what belongs to one connection stays on it, and what is too much or unclear is refused in the
//! caller's dialect.

use std::collections::BTreeMap;

use tempfile::TempDir;

use crate::support::bodies::encode;
use crate::support::client::{Answer, Call, Connection};
use crate::support::raw_upstream::RawUpstream;
use crate::support::stage::{CHAT, GEMINI, GENERATIONS, MESSAGES, RESPONSES, Stage, ask, body};
use crate::support::{Gateway, GatewayOptions};

/// A gateway in front of an upstream that shows bytes.
async fn raw_stage() -> (RawUpstream, Gateway, TempDir) {
    let upstream = RawUpstream::start().await;
    let home = tempfile::tempdir().expect("a directory");
    let base = Some(format!("http://{}", upstream.address));
    let options = GatewayOptions { upstream: base, yaml: "retry: { attempts: 1 }\n", provider_yaml: "" };
    let gateway = Gateway::start(home.path(), &options);
    (upstream, gateway, home)
}

/// The values of each header, in order.
fn by_name(headers: &[(String, Vec<u8>)]) -> BTreeMap<String, Vec<String>> {
    let mut named = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        named.entry(name.clone()).or_default().push(value.escape_ascii().to_string());
    }
    named
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn end_to_end_headers_pass_and_those_of_the_connection_do_not() {
    let (upstream, gateway, _home) = raw_stage().await;
    upstream.answer_with(
        [
            &b"HTTP/1.1 200 Fine\r\nX-Multi: a\r\nSet-Cookie: a=1; Path=/\r\nX-Multi: B, c\r\nset-cookie: b=2\r\n"[..],
            b"X-Bytes: \xe9\xff\r\nx-empty:\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
            b"Proxy-Authenticate: Basic\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: x\r\nrequest-id: req_1\r\n",
            b"x-ratelimit-remaining-tokens: 5\r\nContent-Type: Application/JSON; Charset=UTF-8\r\n",
            b"Content-Length: 2\r\n\r\n{}",
        ]
        .concat(),
    );
    let sent = [
        ("anthropic-beta", &b"one-2025-01-01, two"[..]),
        ("anthropic-beta", b"three"),
        ("anthropic-version", b"2023-06-01"),
        ("accept-encoding", b"gzip;q=0.5, br"),
        ("user-agent", b"Odd/1.0 (CaSe; \xe9)"),
        ("cookie", b"a=1"),
        ("cookie", b"b=2"),
        ("x-bytes", b"\xe9\xff\x80"),
        ("x-empty", b""),
        ("x-claude-code-session-id", b"5"),
        ("x-multi", b"z"),
        ("x-multi", b"A  b"),
        ("content-type", b"Application/JSON"),
    ];
    let hops = [
        ("connection", &b"X-Hop, keep-alive"[..]),
        ("x-hop", b"1"),
        ("keep-alive", b"timeout=5"),
        ("te", b"trailers"),
        ("proxy-authorization", b"Basic eA=="),
        ("proxy-connection", b"keep-alive"),
        ("trailer", b"x"),
    ];
    let mut call = Call { body: b"{}".to_vec(), ..Call::new("POST", MESSAGES) };
    for (name, value) in sent.into_iter().chain(hops) {
        call = call.header(name, value);
    }
    let answer = Connection::open(gateway.address).await.exchange(&call).await;
    let (line, arrived) = upstream.last();
    assert_eq!(line, format!("POST {MESSAGES} HTTP/1.1"));
    let mut expected = by_name(&sent.map(|(name, value)| (name.to_owned(), value.to_vec())));
    expected.insert("host".to_owned(), vec![upstream.address.to_string()]);
    expected.insert("content-length".to_owned(), vec!["2".to_owned()]);
    assert_eq!(by_name(&arrived), expected);
    assert_eq!(answer.status(), 200);
    let mut got = by_name(&answer.head.headers);
    let own =
        ["x-request-id", "x-lunaroute-request-id"].map(|name| got.remove(name).map_or(0, |list| list.len()));
    assert_eq!(own, [1, 1]);
    let expected = [
        ("x-multi", &["a", "B, c"][..]),
        ("set-cookie", &["a=1; Path=/", "b=2"]),
        ("x-bytes", &["\\xe9\\xff"]),
        ("x-empty", &[""]),
        ("date", &["Thu, 01 Jan 1970 00:00:00 GMT"]),
        ("server", &["x"]),
        ("request-id", &["req_1"]),
        ("x-ratelimit-remaining-tokens", &["5"]),
        ("content-type", &["Application/JSON; Charset=UTF-8"]),
        ("content-length", &["2"]),
    ];
    let expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
        .collect();
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_passes() {
    let (upstream, gateway, _home) = raw_stage().await;
    let mut connection = Connection::open(gateway.address).await;
    let mut passed = 0;
    for status in 200..=599_u16 {
        let bodiless = matches!(status, 204 | 304);
        let (length, content) =
            if bodiless { ("etag: \"x\"\r\n", "") } else { ("content-length: 2\r\n", "{}") };
        upstream.answer_with(format!("HTTP/1.1 {status} Odd\r\n{length}\r\n{content}"));
        let answer = connection
            .exchange(&Call::post(GENERATIONS[usize::from(status) % GENERATIONS.len()], "{}"))
            .await;
        assert_eq!((answer.status(), answer.body.as_slice()), (status, content.as_bytes()));
        assert_eq!(answer.head.header("etag"), bodiless.then_some("\"x\""), "{status}");
        passed += 1;
    }
    println!("statuses passed {passed}, changed 0");
    upstream.answer_with("HTTP/1.1 200 Fine\r\ncontent-length: 1234\r\ncontent-type: audio/mpeg\r\n\r\n");
    let answer = connection.exchange(&Call::new("HEAD", "/v1/files/f/content")).await;
    assert_eq!((answer.status(), answer.head.header("content-length")), (200, Some("1234")));
    assert!(answer.body.is_empty());
    assert_eq!(upstream.last().0, "HEAD /v1/files/f/content HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_odd_paths_are_forwarded_as_they_were_sent() {
    let (upstream, gateway, _home) = raw_stage().await;
    upstream.answer_with("HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\n{}");
    let mut connection = Connection::open(gateway.address).await;
    let targets = [
        "/v1/messages?beta=true",
        "/v1/chat/completions?a=%2F%2f&&b=+&=x&d",
        "/v1/responses?",
        "/v1/files?q=a?b&c=%zz&d=%e2%98%83&e=%E2%98%83",
        "/v1/files/a%2Fb%20c;v=1,2?x='()*!$",
        "/v1/x//y///z?empty=&empty=",
        "/v1/x/~user/:action@host",
    ];
    for target in targets {
        let answer = connection.exchange(&Call::post(target, "{}")).await;
        assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
        assert_eq!(upstream.last().0, format!("POST {target} HTTP/1.1"));
    }
    // The two spellings that are put right.
    for (sent, meant) in [("/v1/v1/messages?a", "/v1/messages?a"), ("/v1/responses/", "/v1/responses")] {
        connection.exchange(&Call::post(sent, "{}")).await;
        assert_eq!(upstream.last().0, format!("POST {meant} HTTP/1.1"));
    }
    for refused in ["/v1/../admin", "/v1/files/%2e%2E/x", "/v1/./x"] {
        let before = upstream.requests();
        let answer = connection.exchange(&Call::post(refused, "{}")).await;
        assert_eq!(answer.status(), 400, "{refused}");
        assert_eq!(upstream.requests(), before, "{refused} went upstream");
    }
}

/// Whether the error is one of the dialect that the path speaks, with a sentence for people.
#[track_caller]
fn check_refusal(path: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status(), status, "{path}: {}", answer.text());
    let error = answer.json();
    assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    let kind = if path == GEMINI { "status" } else { "type" };
    assert!(error["error"][kind].is_string(), "{error}");
    assert_eq!(error["type"] == "error", path == MESSAGES, "{path}: {error}");
    assert!(answer.head.header("x-lunaroute-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_refused_in_the_callers_dialect() {
    let stage = Stage::open("limits: { body: 64KiB, decoded_body: 1MiB, headers: 8KiB }\n").await;
    let bombs = ["gzip", "zstd", "br", "deflate"]
        .map(|coding| (coding, encode(coding, &vec![b' '; 2 * 1024 * 1024])));
    for path in GENERATIONS {
        let large = format!(r#"{{"model":"m","pad":"{}"}}"#, "x".repeat(65 * 1024));
        check_refusal(path, &stage.exchange(&Call::post(path, large)).await, 413);
        for (coding, bomb) in &bombs {
            assert!(bomb.len() < 64 * 1024);
            let answer =
                stage.exchange(&Call::post(path, bomb.clone()).header("content-encoding", coding)).await;
            check_refusal(path, &answer, 413);
            let torn = &encode(coding, body(path, "m", false).as_bytes())[..20];
            let answer = stage.exchange(&Call::post(path, torn).header("content-encoding", coding)).await;
            check_refusal(path, &answer, 400);
        }
        let answer = stage.exchange(&Call::post(path, "{}").header("content-encoding", "lzma")).await;
        check_refusal(path, &answer, 415);
        let heavy = ask(path, "m", false).header("x-pad", "x".repeat(9 * 1024));
        assert_eq!(stage.exchange(&heavy).await.status(), 431);
    }
    assert!(stage.provider.ledger().entries.is_empty(), "what is refused reaches no provider");
    // At the limits all is well.
    let fits = encode("gzip", format!("{}{}", " ".repeat(1_000_000), body(CHAT, "m", false)).as_bytes());
    let answer =
        stage.exchange(&Call::post(CHAT, fits).header("content-encoding", "gzip").short("echo")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_of_a_million_is_no_danger() {
    let stage = Stage::open("").await;
    let rows = [
        (CHAT, "messages", "[", "]"),
        (RESPONSES, "input", "{\"a\":", "}"),
        (MESSAGES, "system", "[", "]"),
        (GEMINI, "contents", "[{\"parts\":", "}]"),
    ];
    for (path, member, open, close) in rows {
        let deep = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        let body = format!(r#"{{"{member}":{deep},"model":"m","stream":false}}"#);
        let answer = stage.exchange(&Call::post(path, body.clone()).short("echo")).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.body == body.as_bytes(), "{path}: the bytes differ");
        stage.record(answer.head.request_id()).await;
    }
    let ready = stage.exchange(&Call::get("/readyz")).await;
    assert_eq!(ready.json()["status"], "ready", "{}", ready.text());
}
