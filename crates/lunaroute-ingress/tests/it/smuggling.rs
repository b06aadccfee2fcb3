//! Two readers of the same bytes must never see different requests.

use std::sync::{Arc, Mutex};

use http::Response;
use lunaroute_ingress::hygiene::check_headers;
use lunaroute_ingress::{Config, Reply, read_body};

use crate::support::{room, serve};

/// What follows the first request in every case: it must never be served when nobody can say where the first one ends.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

const UNCLEAR: &[(&str, &str)] = &[
    ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
    ("a length in a list", "content-length: 5, 6\r\n\r\nhello"),
    ("a signed length", "content-length: +5\r\n\r\nhello"),
    ("a negative length", "content-length: -5\r\n\r\nhello"),
    ("a length in hexadecimal", "content-length: 0x5\r\n\r\nhello"),
    ("a length past all numbers", "content-length: 99999999999999999999\r\n\r\nhello"),
    ("an unknown coding", "transfer-encoding: identity\r\n\r\nhello"),
    ("chunked not last", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("chunked after another", "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("two codings", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a coding in disguise", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("a coding with a tab", "transfer-encoding:\u{b}chunked\r\n\r\n0\r\n\r\n"),
    ("a space before the colon", "transfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("a folded header", "x-a: b\r\n transfer-encoding: chunked\r\n\r\n"),
    ("a bare carriage return", "x-a: b\rtransfer-encoding: chunked\r\n\r\n"),
    ("a chunk size that is none", "transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
    (
        "a chunk size past all numbers",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ),
    ("a chunk longer than it says", "transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size with a sign", "transfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
    ("a NUL in a value", "x-a: a\0b\r\n\r\n"),
];

/// Serves the bytes and returns the answer and the paths that a handler believed in.
async fn send(bytes: &str) -> (String, Vec<String>) {
    let believed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&believed);
    let served = serve(Config::default(), move |arrival| {
        let noted = Arc::clone(&noted);
        async move {
            let path = arrival.head.uri.path().to_owned();
            let checked = match check_headers(&arrival.head) {
                Ok(()) => read_body(arrival.body, &Config::default(), &mut room()).await,
                Err(failure) => Err(failure),
            };
            let body = match checked {
                Ok(body) => String::from_utf8_lossy(&body).into_owned(),
                Err(failure) => {
                    let status = failure.kind.status();
                    return Response::builder().status(status).body(Reply::empty()).unwrap();
                }
            };
            noted.lock().unwrap().push(format!("{path} {body}"));
            Response::new(Reply::empty())
        }
    });
    let mut raw = served.connect().await;
    raw.say(bytes).await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await.ok();
    let answer = raw.hear_all().await;
    let believed = believed.lock().unwrap().clone();
    (answer, believed)
}

#[tokio::test]
async fn an_unclear_request_is_refused_and_nothing_after_it_is_believed() {
    for (what, rest) in UNCLEAR {
        let (answer, believed) = send(&format!("POST /first HTTP/1.1\r\nhost: a\r\n{rest}{SMUGGLED}")).await;
        assert!(believed.is_empty(), "{what}: {believed:?} {answer}");
        assert!(!answer.contains(" 200 "), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_request_with_two_meanings_is_refused_alone_when_its_end_is_clear() {
    for twice in
        ["host: b", "authorization: Bearer a\r\nauthorization: Bearer b", "x-api-key: a\r\nx-api-key: a"]
    {
        let first = format!("POST /first HTTP/1.1\r\nhost: a\r\n{twice}\r\n\r\n");
        let (answer, believed) = send(&format!("{first}{SMUGGLED}")).await;
        assert_eq!(believed, ["/smuggled "], "{twice}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{twice}: {answer}");
    }
}

/// RFC 9112, section 6.1: the coding wins, the length is dropped before anybody sees it, and the connection ends.
#[tokio::test]
async fn a_length_beside_a_coding_has_no_effect_and_ends_the_connection() {
    for both in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ntransfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let first = format!("POST /first HTTP/1.1\r\nhost: a\r\n{both}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let (_, believed) = send(&format!("{first}{SMUGGLED}")).await;
        assert!(believed.is_empty() || believed == ["/first hello"], "{both}: {believed:?}");
    }
}

#[tokio::test]
async fn a_clear_request_and_its_successor_are_both_served() {
    let served = crate::support::serve_echo(Config::default());
    let mut raw = served.connect().await;
    raw.say("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n")
        .await;
    raw.say("GET /b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    raw.hear("POST /a hello").await;
    assert!(raw.hear_all().await.ends_with("GET /b "));
}
