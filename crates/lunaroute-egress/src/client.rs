//! One attempt: a request goes out, the head of the answer comes back.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lunaroute_core::{Failure, FailureKind, headers};
use tokio::time::Instant;

use crate::body::{Limits, UpstreamBody};
use crate::connector::Connector;
use crate::failure::Lost;
use crate::pool::{Answer, Lease, Pool};
use crate::{BaseUrl, Config, ConfigError, Credential, ProxyRules, failure};

/// A pool of connections to providers. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Client {
    connections: Connections,
    proxy: Option<ProxyRules>,
}

#[derive(Clone)]
enum Connections {
    /// HTTP/1.1 only: connections that their requests drive.
    Http1(Arc<Pool>),
    /// HTTP/2 where the provider agrees to it. Its connections are shared by requests, so they have tasks of their own.
    Negotiated(Box<legacy::Client<Connector, Full<Bytes>>>),
}

/// What is sent.
#[derive(Debug)]
pub struct Outbound<'a> {
    /// The provider.
    pub base: &'a BaseUrl,
    /// The method.
    pub method: Method,
    /// Path and query as the caller sent them, beginning with `/`.
    pub path_and_query: &'a str,
    /// The caller's headers. Those of its connection, `host` and `expect` are replaced or dropped; all others travel,
    /// repeated ones in their order.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
    /// The credential that takes the place of the caller's; `None` lets the caller's pass.
    pub credential: Option<&'a Credential>,
}

/// How long a provider may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start of the attempt, its connection included, to the head of the answer.
    pub first_byte: Duration,
    /// Silence between two pieces of the body, counted only while somebody waits for the next one.
    pub idle: Duration,
    /// From the start of the attempt to the end of the answer. A stream (server-sent events, JSON lines, AWS event
    /// frames) is never cut by it, because one that still produces is no fault; for a stream it bounds the head only.
    pub total: Option<Duration>,
}

/// Any longer time means the same, and could not be added to a point in time.
const LONGEST_IDLE: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The head of an answer, and its body.
#[derive(Debug)]
pub struct Inbound {
    /// The status, whatever it is: a provider's error is an answer, not a failure.
    pub status: StatusCode,
    /// The headers without those of the provider's connection.
    pub headers: HeaderMap,
    /// The version that the provider answered in.
    pub version: Version,
    /// The body. Dropped before its end, it cancels the request at the provider at once.
    pub body: UpstreamBody,
}

impl Client {
    /// Makes a client. Reads the certificate files; opens no connection.
    ///
    /// # Errors
    /// [`ConfigError`] when a certificate or key file cannot be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let connector = Connector::new(config)?;
        let connections = if config.http2 {
            // Both timers: without the first, idle connections are never swept; without the second, HTTP/2 has no clock.
            let pool = legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(config.pool_idle_timeout)
                .pool_max_idle_per_host(config.pool_max_idle_per_host)
                .set_host(false)
                .build(connector);
            Connections::Negotiated(Box::new(pool))
        } else {
            Connections::Http1(Pool::new(connector, config))
        };
        Ok(Self { connections, proxy: config.proxy.clone() })
    }

    /// Sends one request to one provider and waits for the head of its answer. Dropping the future cancels the request.
    ///
    /// # Errors
    /// A [`Failure`] of the client's side when the request cannot be sent as it is, of the upstream's side when no
    /// answer came; the latter may be tried elsewhere.
    pub async fn attempt(&self, outbound: Outbound<'_>, timeouts: &Timeouts) -> Result<Inbound, Failure> {
        let base = outbound.base;
        let started = Instant::now();
        let request = self.request(outbound)?;
        let head_limit = timeouts.total.map_or(timeouts.first_byte, |total| total.min(timeouts.first_byte));
        // The time-out gets a pointer: it would copy the whole exchange several times.
        let exchange = pin!(self.exchange(base, request));
        let (response, lease) = match tokio::time::timeout(head_limit, exchange).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(lost)) => return Err(failure::of_attempt(&lost, base.authority())),
            Err(_) => return Err(failure::no_head(base.authority(), head_limit)),
        };
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(failure::unasked_upgrade(base.authority()));
        }
        headers::strip_hop_by_hop(&mut parts.headers);
        let total = timeouts.total.filter(|_| !is_stream(&parts.headers));
        let end = total.and_then(|total| Some((started.checked_add(total)?, total)));
        let limits = Limits { idle: timeouts.idle.min(LONGEST_IDLE), end };
        Ok(Inbound {
            status: parts.status,
            headers: parts.headers,
            version: parts.version,
            body: UpstreamBody::new(body, lease, limits, Arc::clone(base.shared_authority())),
        })
    }

    async fn exchange(
        &self,
        base: &BaseUrl,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<Lease>), Lost> {
        match &self.connections {
            Connections::Http1(pool) => {
                let Answer { response, lease } = pool.exchange(base.origin(), request).await?;
                Ok((response, Some(lease)))
            }
            Connections::Negotiated(pool) => {
                Ok((pool.request(request).await.map_err(Lost::Negotiated)?, None))
            }
        }
    }

    fn request(&self, outbound: Outbound<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let Outbound { base, method, path_and_query, mut headers, body, credential } = outbound;
        if method == Method::CONNECT {
            // It would make a tunnel of the connection: whoever asks for one reaches past the provider's own paths.
            return Err(Failure::client(FailureKind::MethodNotAllowed, "CONNECT is not forwarded"));
        }
        let uri = base.join(path_and_query, credential.is_none())?;
        headers::strip_hop_by_hop(&mut headers);
        headers.remove(EXPECT);
        headers.insert(HOST, base.host_header());
        if !body.is_empty() || headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        match credential {
            Some(credential) => credential.replace_in(&mut headers),
            None => conceal_credentials(&mut headers),
        }
        if let Some(authorization) = self.proxy.as_ref().and_then(|rules| rules.plain_authorization(&uri)) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offers_http2 = matches!(self.connections, Connections::Negotiated(_));
        f.debug_struct("Client").field("proxy", &self.proxy).field("offers_http2", &offers_http2).finish()
    }
}

/// Marks the caller's credentials, so that no library below shows them or keeps them in a compression table.
fn conceal_credentials(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if headers::is_credential(name) {
            value.set_sensitive(true);
        }
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    let kind = value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii();
    [b"text/event-stream".as_slice(), b"application/x-ndjson", b"application/vnd.amazon.eventstream"]
        .iter()
        .any(|stream| kind.eq_ignore_ascii_case(stream))
}
