//! What is refused before it is believed.

use std::net::SocketAddr;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode, Version};
use lunaroute_core::FailureKind::{self, BadRequest, Forbidden, MethodNotAllowed};
use lunaroute_ingress::hygiene::{check_headers, check_origin};
use lunaroute_ingress::{Config, Cors, cors};

/// A head from `METHOD uri` and header lines.
fn head(line: &str, headers: &[(&str, &str)]) -> Parts {
    let (method, uri) = line.split_once(' ').unwrap();
    let (mut head, ()) = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        head.headers.append(name.parse::<HeaderName>().unwrap(), value);
    }
    head
}

#[track_caller]
fn check(line: &str, headers: &[(&str, &str)], expected: Result<(), FailureKind>) {
    let checked = check_headers(&head(line, headers)).map_err(|failure| failure.kind);
    assert_eq!(checked, expected, "{line} {headers:?}");
}

#[test]
fn a_clear_head_passes() {
    let host = ("host", "localhost:8081");
    check("POST /v1/messages?beta=true", &[host], Ok(()));
    check("POST /v1/messages", &[host, ("authorization", "Bearer a"), ("x-api-key", "b")], Ok(()));
    check("POST /v1/messages", &[host, ("anthropic-beta", "a"), ("anthropic-beta", "b")], Ok(()));
    check("POST /v1/messages", &[host, ("transfer-encoding", "Chunked")], Ok(()));
    check("GET /v1/models/org%2Fmodel...x/.hidden/a..b", &[host], Ok(()));
    check("GET http://localhost:8081/v1/models", &[("host", "LocalHost:8081")], Ok(()));
    for host in ["a", "127.0.0.1", "[::1]:8081", "[::1]", "gate-way.example_1:65535", "a."] {
        check("GET /", &[("host", host)], Ok(()));
    }
}

#[test]
fn what_is_unclear_is_refused() {
    for name in ["host", "content-length", "transfer-encoding", "authorization", "x-api-key", "api-key"] {
        let value = if name == "transfer-encoding" { "chunked" } else { "5" };
        check("POST /", &[("host", "a"), (name, value), (name, value)], Err(BadRequest));
    }
    for host in [
        "", " ", "a/b", "a?b", "a#b", "user@a", "a\\b", "a b", "a,b", "a:b", "a:", "a:+1", "a:65536", ":80",
        "[::1", "::1", "[::1]x", "[a]", "a%2e", "é",
    ] {
        check("GET /", &[("host", host)], Err(BadRequest));
    }
    check("GET /", &[], Err(BadRequest));
    check("GET http://other/v1/models", &[("host", "localhost")], Err(BadRequest));
    for coding in ["gzip, chunked", "identity", "chunked, chunked", ""] {
        check("POST /", &[("host", "a"), ("transfer-encoding", coding)], Err(BadRequest));
    }
    for path in ["/v1/../x", "/v1/./x", "/..", "/v1/%2e%2E/x", "/v1/.%2e", "/%2e"] {
        check(&format!("GET {path}"), &[("host", "a")], Err(BadRequest));
    }
    check("TRACE /", &[("host", "a")], Err(MethodNotAllowed));
}

#[test]
fn older_and_newer_versions_name_the_server_in_their_own_way() {
    let mut old = head("GET /", &[]);
    old.version = Version::HTTP_10;
    assert!(check_headers(&old).is_ok());
    let mut new = head("GET http://localhost/v1/models", &[]);
    new.version = Version::HTTP_2;
    assert!(check_headers(&new).is_ok());
    let local = ([127, 0, 0, 1], 8081).into();
    assert!(check_origin(&new, &Config::default(), local).is_ok());
    let mut rebound = head("GET http://evil.example/v1/models", &[]);
    rebound.version = Version::HTTP_2;
    assert_eq!(check_origin(&rebound, &Config::default(), local).unwrap_err().kind, Forbidden);
}

const LOOPBACK: [&str; 3] = ["127.0.0.1:8081", "[::1]:8081", "[::ffff:127.0.0.1]:8081"];

