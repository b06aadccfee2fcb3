//! Through a proxy, and around it.

use lunaroute_core::FailureKind;
use lunaroute_egress::{Client, Config, ProxyRules};
use tokio::sync::mpsc;

use crate::upstream::Upstream;
use crate::{PATIENT, base, post, read};

fn through(rules: ProxyRules) -> Client {
    Client::new(&Config { proxy: Some(rules), ..Config::default() }).expect("a client")
}

/// A proxy that hands each request to the test and answers all of them alike.
async fn proxy(answer: &'static str) -> (Upstream, mpsc::Receiver<String>) {
    let (heard, requests) = mpsc::channel(4);
    let upstream = Upstream::start(move |mut peer| {
        let heard = heard.clone();
        async move {
            while let Some(request) = peer.request().await {
                heard.send(request).await.expect("the test listens");
                peer.send(answer).await;
            }
        }
    })
    .await;
    (upstream, requests)
}

#[tokio::test]
async fn plain_requests_go_to_the_proxy_with_their_whole_address() {
    let (proxy, mut requests) = proxy("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let address = format!("http://user:pass@{}", proxy.address());
    let client = through(ProxyRules::new(&address, "", "", "").expect("rules"));
    let base = base("http://provider.invalid:81/p");
    let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
    assert_eq!(read(inbound).await.0, b"ok");
    let request = requests.recv().await.expect("a request");
    assert!(request.starts_with("POST http://provider.invalid:81/p/v1/x HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: provider.invalid:81\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"), "{request}");
}

#[tokio::test]
async fn secure_requests_ask_for_a_tunnel_and_a_refusal_is_explained() {
    for (answer, sentence) in [
        ("HTTP/1.1 407 Auth\r\ncontent-length: 0\r\n\r\n", "wants a user name and a password"),
        ("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", "the proxy refused the tunnel"),
    ] {
        let (proxy, mut requests) = proxy(answer).await;
        let address = format!("http://user:canary@{}", proxy.address());
        let client = through(ProxyRules::new("", "", &address, "").expect("rules"));
        let failure =
            client.attempt(post(&base("https://provider.invalid")), &PATIENT).await.expect_err("no tunnel");
        let request = requests.recv().await.expect("a request");
        assert!(request.starts_with("CONNECT provider.invalid:443 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Proxy-Authorization: Basic "), "{request}");
        assert!(!request.contains("authorization: Bearer"), "{request}");
        assert_eq!(failure.kind, FailureKind::Connect);
        assert!(
            failure.message.contains(sentence) && failure.message.contains("provider.invalid"),
            "{failure}"
        );
        assert!(!format!("{failure:?}").contains("canary"));
    }
}

#[tokio::test]
async fn exceptions_go_straight_and_a_dead_proxy_is_named_as_the_cause() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let excepted = through(ProxyRules::new(&gone, &gone, "", "example.com,127.0.0.1").expect("rules"));
    assert!(excepted.attempt(post(&upstream.base()), &PATIENT).await.is_ok());
    let client = through(ProxyRules::new(&gone, &gone, "", "example.com").expect("rules"));
    for address in [upstream.base().to_string(), "https://provider.invalid".to_owned()] {
        let failure = client.attempt(post(&base(&address)), &PATIENT).await.expect_err("no proxy");
        assert!(failure.message.contains("the proxy does not respond"), "{failure}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_address_that_is_no_http_proxy_is_refused_and_none_is_shown() {
    for (http, https, all, which) in [
        ("socks5://u:canary@h:1", "", "", "http"),
        ("", "https://u:canary@h:1", "", "https"),
        ("", "", "not a canary", "all"),
        ("", "", "http://", "all"),
    ] {
        let error = ProxyRules::new(http, https, all, "").expect_err("refused");
        assert_eq!(error.requests, which);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let rules = ProxyRules::new("http://u:canary@h:1", "h:2", "", "").expect("rules");
    assert!(!format!("{rules:?}").contains("canary"), "{rules:?}");
}
