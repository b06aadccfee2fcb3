//! What paths ask for.

use http::{HeaderMap, HeaderName, Method, Uri};
use lunaroute_core::Addressed;
use lunaroute_core::Dialect::{self, Anthropic, Gemini, OpenaiChat, OpenaiResponses};
use lunaroute_core::Operation::{
    self, Chat, Completions, CountTokens, Embeddings, GenerateContent, Messages, Models, Other, Responses,
};
use lunaroute_ingress::door::{Door, Probe, addressed, classify, is_upgrade, rename_model, upstream_path};
use proptest::prelude::*;

/// A request line, `METHOD path`, then perhaps header names.
fn ask(line: &str) -> Door {
    let mut words = line.split(' ');
    let method: Method = words.next().unwrap().parse().unwrap();
    let uri: Uri = words.next().unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for name in words {
        headers.insert(name.parse::<HeaderName>().unwrap(), "x".parse().unwrap());
    }
    classify(&method, &uri, &headers)
}

#[track_caller]
fn check(line: &str, dialect: impl Into<Option<Dialect>>, operation: Operation) {
    assert_eq!(ask(line), Door { dialect: dialect.into(), operation, probe: None }, "{line}");
}

#[test]
fn the_documented_paths() {
    check("POST /v1/messages?beta=true", Anthropic, Messages);
    check("POST /v1/messages/count_tokens?beta=true", Anthropic, CountTokens);
    check("POST /v1/messages/batches", Anthropic, Other);
    check("GET /v1/messages/batches/b1/results", Anthropic, Other);
    check("GET /v1/messages", Anthropic, Other);
    check("POST /v1/complete", Anthropic, Other);
    check("POST /v1/chat/completions", OpenaiChat, Chat);
    check("GET /v1/chat/completions/c1", OpenaiChat, Other);
    check("POST /v1/responses", OpenaiResponses, Responses);
    check("POST /v1/responses/compact", OpenaiResponses, Other);
    check("GET /v1/responses/r1/input_items", OpenaiResponses, Other);
    check("GET /v1/responses", OpenaiResponses, Other);
    check("POST /v1/alpha/search", OpenaiResponses, Other);
    check("POST /v1/conversations", OpenaiResponses, Other);
    check("POST /v1/embeddings", OpenaiChat, Embeddings);
    check("POST /v1/completions", OpenaiChat, Completions);
    check("GET /v1/completions", OpenaiChat, Other);
    for family in
        ["images/generations", "audio/speech", "batches", "moderations", "assistants", "threads/t/runs"]
    {
        check(&format!("POST /v1/{family}"), OpenaiChat, Other);
        check(&format!("POST /v1/{family} anthropic-version"), OpenaiChat, Other);
    }
}

#[test]
fn geminis_paths() {
    check("POST /v1beta/models/gemini-3-pro:generateContent", Gemini, GenerateContent);
    check("POST /v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse&key=k", Gemini, GenerateContent);
    check("POST /v1/models/gemini-3-pro:generateContent", Gemini, GenerateContent);
    check("POST /v1/models/org/m:1:streamGenerateContent", Gemini, GenerateContent);
    check("POST /v1alpha/tunedModels/mine:generateContent/", Gemini, GenerateContent);
    check("POST /v1beta/models/m:countTokens", Gemini, CountTokens);
    check("POST /v1beta/models/m:embedContent", Gemini, Embeddings);
    check("POST /v1beta/models/m:batchEmbedContents", Gemini, Embeddings);
    check("POST /v1beta/models/m:batchGenerateContent", Gemini, Other);
    check("POST /v1beta/models/m:unheardOf", Gemini, Other);
    check("GET /v1beta/models/m:generateContent", Gemini, Other);
    check("GET /v1beta/models", Gemini, Models);
    check("GET /v1beta/models?pageSize=50 authorization", Gemini, Models);
    check("GET /v1beta/models/gemini-3-pro", Gemini, Other);
    check("POST /v1beta/cachedContents", Gemini, Other);
    check("POST /upload/v1beta/files", Gemini, Other);
    check("POST /v1beta/messages", Gemini, Other);
    check(
        "POST /v1beta1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent",
        Gemini,
        GenerateContent,
    );
    check("POST /v1/projects/p/locations/l/publishers/google/models/m:countTokens", Gemini, CountTokens);
    check("POST /v1/publishers/google/models/m:generateContent", Gemini, GenerateContent);
    check("POST /v1/models/:generateContent", OpenaiChat, Other);
}

