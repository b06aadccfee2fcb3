//! A client that shows what was on the wire: every header line, every body byte, and how the message ended.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lunaroute_sim::{SCRIPT_HEADER, Script};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, byte for byte.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A POST of JSON.
    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let call = Self::new("POST", target).header("content-type", "application/json");
        Self { body: body.into(), ..call }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Asks the simulated provider for a script.
    #[must_use]
    pub(crate) fn script(self, script: &Script) -> Self {
        let value = script.header_value();
        self.header(SCRIPT_HEADER, value.as_bytes())
    }

    /// The same in the script's short form.
    #[must_use]
    pub(crate) fn short(self, script: &str) -> Self {
        self.header(SCRIPT_HEADER, script)
    }

    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let named = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !named("host") {
            bytes.extend_from_slice(b"host: localhost\r\n");
        }
        if !named("content-length") && (!self.body.is_empty() || self.method == "POST") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Whole,
    /// The connection ended first.
    Broken(io::ErrorKind),
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Header lines in order, names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(|value| std::str::from_utf8(value).expect("a header in UTF-8"))
    }

    /// The gateway's name of the request.
    pub(crate) fn request_id(&self) -> lunaroute_core::RequestId {
        let id = self.header("x-lunaroute-request-id").expect("every answer has the gateway's id");
        id.parse().expect("a request id")
    }
}

/// An answer with its body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// When pieces of the body came.
    pub(crate) arrivals: Vec<Instant>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Vec<u8>),
    End(End),
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Nothing,
    Length(usize),
    ChunkHead,
    Chunk(usize),
    UntilClose,
}

/// So much is read at once at most: what was sent as one chunk comes as one piece.
const READ: usize = 64 * 1024;

/// A connection that is kept as long as both sides keep it.
pub(crate) struct Connection {
    socket: TcpStream,
    unread: Vec<u8>,
    framing: Framing,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("somebody listens");
        socket.set_nodelay(true).expect("a socket without delay");
        Self { socket, unread: Vec::with_capacity(READ), framing: Framing::Nothing }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, call: &Call) -> Answer {
        self.send(call).await;
        self.answer().await
    }

    /// Sends a request. A peer that answers and closes before it has read everything is no error here.
    pub(crate) async fn send(&mut self, call: &Call) {
        self.framing = if call.method == "HEAD" { Framing::Nothing } else { Framing::UntilClose };
        let _refused_early = self.socket.write_all(&call.bytes()).await;
    }

    /// Reads the whole answer of the request that was sent.
    pub(crate) async fn answer(&mut self) -> Answer {
        let read = async {
            let head = self.head().await;
            let (mut body, mut arrivals) = (Vec::new(), Vec::new());
            loop {
                match self.piece().await {
                    Piece::Data(data) => {
                        arrivals.push(Instant::now());
                        body.extend_from_slice(&data);
                    }
                    Piece::End(end) => return Answer { head, body, end, arrivals },
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
    }

    /// Reads the head of the answer.
    pub(crate) async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            if let Err(kind) = self.fill().await {
                panic!(
                    "the connection ended ({kind}) before a head: {:?}",
                    String::from_utf8_lossy(&self.unread)
                );
            }
        };
        let lines: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = parse_head(&lines);
        self.framing = match self.framing {
            Framing::Nothing => Framing::Nothing,
            _ => framing(&head),
        };
        head
    }

    /// Reads what comes next of the body.
    pub(crate) async fn piece(&mut self) -> Piece {
        match self.next_piece().await {
            Ok(piece) => piece,
            Err(kind) => Piece::End(End::Broken(kind)),
        }
    }

    async fn next_piece(&mut self) -> Result<Piece, io::ErrorKind> {
        loop {
            match self.framing {
                Framing::Nothing | Framing::Length(0) => return Ok(Piece::End(End::Whole)),
                Framing::Length(left) => {
                    let data = self.take(left).await?;
                    self.framing = Framing::Length(left - data.len());
                    return Ok(Piece::Data(data));
                }
                Framing::UntilClose => {
                    return match self.take(usize::MAX).await {
                        Ok(data) => Ok(Piece::Data(data)),
                        Err(io::ErrorKind::UnexpectedEof) => Ok(Piece::End(End::Whole)),
                        Err(kind) => Err(kind),
                    };
                }
                Framing::ChunkHead => {
                    let line = self.line().await?;
                    let size = usize::from_str_radix(&line, 16).expect("the length of a chunk");
                    if size == 0 {
                        while !self.line().await?.is_empty() {}
                        self.framing = Framing::Nothing;
                    } else {
                        self.framing = Framing::Chunk(size);
                    }
                }
                Framing::Chunk(left) => {
                    let data = self.take(left).await?;
                    self.framing = Framing::Chunk(left - data.len());
                    if left == data.len() {
                        // The chunk is there: a peer that goes before its line end shows with the next piece.
                        if !self.line().await.unwrap_or_default().is_empty() {
                            return Err(io::ErrorKind::InvalidData);
                        }
                        self.framing = Framing::ChunkHead;
                    }
                    return Ok(Piece::Data(data));
                }
            }
        }
    }

    async fn take(&mut self, most: usize) -> Result<Vec<u8>, io::ErrorKind> {
        if self.unread.is_empty() {
            self.fill().await?;
        }
        let length = most.min(self.unread.len());
        Ok(self.unread.drain(..length).collect())
    }

    async fn line(&mut self) -> Result<String, io::ErrorKind> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).map_err(|_| io::ErrorKind::InvalidData);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), io::ErrorKind> {
        match self.socket.read_buf(&mut self.unread).await {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof),
            Ok(_) => Ok(()),
            Err(error) => Err(error.kind()),
        }
    }
}

fn parse_head(lines: &[u8]) -> Head {
    let mut rows = lines.split(|byte| *byte == b'\n').map(|row| row.strip_suffix(b"\r").unwrap_or(row));
    let first = rows.next().map(String::from_utf8_lossy).unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = rows.filter(|row| !row.is_empty()).map(|row| {
        let colon = row.iter().position(|byte| *byte == b':').expect("a header line has a colon");
        let name = String::from_utf8_lossy(&row[..colon]).to_ascii_lowercase();
        (name, row[colon + 1..].trim_ascii().to_vec())
    });
    Head { status: status.unwrap_or_else(|| panic!("no status in {first:?}")), headers: headers.collect() }
}

fn framing(head: &Head) -> Framing {
    if matches!(head.status, 100..200 | 204 | 304) {
        return Framing::Nothing;
    }
    if head.all("transfer-encoding") == [b"chunked"] {
        return Framing::ChunkHead;
    }
    match head.header("content-length") {
        Some(length) => Framing::Length(length.parse().expect("a length")),
        None => Framing::UntilClose,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Sends one request on a connection of its own.
pub(crate) async fn exchange(address: SocketAddr, call: &Call) -> Answer {
    Connection::open(address).await.exchange(call).await
}
