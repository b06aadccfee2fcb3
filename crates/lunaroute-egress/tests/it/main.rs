//! The gate at its wall: real sockets on the loopback, and providers that do exactly what a test says.

mod cancel;
mod credentials;
mod failures;
mod forward;
mod pool;
mod proxy;
mod retry;
mod reuse;
mod secure;
mod timeouts;
mod upstream;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use lunaroute_core::Failure;
use lunaroute_egress::{BaseUrl, Client, Config, Inbound, Outbound, Timeouts};

/// Longer than anything that is meant to happen.
const PATIENT: Timeouts =
    Timeouts { first_byte: Duration::from_secs(20), idle: Duration::from_secs(20), total: None };

fn client() -> Client {
    Client::new(&Config::default()).expect("the default client")
}

fn base(text: &str) -> BaseUrl {
    BaseUrl::parse(text).expect("a base URL")
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    headers
}

/// A `POST /v1/x` with the body `{}`.
fn post(base: &BaseUrl) -> Outbound<'_> {
    Outbound {
        base,
        method: Method::POST,
        path_and_query: "/v1/x",
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        credential: None,
    }
}

async fn send(base: &BaseUrl) -> Result<Inbound, Failure> {
    client().attempt(post(base), &PATIENT).await
}

/// The body's bytes up to its end, and the failure that ended it, if one did.
async fn read(inbound: Inbound) -> (Vec<u8>, Option<Failure>) {
    let mut body = inbound.body;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(failure) => return (bytes, Some(failure)),
        }
    }
    (bytes, None)
}