#[test]
fn a_path_that_names_the_model_can_name_another() {
    let rows = [
        ("/v1beta/models/a:generateContent", "a", false, "/v1beta/models/b:generateContent"),
        (
            "/v1beta/models/a%2Db:streamGenerateContent?alt=sse&x=/models/a:b",
            "a-b",
            true,
            "/v1beta/models/b:streamGenerateContent?alt=sse&x=/models/a:b",
        ),
        ("/v1/models/a:1:countTokens", "a:1", false, "/v1/models/b:countTokens"),
        ("/v1/models/a%zz:countTokens", "a%zz", false, "/v1/models/b:countTokens"),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/a:generateContent",
            "a",
            false,
            "/v1beta1/projects/p/locations/l/publishers/google/models/b:generateContent",
        ),
    ];
    for (sent, model, stream, renamed) in rows {
        let path = sent.split('?').next().expect("a path");
        assert_eq!(addressed(path), Some(Addressed { model: model.to_owned(), stream }), "{sent}");
        assert_eq!(rename_model(sent, "b"), renamed);
    }
    for path in ["/v1beta/models", "/v1beta/models/a", "/v1/chat/completions", "/v1beta/models/a:b/c", "/"] {
        assert_eq!(addressed(path), None, "{path}");
        assert_eq!(rename_model(path, "b"), path);
    }
    let odd = rename_model("/v1beta/models/a:generateContent", "ü?#/ %");
    assert_eq!(odd, "/v1beta/models/%C3%BC%3F%23/%20%25:generateContent");
    assert_eq!(addressed(&odd).map(|addressed| addressed.model).as_deref(), Some("ü?#/ %"), "read back");
}

#[test]
fn what_clients_send_besides() {
    check("POST /chat/completions", OpenaiChat, Chat);
    check("POST /responses", OpenaiResponses, Responses);
    check("POST /responses/compact", OpenaiResponses, Other);
    check("POST /messages", Anthropic, Messages);
    check("POST /embeddings", OpenaiChat, Embeddings);
    check("POST /v1/v1/messages", Anthropic, Messages);
    check("POST /v1/v1/chat/completions/", OpenaiChat, Chat);
    check("POST /v1/responses/", OpenaiResponses, Responses);
    check("POST /openai/deployments/gpt/chat/completions?api-version=1", OpenaiChat, Chat);
    check("POST /openai/deployments/gpt/embeddings", OpenaiChat, Embeddings);
    check("POST /openai/deployments/gpt/images/generations", OpenaiChat, Other);
    check("POST /openai/v1/responses", OpenaiResponses, Responses);
    check("POST /openai/v1/chat/completions", OpenaiChat, Chat);
    check("GET /openai/responses/r1", OpenaiResponses, Other);
}

#[test]
fn shared_paths_go_by_headers_and_by_no_guess_elsewhere() {
    check("GET /v1/models", OpenaiChat, Models);
    check("GET /v1/models authorization", OpenaiChat, Models);
    check("GET /v1/models?limit=1000 anthropic-version authorization", Anthropic, Models);
    check("GET /v1/models x-api-key", Anthropic, Models);
    check("GET /v1/models?client_version=0.169.0 authorization", OpenaiResponses, Models);
    check("GET /v1/models originator authorization", OpenaiResponses, Models);
    check("GET /v1/models/gpt authorization", OpenaiChat, Other);
    check("GET /v1/models/claude anthropic-beta", Anthropic, Other);
    check("DELETE /v1/models/ft:gpt:org authorization", OpenaiChat, Other);
    check("POST /v1/files anthropic-version anthropic-beta", Anthropic, Other);
    check("POST /v1/files authorization", OpenaiChat, Other);
    check("GET /v1/what-comes-next authorization", OpenaiChat, Other);
    check("GET /v1/what-comes-next anthropic-version", Anthropic, Other);
    check("POST /files openai-organization", OpenaiChat, Other);
    check("GET /wp-admin authorization", None, Other);
    check("GET /", None, Other);
    check("GET /v1/models x-goog-api-key", Gemini, Models);
    check("GET /v1/models?pageSize=5&key=k", Gemini, Models);
    check("GET /v1/models/gemini-3-pro x-goog-api-key", Gemini, Other);
    check("GET /v1/models?key=k anthropic-version", Anthropic, Models);
    check("POST /v1/models/m:unheardOf authorization", OpenaiChat, Other);
}

