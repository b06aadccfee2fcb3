//! A client that notes when which bytes of an answer came, whatever becomes of the gateway meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lunaroute_core::RequestId;
use lunaroute_sim::{SCRIPT_HEADER, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The header by which a request is known to the client, to the provider and in the record.
pub(crate) const MARK: &str = "x-test-id";

/// The paths of the three ways to ask a model.
pub(crate) const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its value of [`MARK`].
    pub(crate) mark: String,
    pub(crate) path: &'static str,
    pub(crate) body: String,
    /// What the provider is to answer.
    pub(crate) script: Script,
    /// The session that the client says it belongs to.
    pub(crate) session: Option<String>,
}

impl Call {
    /// A question of a few words.
    pub(crate) fn new(mark: String, path: &'static str, stream: bool, script: Script) -> Self {
        let question = format!("Where does the moon go, {mark}?");
        Self { body: body(path, stream, &question), mark, path, script, session: None }
    }

    /// The same with a question of about so many bytes that no compression makes small.
    #[must_use]
    pub(crate) fn of_bytes(mut self, bytes: usize, stream: bool) -> Self {
        self.body = body(self.path, stream, &noise(&self.mark, bytes));
        self
    }

    /// The same within a session that the client names.
    #[must_use]
    pub(crate) fn in_session(mut self, session: String) -> Self {
        self.session = Some(session);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let (path, mark, script) = (self.path, &self.mark, self.script.header_value());
        let script = script.to_str().unwrap_or_default();
        let length = self.body.len();
        let named = |session: &String| format!("x-lunaroute-session-id: {session}\r\n");
        let session = self.session.as_ref().map(named).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             authorization: Bearer chaos\r\n{MARK}: {mark}\r\n{SCRIPT_HEADER}: {script}\r\n{session}\r\n"
        );
        [head.as_bytes(), self.body.as_bytes()].concat()
    }
}

fn body(path: &str, stream: bool, question: &str) -> String {
    let asked = if path == PATHS[1] {
        format!(r#""input":"{question}""#)
    } else {
        format!(r#""messages":[{{"role":"user","content":"{question}"}}]"#)
    };
    format!(r#"{{"model":"a-model","stream":{stream},"max_tokens":200000,{asked}}}"#)
}

/// Letters and figures that look random and depend on the seed alone.
pub(crate) fn noise(seed: &str, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        // xorshift64*: eight letters from each step.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let drawn = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        text.extend(drawn.map(|byte| char::from(LETTERS[usize::from(byte & 63)])));
    }
    text.truncate(bytes);
    text
}

/// How a client treats the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    /// It waits this long for the whole exchange, then hangs up.
    pub(crate) patience: Duration,
    /// It hangs up after so many pieces.
    pub(crate) pieces: usize,
    /// It rests this long after each piece.
    pub(crate) rest: Duration,
    /// It keeps the body and when its pieces came.
    pub(crate) keep: bool,
}

impl Default for Habit {
    fn default() -> Self {
        Self { patience: Duration::from_secs(60), pieces: usize::MAX, rest: Duration::ZERO, keep: true }
    }
}

/// What one client saw of its request.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) mark: String,
    /// Bytes of the request's body.
    pub(crate) asked: usize,
    /// The status of the answer, when a head came.
    pub(crate) status: Option<u16>,
    /// Seconds after which it may come again, when the answer says that.
    pub(crate) retry_after: Option<u64>,
    /// What the gateway calls the request.
    pub(crate) id: Option<RequestId>,
    /// The body as far as it came, without its framing.
    pub(crate) body: Vec<u8>,
    /// How many bytes of the body had come, and when.
    arrivals: Vec<(usize, Instant)>,
    /// The body came to the end that its framing declares.
    pub(crate) whole: bool,
    /// When the head was there.
    pub(crate) answered_at: Option<Instant>,
    /// When it was over.
    pub(crate) ended_at: Option<Instant>,
    /// It was the client that hung up.
    pub(crate) hung_up: bool,
}

impl Seen {
    /// When the client had the byte of the body at this offset.
    pub(crate) fn arrival_of(&self, offset: usize) -> Option<Instant> {
        self.arrivals.iter().find(|(bytes, _)| *bytes > offset).map(|(_, at)| *at)
    }

    /// Whether the gateway said that it cannot serve now, in the words of the dialect.
    pub(crate) fn refused(&self) -> bool {
        self.whole && matches!(self.status, Some(503 | 529))
    }

    /// Whether a whole answer with a good status came.
    pub(crate) fn succeeded(&self) -> bool {
        self.whole && self.status.is_some_and(|status| status < 400)
    }
}

