//! The accept loop. It owns every connection's task.

use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Desk;
use super::socket::{Line, Socket};

/// Streams that one HTTP/2 connection may carry at once.
const STREAMS_PER_CONNECTION: u32 = 1_024;

/// Serves connections until `stop`; then all of them end at once.
pub(crate) async fn accept(
    listener: TcpListener,
    desk: Arc<Desk>,
    connection_limit: usize,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < connection_limit;
        tokio::select! {
            () = stop.cancelled() => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&desk)));
                }
                // The client was gone before it was accepted, or descriptors are short: the next may do better, and
                // yielding lets open connections end meanwhile.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let line = Arc::new(Line::default());
    let service = service_fn(|request| {
        let (desk, line) = (Arc::clone(&desk), Arc::clone(&line));
        async move { desk.answer(request, line).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // What is ready leaves in one write, where hyper would make one for each sixteen pieces.
    builder.http1().timer(TokioTimer::new()).writev(false);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_PER_CONNECTION);
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&line)));
    // How a connection ended is in the ledger, request by request.
    let _ = builder.serve_connection(io, service).await;
}