#[test]
fn a_path_is_never_read_as_another() {
    for path in [
        "/V1/messages",
        "//v1/messages",
        "/v1%2fmessages",
        "/%761/messages",
        "/v1gamma/models/m:generateContent",
        "/models/m:generateContent",
        "/v1.messages",
    ] {
        check(&format!("POST {path}"), None, Other);
    }
    for path in ["/v1/Messages", "/v1//messages", "/v1/messages%2fcount_tokens", "/v1/message"] {
        check(&format!("POST {path}"), OpenaiChat, Other);
    }
    check("POST /v1/messages//", Anthropic, Other);
    check("POST /v1/messages/../chat/completions", Anthropic, Other);
    check("POST /v1/v1/v1/messages", OpenaiChat, Other);
}

#[test]
fn probes_are_answered_here() {
    for (line, probe) in [
        ("HEAD /", Probe::Reachability),
        ("HEAD /api/hello", Probe::Reachability),
        ("POST /api/event_logging/batch", Probe::Telemetry),
        ("GET /api/oauth/profile authorization", Probe::ClientAccount),
        ("POST /api/claude_code/metrics", Probe::ClientAccount),
        ("GET /healthz", Probe::Health),
        ("HEAD /healthz", Probe::Health),
        ("GET /readyz", Probe::Readiness),
        ("GET /metrics", Probe::Metrics),
        ("GET /version", Probe::Version),
    ] {
        assert_eq!(ask(line).probe, Some(probe), "{line}");
    }
    assert_eq!(ask("GET /api/oauth/profile").dialect, Some(Anthropic), "refused in its client's envelope");
    assert_eq!(ask("POST /metrics").probe, None);
}

#[test]
fn an_upgrade_is_seen_in_any_spelling() {
    for (value, is_one) in
        [("websocket", true), ("h2c, WebSocket", true), ("h2c", false), ("websockets", false)]
    {
        let mut headers = HeaderMap::new();
        assert!(!is_upgrade(&headers));
        headers.insert("upgrade", value.parse().unwrap());
        assert_eq!(is_upgrade(&headers), is_one, "{value}");
    }
}

#[test]
fn a_provider_is_asked_for_the_plain_path() {
    for (sent, asked) in [
        ("/v1/v1/messages?beta=true", "/v1/messages?beta=true"),
        ("/v1/messages/?a=/", "/v1/messages?a=/"),
        ("/v1/v1/chat/completions/", "/v1/chat/completions"),
        ("/chat/completions/", "/chat/completions"),
        ("/v1/responses?x", "/v1/responses?x"),
        ("/v1/models/org%2Fmodel?a=%20", "/v1/models/org%2Fmodel?a=%20"),
        ("/nobody/", "/nobody/"),
        ("/", "/"),
        ("", ""),
    ] {
        assert_eq!(upstream_path(sent), asked);
    }
}

proptest! {
    /// What is decided about a path holds for the path that is forwarded, and asking twice changes nothing.
    #[test]
    fn the_decision_is_about_what_is_forwarded(path in "(/(v1|v1beta|messages|chat|completions|responses|openai|models|m:generateContent|x|\\.\\.|%2f)){1,6}/?(\\?q=/)?") {
        let (sent, forwarded): (Uri, Uri) = (path.parse().unwrap(), upstream_path(&path).parse().unwrap());
        let headers = HeaderMap::new();
        prop_assert!(classify(&Method::POST, &sent, &headers) == classify(&Method::POST, &forwarded, &headers));
        prop_assert_eq!(sent.query(), forwarded.query());
    }
}