/// Sends a request on a connection of its own and watches the answer; `pieces` counts what comes.
pub(crate) async fn watch(address: SocketAddr, call: &Call, habit: Habit, pieces: &AtomicUsize) -> Seen {
    let mut seen = Seen { mark: call.mark.clone(), asked: call.body.len(), ..Seen::default() };
    let exchange = exchange(address, call, habit, pieces, &mut seen);
    // A gateway that is killed breaks the connection, which is what these runs are about: what came until then counts.
    let gone = tokio::time::timeout(habit.patience, exchange).await;
    seen.hung_up |= gone.is_err();
    seen.ended_at = Some(Instant::now());
    seen
}

async fn exchange(
    address: SocketAddr,
    call: &Call,
    habit: Habit,
    pieces: &AtomicUsize,
    seen: &mut Seen,
) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_all(&call.bytes()).await?;
    let mut unread = Unread::default();
    let mut came = 0;
    while !seen.whole {
        // An empty vector would take 64 bytes at a time, and every read counts as a piece.
        unread.bytes.reserve(16 * 1024);
        if socket.read_buf(&mut unread.bytes).await? == 0 {
            return Ok(());
        }
        unread.give_to(seen, habit.keep);
        pieces.fetch_add(1, Ordering::Relaxed);
        came += 1;
        if came >= habit.pieces {
            seen.hung_up = !seen.whole;
            return Ok(());
        }
        if !habit.rest.is_zero() {
            tokio::time::sleep(habit.rest).await;
        }
    }
    Ok(())
}

/// What came and is not understood yet.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    framing: Framing,
}

#[derive(Default, Clone, Copy)]
enum Framing {
    #[default]
    Head,
    Length(usize),
    ChunkHead,
    Chunk(usize),
    ChunkEnd,
}

impl Unread {
    /// Gives everything that is whole to the client's account.
    fn give_to(&mut self, seen: &mut Seen, keep: bool) {
        let before = seen.body.len();
        while !seen.whole && self.step(seen, keep).is_some() {}
        if seen.body.len() > before {
            seen.arrivals.push((seen.body.len(), Instant::now()));
        }
    }

    /// One part; `None` while it is not there.
    fn step(&mut self, seen: &mut Seen, keep: bool) -> Option<()> {
        match self.framing {
            Framing::Head => {
                let end = find(&self.bytes, b"\r\n\r\n")?;
                let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
                self.bytes.drain(..end + 4);
                let header = |name: &str| {
                    head.lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
                };
                seen.status = head.get(9..12).and_then(|status| status.parse().ok());
                seen.id = header("x-lunaroute-request-id").and_then(|id| id.parse().ok());
                seen.retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
                seen.answered_at = Some(Instant::now());
                self.framing = match header("content-length").and_then(|length| length.parse().ok()) {
                    Some(length) => Framing::Length(length),
                    None => Framing::ChunkHead,
                };
            }
            Framing::Length(0) => seen.whole = true,
            Framing::Length(left) => self.framing = Framing::Length(left - self.take(left, seen, keep)?),
            Framing::ChunkHead => {
                let end = find(&self.bytes, b"\r\n")?;
                let size = std::str::from_utf8(&self.bytes[..end]).ok();
                let size = size.and_then(|size| usize::from_str_radix(size, 16).ok())?;
                self.bytes.drain(..end + 2);
                self.framing = Framing::Chunk(size);
                seen.whole = size == 0;
            }
            Framing::Chunk(0) => self.framing = Framing::ChunkEnd,
            Framing::Chunk(left) => self.framing = Framing::Chunk(left - self.take(left, seen, keep)?),
            Framing::ChunkEnd => {
                self.bytes.get(..2)?;
                self.bytes.drain(..2);
                self.framing = Framing::ChunkHead;
            }
        }
        Some(())
    }

    fn take(&mut self, most: usize, seen: &mut Seen, keep: bool) -> Option<usize> {
        let length = most.min(self.bytes.len());
        let taken = self.bytes.drain(..length);
        if keep {
            seen.body.extend(taken);
        } else {
            drop(taken);
        }
        (length > 0).then_some(length)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::{Seen, Unread, noise};

    #[track_caller]
    fn check(answer: &[u8], body: &[u8]) {
        for cut in 0..=answer.len() {
            let (mut unread, mut seen) = (Unread::default(), Seen::default());
            for part in [&answer[..cut], &answer[cut..]] {
                unread.bytes.extend_from_slice(part);
                unread.give_to(&mut seen, true);
                assert!(!seen.whole || seen.body == body, "cut at {cut}: whole too early");
            }
            assert!(seen.whole, "cut at {cut}");
            assert_eq!(seen.arrival_of(body.len()), None);
            assert!(seen.arrival_of(body.len() - 1).is_some());
        }
    }

    #[test]
    fn answers_of_both_framings_are_read_wherever_they_are_cut() {
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello");
        check(
            b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"hello",
        );
    }

    #[test]
    fn noise_depends_on_its_seed() {
        assert_eq!(noise("a", 1_000), noise("a", 1_000));
        assert_ne!(noise("a", 100), noise("b", 100));
        assert_eq!(noise("c", 13).len(), 13);
    }
}
