//! Whether a stream that flows past has said its dialect's end. Stands on the client's path, so it looks at the starts of
//! lines only and keeps a few bytes between pieces.

use std::sync::LazyLock;

use lunaroute_core::{Dialect, Operation};
use memchr::memmem::Finder;

use crate::lines::Lines;

/// How much of a line's start is kept: more than any sign needs.
const HEAD: usize = 64;

const DONE: &[u8] = b"[DONE]";

const FINISH: &[u8] = b"\"finish_reason\"";

static FINISH_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(FINISH));

/// What tells the end of a dialect's streams.
#[derive(Debug)]
pub(crate) struct Signs {
    /// Names of the last event: the value of `event:`, or of `type` when that is the first member of the data.
    pub(crate) events: &'static [&'static str],
    /// Whether streams are chat chunks: `[DONE]`, a `finish_reason` that is not null, or data that begins with `error`.
    pub(crate) chunks: bool,
}

/// Watches one stream.
#[derive(Debug)]
pub struct EndWatch {
    /// `None` when the operation has no known end.
    signs: Option<&'static Signs>,
    head: [u8; HEAD],
    head_length: usize,
    finish: FinishReason,
    /// The line that has begun is not empty.
    in_line: bool,
    lines: Lines,
    /// The last whole line was empty, or nothing has come yet.
    after_blank: bool,
    begun: bool,
    /// The event that has begun is named like an end, and has data.
    named_end: bool,
    has_data: bool,
    /// A model has said why it stopped; what follows are figures and the mark of the end.
    finished: bool,
    ended: bool,
}

impl EndWatch {
    /// A watch at the start of a stream that answers `operation`.
    #[must_use]
    pub fn new(dialect: Dialect, operation: Operation) -> Self {
        Self {
            signs: operation.is_generation().then(|| crate::dispatch::language(dialect).signs()),
            head: [0; HEAD],
            head_length: 0,
            finish: FinishReason::new(),
            in_line: false,
            lines: Lines::default(),
            after_blank: true,
            begun: false,
            named_end: false,
            has_data: false,
            finished: false,
            ended: false,
        }
    }

    /// Whether the dialect's end was seen: chat's `[DONE]` or a `finish_reason`, the last event of the others, or the
    /// provider's own error event, and the line that says so is whole. Always `true` for an operation that is no
    /// generation: its streams have no end that could be missed.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended || self.finished || self.signs.is_none()
    }

    /// Whether nothing can follow any more: as [`EndWatch::ended`], but a chat's `finish_reason` alone is not enough. A
    /// connection that breaks behind one may have cut off another choice or the token figures.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        self.ended || self.signs.is_none()
    }

    /// Whether the bytes so far end between two events, where another one may be put.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        self.after_blank && !self.in_line
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.cut(bytes, |piece, ends| {
            if ends && !self.in_line {
                self.line(piece);
                return;
            }
            self.line_goes_on(piece);
            if ends {
                self.line_ends();
            }
        });
        self.lines = lines;
    }

    /// Takes a line that came in one piece.
    fn line(&mut self, line: &[u8]) {
        self.after_blank = line.is_empty();
        if line.is_empty() {
            self.ended |= self.named_end && self.has_data;
            (self.named_end, self.has_data) = (false, false);
        } else if let Some(signs) = self.signs {
            let head = &line[..line.len().min(HEAD)];
            let head = if self.begun { head } else { head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head) };
            self.judge(signs, head, || finish_reason_in(line));
        }
        self.begun = true;
    }

    fn line_goes_on(&mut self, piece: &[u8]) {
        self.in_line = true;
        let added = piece.len().min(HEAD - self.head_length);
        if added > 0 {
            self.head[self.head_length..self.head_length + added].copy_from_slice(&piece[..added]);
            self.head_length += added;
        }
        if self.signs.is_some_and(|signs| signs.chunks) {
            // The mark is complete in itself; hosts exist that close right behind it.
            if added > 0 && field(self.head(), b"data").is_some_and(|value| value.starts_with(DONE)) {
                self.ended = true;
            }
            self.finish.scan(piece);
        }
    }

    fn head(&self) -> &[u8] {
        let head = &self.head[..self.head_length];
        if self.begun { head } else { head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head) }
    }

    fn line_ends(&mut self) {
        if let Some(signs) = self.signs {
            let (head, found) = (self.head, self.finish.found);
            let skipped = self.head_length - self.head().len();
            self.judge(signs, &head[skipped..self.head_length], || found);
        }
        self.after_blank = false;
        self.begun = true;
        self.in_line = false;
        self.head_length = 0;
        self.finish.restart();
    }

    /// Judges a whole line that is not empty by its start, and by whether it has a finish reason.
    fn judge(&mut self, signs: &Signs, head: &[u8], finish_reason: impl FnOnce() -> bool) {
        if let Some(name) = field(head, b"event") {
            self.named_end = is_one_of(signs.events, name);
        } else if let Some(data) = field(head, b"data") {
            let says_end = match first_member(data) {
                Some(FirstMember::Type(value)) => says_one_of(signs.events, value),
                Some(FirstMember::Error(value)) => signs.chunks && !value.starts_with(b"null"),
                None => signs.chunks && data.starts_with(DONE),
            };
            self.ended |= says_end || self.named_end;
            self.finished |= signs.chunks && finish_reason();
            self.has_data = true;
        }
    }
}

fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

/// The value of a line's field when it has this name.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The first member of an object when it is one that tells an end, and the bytes from its value on.
enum FirstMember<'a> {
    Type(&'a [u8]),
    Error(&'a [u8]),
}

fn first_member(data: &[u8]) -> Option<FirstMember<'_>> {
    let inside = data.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let value = |name: &[u8]| {
        let behind = inside.strip_prefix(name)?.trim_ascii_start().strip_prefix(b":")?;
        Some(behind.trim_ascii_start())
    };
    value(b"\"type\"").map(FirstMember::Type).or_else(|| value(b"\"error\"").map(FirstMember::Error))
}

/// Whether the bytes begin with a string that is one of these names.
fn says_one_of(names: &[&str], bytes: &[u8]) -> bool {
    let Some(inside) = bytes.strip_prefix(b"\"") else { return false };
    names.iter().any(|name| inside.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"\"")))
}

/// Whether a whole line has a member `finish_reason` that is not null.
fn finish_reason_in(line: &[u8]) -> bool {
    let behind =
        |bytes: &[u8]| bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    FINISH_FINDER.find_iter(line).any(|at| {
        let rest = &line[at + FINISH.len()..];
        let Some(value) = rest[behind(rest)..].strip_prefix(b":") else { return false };
        value.get(behind(value)).is_some_and(|first| *first != b'n')
    })
}

/// Looks for the same in a line that comes in pieces.
///
/// Text that a model writes cannot look like one: inside a JSON string the quotes are escaped, and a string that ends in
/// these letters is not followed by a colon.
#[derive(Debug)]
struct FinishReason {
    /// The last bytes of the line so far, in case the name is split.
    tail: [u8; FINISH.len() - 1],
    tail_length: usize,
    stage: FinishStage,
    found: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FinishStage {
    Name,
    Colon,
    Value,
}

impl FinishReason {
    fn new() -> Self {
        Self { tail: [0; FINISH.len() - 1], tail_length: 0, stage: FinishStage::Name, found: false }
    }

    const fn restart(&mut self) {
        self.tail_length = 0;
        self.stage = FinishStage::Name;
        self.found = false;
    }

    fn scan(&mut self, mut bytes: &[u8]) {
        while !self.found && !bytes.is_empty() {
            if self.stage == FinishStage::Name {
                let Some(end) = self.name_end(bytes) else { return };
                self.stage = FinishStage::Colon;
                bytes = &bytes[end..];
                continue;
            }
            let first = bytes[0];
            if !matches!(first, b' ' | b'\t') {
                match self.stage {
                    FinishStage::Colon if first == b':' => self.stage = FinishStage::Value,
                    FinishStage::Value if first != b'n' => self.found = true,
                    _ => {
                        // Looked at again: it may be the quote with which the name begins.
                        self.stage = FinishStage::Name;
                        continue;
                    }
                }
            }
            bytes = &bytes[1..];
        }
    }

    /// Where in `bytes` the name ends, when it does; keeps the tail otherwise.
    fn name_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut joined = [0_u8; 2 * (FINISH.len() - 1)];
        let added = bytes.len().min(FINISH.len() - 1);
        let length = self.tail_length + added;
        joined[..self.tail_length].copy_from_slice(&self.tail[..self.tail_length]);
        joined[self.tail_length..length].copy_from_slice(&bytes[..added]);
        let across = (self.tail_length > 0).then(|| FINISH_FINDER.find(&joined[..length])).flatten();
        let end = match across {
            Some(at) => Some(at + FINISH.len() - self.tail_length),
            None => FINISH_FINDER.find(bytes).map(|at| at + FINISH.len()),
        };
        if end.is_some() {
            self.tail_length = 0;
        } else if let Some(last) = bytes.last_chunk() {
            self.tail = *last;
            self.tail_length = self.tail.len();
        } else {
            let kept = length.min(self.tail.len());
            self.tail[..kept].copy_from_slice(&joined[length - kept..length]);
            self.tail_length = kept;
        }
        end
    }
}
