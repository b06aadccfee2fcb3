//! How a connection leaves HTTP.

use std::fmt;
use std::pin::Pin;

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use lunaroute_core::{Failure, FailureKind};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

use super::{Settings, WebSocket};
use crate::Reply;

/// The one version of the protocol (RFC 6455, section 4.1).
const VERSION: &[u8] = b"13";

/// Length of a key: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

type Dialogue = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who goes on with a connection when its HTTP is over.
pub(crate) struct Takeover(Box<dyn FnOnce(CancellationToken) -> Dialogue + Send>);

impl Takeover {
    /// Goes on with the connection to its end. `stopping` is cancelled when the listener stops.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        self.0(stopping).await;
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Takeover")
    }
}

/// Accepts a handshake: the answer is 101, and once it has gone out `dialogue` has the connection. It runs in the
/// connection's own task, and is dropped when the listener cuts what is left at its end.
///
/// # Errors
/// `bad_request` for a handshake that is none of RFC 6455, `upgrade_required` over HTTP/2, where this one does not exist.
pub fn accept<D, F>(head: &mut Parts, settings: Settings, dialogue: D) -> Result<Response<Reply>, Failure>
where
    D: FnOnce(WebSocket) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let key = key(head)?;
    let Some(upgrade) = head.extensions.remove::<OnUpgrade>() else {
        let message = "WebSocket is spoken over HTTP/1.1 only; send the same request as an HTTP POST";
        return Err(Failure::client(FailureKind::UpgradeRequired, message));
    };
    let takeover = move |stopping| -> Dialogue {
        Box::pin(async move {
            match upgrade.await {
                Ok(upgraded) => dialogue(WebSocket::new(upgraded, settings, stopping).await).await,
                Err(error) => tracing::debug!(%error, "a connection was gone before it was a WebSocket"),
            }
        })
    };
    let mut response = Response::new(Reply::switch(Takeover(Box::new(takeover))));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    Ok(response)
}

/// What the client's key is answered with.
fn key(head: &Parts) -> Result<HeaderValue, Failure> {
    let refuse = |message: &str| Failure::client(FailureKind::BadRequest, message);
    let headers = &head.headers;
    if head.method != Method::GET || !names(headers, &header::CONNECTION, "upgrade") {
        return Err(refuse("a WebSocket begins with GET and the header 'connection: upgrade'"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != VERSION) {
        return Err(refuse("the version of WebSocket spoken here is 13 (sec-websocket-version)"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key.filter(|key| key.len() == KEY_LENGTH);
    let accepted = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key)).ok());
    accepted.ok_or_else(|| refuse("the header sec-websocket-key is missing or is no key"))
}

/// Whether a header that is a list has this word in it.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(word)))
}
