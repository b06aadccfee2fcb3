//! A provider that shows requests and gives answers byte for byte, which an HTTP library would tidy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What came and what is answered.
#[derive(Default)]
struct Slate {
    answer: Vec<u8>,
    /// Heads of the requests, in order.
    heads: Vec<Vec<u8>>,
}

/// A running upstream. Dropped, it ends.
pub(crate) struct RawUpstream {
    pub(crate) address: SocketAddr,
    slate: Arc<Mutex<Slate>>,
    _tasks: JoinSet<()>,
}

impl RawUpstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("an address");
        let slate = Arc::new(Mutex::new(Slate::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&slate)));
        Self { address, slate, _tasks: tasks }
    }

    /// Answers every further request with these bytes.
    pub(crate) fn answer_with(&self, bytes: impl Into<Vec<u8>>) {
        self.slate.lock().unwrap_or_else(PoisonError::into_inner).answer = bytes.into();
    }

    /// The head of the last request: its first line, then name and value of each header line, names in lower case.
    pub(crate) fn last(&self) -> (String, Vec<(String, Vec<u8>)>) {
        let slate = self.slate.lock().unwrap_or_else(PoisonError::into_inner);
        let head = slate.heads.last().expect("a request came");
        let mut lines =
            head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let headers = lines.map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            (name, line[colon + 1..].trim_ascii().to_vec())
        });
        (first, headers.collect())
    }

    pub(crate) fn requests(&self) -> usize {
        self.slate.lock().unwrap_or_else(PoisonError::into_inner).heads.len()
    }
}

async fn accept(listener: TcpListener, slate: Arc<Mutex<Slate>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&slate)));
    }
}

/// Serves requests until the peer goes; bodies are those that `content-length` tells.
async fn serve(mut stream: TcpStream, slate: Arc<Mutex<Slate>>) {
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read_buf(&mut unread).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head: Vec<u8> = unread.drain(..end).collect();
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.unwrap_or(0);
        while unread.len() < length {
            match stream.read_buf(&mut unread).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        unread.drain(..length);
        let answer = {
            let mut slate = slate.lock().unwrap_or_else(PoisonError::into_inner);
            slate.heads.push(head);
            slate.answer.clone()
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}
