//! A raw HTTP/1.1 client: it shows how a connection ends, which a library would hide.

use std::io;
use std::time::Duration;

use lunaroute_sim::{Config, Entry, Provider, SCRIPT_HEADER, Script};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const GENERATIONS: [&str; 3] = [CHAT, RESPONSES, MESSAGES];

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body without its chunked framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body's framing was closed.
    pub(crate) whole: bool,
    /// How the connection ended.
    pub(crate) end: Result<(), io::ErrorKind>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Name and data of each event; the name is empty where the dialect has none.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let read = |event: &str| {
            let mut name = String::new();
            let mut data = Value::Null;
            for line in event.lines() {
                if let Some(text) = line.strip_prefix("event: ") {
                    text.clone_into(&mut name);
                } else if let Some(text) = line.strip_prefix("data: ") {
                    data = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                }
            }
            (name, data)
        };
        self.text().split("\n\n").filter(|event| !event.is_empty()).map(read).collect()
    }
}

pub(crate) async fn provider() -> Provider {
    Provider::start(Config::default()).await.expect("a free port on loopback")
}

pub(crate) async fn connect(provider: &Provider) -> TcpStream {
    TcpStream::connect(provider.address()).await.expect("the provider listens")
}

/// A request body that every generation path accepts.
pub(crate) fn body(path: &str, model: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "stream": stream});
    match path {
        RESPONSES => body["input"] = json!("Where does the moon go?"),
        _ => body["messages"] = json!([{"role": "user", "content": "Where does the moon go?"}]),
    }
    if path == CHAT && stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) async fn exchange(
    provider: &Provider,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut stream = connect(provider).await;
    stream.write_all(&request(method, path, headers, body)).await.expect("the request is taken");
    read_reply(stream).await
}

/// Posts with a script.
pub(crate) async fn post(provider: &Provider, path: &str, script: &Script, body: &Value) -> Reply {
    let value = script.header_value();
    let value = value.to_str().expect("ASCII");
    exchange(provider, "POST", path, &[(SCRIPT_HEADER, value)], body.to_string().as_bytes()).await
}

/// Posts with a script in its short form.
pub(crate) async fn short(provider: &Provider, path: &str, script: &str, body: &Value) -> Reply {
    exchange(provider, "POST", path, &[(SCRIPT_HEADER, script)], body.to_string().as_bytes()).await
}

async fn read_reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let end = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the connection ends");
    let end = end.map(|_| ()).map_err(|error| error.kind());
    let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Reply { status: 0, head: String::new(), body: bytes, whole: false, end };
    };
    let head = String::from_utf8(bytes[..split].to_vec()).expect("an ASCII head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut reply = Reply { status, head, body: bytes[split + 4..].to_vec(), whole: false, end };
    if reply.header("transfer-encoding").is_some() {
        (reply.body, reply.whole) = without_chunks(&reply.body);
    } else {
        let told = reply.header("content-length").map(|length| length.parse::<usize>().expect("a number"));
        reply.whole = told.is_none_or(|length| length == reply.body.len());
    }
    reply
}

fn without_chunks(mut framed: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = framed.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&framed[..line]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        if size == 0 {
            return (body, true);
        }
        let rest = &framed[line + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        framed = rest.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

/// The entry of the only request so far that carries no or any test id, once it has ended.
pub(crate) async fn last_entry(provider: &Provider, number: usize) -> Entry {
    let ledger = provider.ledger_when(|ledger| ledger.finished() >= number);
    let ledger = tokio::time::timeout(Duration::from_secs(10), ledger).await.expect("the request ends");
    ledger.entries[number - 1].clone()
}
