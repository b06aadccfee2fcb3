//! An upstream whose every connection is served by a function: for answers that no provider would give.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// What the kernel keeps of an answer on this side at most: the rest has to be felt by whoever writes.
const SEND_BUFFER: u32 = 16 * 1024;

const BACKLOG: u32 = 4_096;

/// A running upstream. Dropped, it ends with all its connections.
pub(crate) struct Source {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Source {
    /// Listens on a free port; `serve` gets each connection.
    pub(crate) async fn start<F, R>(serve: F) -> Result<Self>
    where
        F: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpSocket::new_v4().context("no socket")?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(([127, 0, 0, 1], 0).into()).context("no port is free")?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, serve));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it is, as a provider's base.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept<F, R>(listener: TcpListener, serve: F)
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Reads one request with the body that its `content-length` tells, and gives its head; `None` when the peer goes.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut unread = Vec::new();
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&unread[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = end + length.unwrap_or(0);
    while unread.len() < whole {
        if stream.read_buf(&mut unread).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