#[test]
fn a_listener_of_one_machine_answers_to_its_own_names_only() {
    let named = Config { allowed_hosts: vec!["gate.example".into()], ..Config::default() };
    for local in LOOPBACK.map(|local| local.parse::<SocketAddr>().unwrap()) {
        for (host, is_own, is_own_when_named) in [
            ("localhost:8081", true, true),
            ("LOCALHOST", true, true),
            ("127.0.0.1:9", true, true),
            ("[::1]:8081", true, true),
            ("gate.example:8081", false, true),
            ("evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("127.0.0.1.nip.example", false, false),
            ("0.0.0.0:8081", false, false),
        ] {
            let head = head("POST /v1/messages", &[("host", host)]);
            assert_eq!(check_origin(&head, &Config::default(), local).is_ok(), is_own, "{host} {local}");
            assert_eq!(check_origin(&head, &named, local).is_ok(), is_own_when_named, "{host} {local}");
        }
    }
}

#[test]
fn another_listener_answers_to_every_name_until_names_are_given() {
    let local = ([10, 0, 0, 5], 8081).into();
    let head = head("GET /", &[("host", "anything.example")]);
    assert!(check_origin(&head, &Config::default(), local).is_ok());
    let named = Config { allowed_hosts: vec!["gate.example".into()], ..Config::default() };
    assert_eq!(check_origin(&head, &named, local).unwrap_err().kind, Forbidden);
    let own = self::head("GET /", &[("host", "10.0.0.5:8081")]);
    assert!(check_origin(&own, &named, local).is_ok());
}

fn with_cors(origins: &[&str]) -> Config {
    let allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let cors = Some(Cors { allowed_origins, max_age: Duration::from_secs(600) });
    Config { cors, ..Config::default() }
}

#[test]
fn a_foreign_page_is_refused_unless_it_is_allowed() {
    let local = ([127, 0, 0, 1], 8081).into();
    let allowing = with_cors(&["https://app.example"]);
    for (origin, by_default, when_allowed) in [
        ("http://localhost:8081", true, true),
        ("https://app.example", false, true),
        ("https://APP.example", false, true),
        ("https://app.example.evil.example", false, false),
        ("http://localhost:3000", false, false),
        ("http://evil.example", false, false),
        ("null", false, false),
        ("", false, false),
    ] {
        let head = head("POST /v1/messages", &[("host", "localhost:8081"), ("origin", origin)]);
        assert_eq!(check_origin(&head, &Config::default(), local).is_ok(), by_default, "{origin}");
        assert_eq!(check_origin(&head, &allowing, local).is_ok(), when_allowed, "{origin}");
        assert!(check_origin(&head, &with_cors(&["*"]), local).is_ok());
    }
}

#[test]
fn a_browsers_question_is_answered_for_allowed_pages() {
    let asked = [
        ("host", "localhost"),
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let config = with_cors(&["https://app.example"]);
    let answer = cors::preflight(&head("OPTIONS /v1/messages", &asked), &config).unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    assert!(answer.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert!(cors::preflight(&head("OPTIONS /v1/messages", &asked), &Config::default()).is_none());
    assert!(cors::preflight(&head("OPTIONS /v1/messages", &asked), &with_cors(&["https://b"])).is_none());
    assert!(cors::preflight(&head("POST /v1/messages", &asked), &config).is_none());
    assert!(cors::preflight(&head("OPTIONS /v1/messages", &asked[..2]), &config).is_none());

    let request = head("POST /v1/messages", &asked);
    let mut response = http::HeaderMap::new();
    response.insert("vary", "accept".parse().unwrap());
    cors::decorate(&mut response, &request.headers, &config);
    assert_eq!(response["access-control-allow-origin"], "https://app.example");
    assert_eq!(response.get_all("vary").iter().count(), 2, "what was there stays");
    let mut untouched = http::HeaderMap::new();
    cors::decorate(&mut untouched, &request.headers, &Config::default());
    assert!(untouched.is_empty());
}
