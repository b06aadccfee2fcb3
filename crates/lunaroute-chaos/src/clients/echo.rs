//! An upstream that shows every request byte by byte, and believes nothing that is not written as the standard says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    /// Whether all of it was written as the standard says.
    pub(crate) is_clear: bool,
}

/// A running echo upstream. Dropped, it ends.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    _tasks: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port is free")?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&heard)));
        Ok(Self { address, heard, _tasks: tasks })
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: TcpListener, heard: Arc<Mutex<Vec<Heard>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&heard)));
        while connections.try_join_next().is_some() {}
    }
}

/// Hears requests until the peer goes or one is not clear: then nobody knows where the next one begins.
async fn serve(mut stream: TcpStream, heard: Arc<Mutex<Vec<Heard>>>) {
    let mut unread = Vec::new();
    loop {
        let next = loop {
            match parse(&unread) {
                Some((request, end)) => {
                    unread.drain(..end);
                    break request;
                }
                None => match stream.read_buf(&mut unread).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
            }
        };
        let is_clear = next.is_clear;
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(next);
        if !is_clear || stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

/// The first request in the bytes and where it ends; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Option<(Heard, usize)> {
    let head_end = find(bytes, b"\r\n\r\n")? + 4;
    let head = &bytes[..head_end - 4];
    let unclear = |target: &str| {
        let heard = Heard { target: target.to_owned(), body: bytes.to_vec(), is_clear: false };
        Some((heard, bytes.len()))
    };
    let Ok(text) = std::str::from_utf8(head) else { return unclear("?") };
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [_, target, "HTTP/1.1"] = words[..] else { return unclear("?") };
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return unclear(target) };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n', '\0']) {
            return unclear(target);
        }
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value.trim()),
            "transfer-encoding" => codings.push(value.trim()),
            _ => {}
        }
    }
    let (body, end) = match (&lengths[..], &codings[..]) {
        ([], []) => (Vec::new(), head_end),
        ([length], []) => {
            let Ok(length) = length.parse::<usize>() else { return unclear(target) };
            (bytes.get(head_end..head_end + length)?.to_vec(), head_end + length)
        }
        ([], ["chunked"]) => match chunks(bytes, head_end) {
            Some(Some(whole)) => whole,
            Some(None) => return unclear(target),
            None => return None,
        },
        _ => return unclear(target),
    };
    Some((Heard { target: target.to_owned(), body, is_clear: true }, end))
}

/// A chunked body and where it ends; `None` while it is not whole, `Some(None)` when it is none.
#[expect(clippy::option_option, reason = "not whole yet and not a chunked body are two answers")]
fn chunks(bytes: &[u8], mut at: usize) -> Option<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    loop {
        let line_end = at + find(bytes.get(at..)?, b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..line_end]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return Some(None);
        };
        at = line_end + 2;
        let chunk = bytes.get(at..at.checked_add(size)?.checked_add(2)?)?;
        if !chunk.ends_with(b"\r\n") {
            return Some(None);
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Some(Some((body, at)));
        }
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(bytes: &str, target: &str, body: &str, is_clear: bool) {
        let (heard, _) = parse(bytes.as_bytes()).expect("it is whole");
        assert_eq!((heard.target.as_str(), heard.is_clear), (target, is_clear), "{bytes:?}");
        assert!(!is_clear || heard.body == body.as_bytes(), "{bytes:?}");
    }

    #[test]
    fn what_is_clear_is_heard_and_what_is_not_is_marked() {
        check("GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "/a", "", true);
        check("POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET", "/a", "hi", true);
        check("POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "/a", "hi", true);
        for unclear in [
            "POST /a HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi",
            "POST /a HTTP/1.1\r\nno colon\r\n\r\n",
            "POST /a HTTP/1.1\r\nx : y\r\n\r\n",
        ] {
            check(unclear, "/a", "", false);
        }
        assert_eq!(parse(b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nh"), None);
        assert_eq!(parse(b"GET /a HTT"), None);
    }
}
