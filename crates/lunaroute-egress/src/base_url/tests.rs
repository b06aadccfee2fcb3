use super::*;

#[track_caller]
fn check(base: &str, path_and_query: &str, expected: &str) {
    let base = BaseUrl::parse(base).expect("a base URL");
    let uri = base.join(path_and_query, true).expect("a path");
    assert_eq!(uri.to_string(), expected);
}

#[test]
fn a_version_in_the_base_is_never_doubled() {
    let cases = [
        ("https://api.openai.com/v1", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "/chat/completions", "https://api.openai.com/chat/completions"),
        ("https://api.openai.com/v1", "/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://h/api/paas/v4", "/v1/chat/completions", "https://h/api/paas/v4/chat/completions"),
        ("https://h/v1beta", "/v1/models", "https://h/v1beta/models"),
        ("https://h/v1beta", "/v1beta/models/m:generateContent", "https://h/v1beta/models/m:generateContent"),
        ("https://h/v1", "/v1beta/models?key=k", "https://h/v1/models?key=k"),
        ("https://h", "/v1beta/models/m:generateContent", "https://h/v1beta/models/m:generateContent"),
        ("https://h/v1", "/v1internal:generateContent", "https://h/v1/v1internal:generateContent"),
        ("https://h/anthropic", "/v1/messages?beta=true", "https://h/anthropic/v1/messages?beta=true"),
        ("https://h/v1", "/v1", "https://h/v1"),
        ("https://h/v1", "/v1?x", "https://h/v1?x"),
        ("https://h/v1", "/v10/x", "https://h/v1/v10/x"),
        ("https://h/v1", "/v1/v1/x", "https://h/v1/v1/x"),
        ("https://h/vault", "/v1/x", "https://h/vault/v1/x"),
        ("http://127.0.0.1:8080", "/v1/x/", "http://127.0.0.1:8080/v1/x/"),
        ("http://[::1]:8080/p", "/v1//x", "http://[::1]:8080/p/v1//x"),
        ("https://h:443", "/a%2Fb%20c", "https://h/a%2Fb%20c"),
    ];
    for (base, path, expected) in cases {
        check(base, path, expected);
    }
}

#[test]
fn a_query_travels_as_it_is_unless_it_holds_a_credential_that_is_replaced() {
    let base = BaseUrl::parse("https://h").expect("a base URL");
    for (path, kept, replaced) in [
        ("/p?a=1&b=%20&&c", "/p?a=1&b=%20&&c", "/p?a=1&b=%20&&c"),
        ("/p?key=canary", "/p?key=canary", "/p"),
        ("/p?a=1&KEY=canary&b", "/p?a=1&KEY=canary&b", "/p?a=1&b"),
        ("/p?api_key=canary&a=1", "/p?api_key=canary&a=1", "/p?a=1"),
        ("/p?", "/p?", "/p?"),
    ] {
        let join = |keep| base.join(path, keep).expect("a path").path_and_query().map(ToString::to_string);
        assert_eq!(join(true).as_deref(), Some(kept));
        assert_eq!(join(false).as_deref(), Some(replaced));
    }
}

#[test]
fn no_path_changes_the_host_or_leaves_the_prefix() {
    let base = BaseUrl::parse("https://h/team").expect("a base URL");
    for path in ["//evil.example/x", "/@evil.example/", "/http://evil.example"] {
        assert_eq!(base.join(path, true).expect("a path").authority().map(Authority::as_str), Some("h"));
    }
    for path in [
        "http://evil.example/",
        "evil",
        "",
        "*",
        "/../other",
        "/a/%2e%2E/b",
        "/.%2e",
        "/a\\..\\b",
        "/a%2f..%2fb",
        "/ä b",
    ] {
        let failure = base.join(path, true).expect_err(path);
        assert_eq!(failure.kind, FailureKind::BadRequest);
    }
    for path in ["/v1/files/a..b", "/...", "/a%2fb"] {
        assert!(base.join(path, true).is_ok(), "{path}");
    }
}

#[test]
fn what_is_no_base_url_is_refused_without_being_shown() {
    for (text, expected) in [
        ("", InvalidBaseUrl::NotAUrl),
        ("api.openai.com", InvalidBaseUrl::NotAUrl),
        ("http://", InvalidBaseUrl::NotAUrl),
        ("ftp://h", InvalidBaseUrl::Scheme),
        ("localhost:80", InvalidBaseUrl::Scheme),
        ("https://canary@h", InvalidBaseUrl::UserInfo),
        ("https://a:canary@h", InvalidBaseUrl::UserInfo),
        ("https://h?key=canary", InvalidBaseUrl::QueryOrFragment),
        ("https://h#x", InvalidBaseUrl::QueryOrFragment),
    ] {
        let error = BaseUrl::parse(text).expect_err(text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("canary"));
    }
    assert_eq!(
        BaseUrl::parse("HTTPS://Api.Example:8443/V/").expect("valid").to_string(),
        "https://api.example:8443/V"
    );
}
