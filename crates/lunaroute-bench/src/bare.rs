//! The bare proxy: the least that a proxy on this stack can do. What the gateway costs beyond it is the gateway's own.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Pool = Client<HttpConnector, Incoming>;
type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Forwards every request to the upstream over kept connections, until the future is dropped.
///
/// Bytes and headers pass as they are, but for `host` and `connection`; there are no limits, no time-outs and no log.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, upstream: SocketAddr) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).set_host(false).build(connector);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("the bare proxy cannot accept")?;
                let pool = pool.clone();
                connections.spawn(async move { connection(stream, pool, upstream).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One client's connection. Its end, of whatever kind, concerns nobody else.
async fn connection(stream: TcpStream, pool: Pool, upstream: SocketAddr) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| {
        let pool = pool.clone();
        async move { Ok::<_, std::convert::Infallible>(forward(request, &pool, upstream).await) }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // A client that leaves in the middle is counted on the client's side, where the load is made.
    drop(served);
}

async fn forward(mut request: Request<Incoming>, pool: &Pool, upstream: SocketAddr) -> Answer {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{upstream}{path}").parse::<Uri>() else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let Ok(host) = HeaderValue::from_str(&upstream.to_string()) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().remove(CONNECTION);
    match pool.request(request).await {
        Ok(response) => response.map(BodyExt::boxed),
        Err(_) => empty(StatusCode::BAD_GATEWAY),
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer
}
