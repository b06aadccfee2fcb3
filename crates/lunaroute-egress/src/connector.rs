//! From an address to a connection: name look-up, TCP, proxy, TLS, and the one time limit over all of them.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Config, ConfigError, ProxyRules, tls};

type BoxError = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The connection took longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
pub(crate) struct ConnectElapsed(pub(crate) Duration);

/// The host's name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
pub(crate) struct NameNotResolved(#[source] io::Error);

/// The proxy between here and the host made no connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum ProxyFailed {
    /// The proxy itself could not be reached, or broke off.
    #[error("the proxy cannot be reached")]
    Unreachable,
    /// It wants other or any credentials.
    #[error("the proxy wants authentication")]
    WantsAuthentication,
    /// It answered and made no tunnel.
    #[error("the proxy refused the tunnel")]
    Refused,
}

impl ProxyFailed {
    /// The library's type cannot be named: an error below it means that the proxy was not reached, and its text is the
    /// only place that tells a demand for authentication from a refusal.
    fn of_tunnel(error: &(dyn Error + 'static)) -> Self {
        if error.source().is_some() {
            Self::Unreachable
        } else if error.to_string().contains("authorization required") {
            Self::WantsAuthentication
        } else {
            Self::Refused
        }
    }
}

/// Makes connections within the time limit.
#[derive(Clone)]
pub(crate) struct Connector {
    secure: HttpsConnector<Dialer>,
    limit: Duration,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(config.tcp_keepalive);
        // Here the limit is shared among the addresses of the host, so that a dead first one leaves time for the next.
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let dialer = Dialer { tcp, proxy: config.proxy.clone() };
        let schemes =
            HttpsConnectorBuilder::new().with_tls_config(tls::client_config(config)?).https_or_http();
        let secure = if config.http2 {
            schemes.enable_all_versions().wrap_connector(dialer)
        } else {
            schemes.enable_http1().wrap_connector(dialer)
        };
        Ok(Self { secure, limit: config.connect_timeout })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Wire>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.secure.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = self.secure.call(destination);
        let limit = self.limit;
        Box::pin(
            async move { tokio::time::timeout(limit, connecting).await.map_err(|_| ConnectElapsed(limit))? },
        )
    }
}

/// Dials the destination, or the proxy that stands before it.
#[derive(Clone)]
pub(crate) struct Dialer {
    tcp: HttpConnector<Resolver>,
    proxy: Option<ProxyRules>,
}

impl Service<Uri> for Dialer {
    type Response = Wire;
    type Error = BoxError;
    type Future = Connecting<Wire>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.as_ref().and_then(|rules| rules.intercept(&destination)) else {
            let connecting = self.tcp.call(destination);
            return Box::pin(async move { Ok(Wire { stream: connecting.await?, absolute_form: false }) });
        };
        if destination.scheme_str() == Some("http") {
            let connecting = self.tcp.call(proxy.uri().clone());
            return Box::pin(async move {
                let stream = connecting.await.map_err(|_| ProxyFailed::Unreachable)?;
                Ok(Wire { stream, absolute_form: true })
            });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(destination);
        Box::pin(async move {
            let stream = connecting.await.map_err(|error| ProxyFailed::of_tunnel(&error))?;
            Ok(Wire { stream, absolute_form: false })
        })
    }
}

/// The system's resolver, whose failure can be told from others by its type.
#[derive(Clone)]
pub(crate) struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = NameNotResolved;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, NameNotResolved>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NameNotResolved>> {
        self.0.poll_ready(context).map_err(NameNotResolved)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move { resolving.await.map_err(NameNotResolved) })
    }
}

/// A TCP connection, which knows whether a proxy at its other end wants to read absolute addresses.
pub(crate) struct Wire {
    stream: TokioIo<TcpStream>,
    absolute_form: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.absolute_form)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
