//! A provider made of a socket and a script.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lunaroute_egress::BaseUrl;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::base;

/// Runs a script for each connection until it is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(Peer<TcpStream>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut peers = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an open socket");
                counted.fetch_add(1, Ordering::SeqCst);
                peers.spawn(script(Peer::new(stream)));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// Answers every request of every connection with the same bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.send(&answer).await;
                }
            }
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn base(&self) -> BaseUrl {
        base(&format!("http://{}", self.address))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The provider's end of a connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The next request, head and body as they came; `None` when the connection has ended.
    pub(crate) async fn request(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(head) = text.find("\r\n\r\n").map(|end| end + 4) {
                let length = text[..head]
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().expect("a length"));
                if self.read.len() >= head + length {
                    let rest = self.read.split_off(head + length);
                    let request = std::mem::replace(&mut self.read, rest);
                    return Some(String::from_utf8_lossy(&request).into_owned());
                }
            }
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The other end may have hung up, which is what some tests are about.
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// Takes nothing more, and keeps the connection open until the test is over.
    pub(crate) async fn stalled(self) {
        std::future::pending::<()>().await;
        drop(self);
    }

    /// Waits until the other end has closed the connection, in whatever way.
    pub(crate) async fn closed(&mut self) {
        let mut buffer = [0; 1024];
        while self.stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    }
}

impl Peer<TcpStream> {
    /// Closes the connection with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }
}

/// Fails the test when the future takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("not done within {limit:?}"),
    }
}
