//! Never both credentials, never neither.

use http::HeaderMap;
use lunaroute_core::Secret;
use lunaroute_egress::{Credential, CredentialStyle, Outbound};
use tokio::sync::mpsc;

use crate::upstream::Upstream;
use crate::{PATIENT, client, headers, post};

const STYLES: [(CredentialStyle, &str); 3] = [
    (CredentialStyle::Bearer, "authorization: Bearer ours"),
    (CredentialStyle::XApiKey, "x-api-key: ours"),
    (CredentialStyle::ApiKey, "api-key: ours"),
];

const CALLERS: [(&str, &str, &str); 5] = [
    ("authorization", "Bearer theirs", "/v1/x"),
    ("x-api-key", "theirs", "/v1/x"),
    ("api-key", "theirs", "/v1/x"),
    ("x-goog-api-key", "theirs", "/v1/x"),
    ("x-none", "1", "/v1/x?key=theirs"),
];

/// The lines of the request that hold a credential of either side, its first line included.
async fn sent(credential: Option<&Credential>, caller: HeaderMap, path_and_query: &str) -> Vec<String> {
    let (heard, mut requests) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut peer| {
        let heard = heard.clone();
        async move {
            let request = peer.request().await.expect("a request");
            heard.send(request).await.expect("the test listens");
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let base = upstream.base();
    let outbound = Outbound { credential, headers: caller, path_and_query, ..post(&base) };
    client().attempt(outbound, &PATIENT).await.expect("an answer");
    let request = requests.recv().await.expect("a request");
    request
        .lines()
        .filter(|line| line.contains("ours") || line.contains("theirs"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_configured_credential_takes_the_place_of_every_other() {
    for (style, expected) in STYLES {
        let credential = Credential::new(style, &Secret::new("ours")).expect("a credential");
        for (name, value, path) in CALLERS {
            assert_eq!(
                sent(Some(&credential), headers(&[(name, value)]), path).await,
                [expected],
                "{name} {path}"
            );
        }
        let all: Vec<(&str, &str)> = CALLERS.iter().map(|(name, value, _)| (*name, *value)).collect();
        let twice = [all.clone(), all].concat();
        assert_eq!(sent(Some(&credential), headers(&twice), "/v1/x?key=theirs").await, [expected]);
        assert_eq!(sent(Some(&credential), HeaderMap::new(), "/v1/x").await, [expected]);
    }
}

#[tokio::test]
async fn without_one_the_callers_passes_untouched() {
    for (name, value, path) in CALLERS {
        let lines = sent(None, headers(&[(name, value)]), path).await;
        let expected = if path.contains("theirs") {
            format!("POST {path} HTTP/1.1")
        } else {
            format!("{name}: {value}")
        };
        assert_eq!(lines, [expected]);
    }
}

#[test]
fn a_credential_is_never_shown_and_never_breaks_a_header() {
    let credential = Credential::new(CredentialStyle::Bearer, &Secret::new("canary")).expect("a credential");
    assert_eq!(format!("{credential:?}"), "Credential(authorization: ***)");
    for bad in ["", "a\r\nx-injected: 1", "a\0", "a\nb"] {
        for (style, _) in STYLES {
            let error = Credential::new(style, &Secret::new(bad)).expect_err("refused");
            assert!(!error.to_string().contains("x-injected"));
        }
    }
}
