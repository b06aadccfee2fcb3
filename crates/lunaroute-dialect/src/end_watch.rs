//! Whether a stream that flows past has said its dialect's end. Stands on the client's path, so it looks at the starts of
//! lines only and keeps a few bytes between pieces.

use std::sync::LazyLock;

use lunaroute_core::{Dialect, Operation};
use memchr::memmem::Finder;

use crate::lines::Lines;

/// How much of a line's start is kept: more than any sign needs.
const HEAD: usize = 64;

const DONE: &[u8] = b"[DONE]";

/// A member of a chunk that says, when it is not null, that a model has stopped.
#[derive(Debug)]
pub(crate) struct Reason {
    /// The name with its quotes, at most [`LONGEST_NAME`] bytes.
    name: &'static [u8],
    finder: &'static LazyLock<Finder<'static>>,
}

const LONGEST_NAME: usize = FINISH_REASON.name.len();

/// How many such members a dialect has at most.
const MOST_REASONS: usize = 2;

/// Chat's.
pub(crate) const FINISH_REASON: Reason = {
    const NAME: &[u8] = b"\"finish_reason\"";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));
    Reason { name: NAME, finder: &FINDER }
};

/// Gemini's, of a candidate.
pub(crate) const CANDIDATE_FINISH: Reason = {
    const NAME: &[u8] = b"\"finishReason\"";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));
    Reason { name: NAME, finder: &FINDER }
};

/// Gemini's, of a prompt that gets no candidate.
pub(crate) const PROMPT_BLOCK: Reason = {
    const NAME: &[u8] = b"\"blockReason\"";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));
    Reason { name: NAME, finder: &FINDER }
};

/// What tells the end of a dialect's streams.
#[derive(Debug)]
pub(crate) struct Signs {
    /// Names of the last event: the value of `event:`, or of `type` when that is the first member of the data.
    pub(crate) events: &'static [&'static str],
    /// The members by which chunks tell that a model has stopped, at most [`MOST_REASONS`]; none when streams are no
    /// chunks. Data of chunks that begins with `error` ends a stream, too.
    pub(crate) reasons: &'static [Reason],
    /// Whether `[DONE]` ends a stream.
    pub(crate) done: bool,
}

/// Watches one stream.
#[derive(Debug)]
pub struct EndWatch {
    /// `None` when the operation has no known end.
    signs: Option<&'static Signs>,
    head: [u8; HEAD],
    head_length: usize,
    finish: [FinishReason; MOST_REASONS],
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
            finish: [const { FinishReason::new() }; MOST_REASONS],
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
            self.judge(signs, head, || signs.reasons.iter().any(|reason| reason.is_in(line)));
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
        let Some(signs) = self.signs else { return };
        // The mark is complete in itself; hosts exist that close right behind it.
        let is_done = || field(self.head(), b"data").is_some_and(|value| value.starts_with(DONE));
        if signs.done && added > 0 && is_done() {
            self.ended = true;
        }
        for (reason, finish) in signs.reasons.iter().zip(&mut self.finish) {
            finish.scan(reason, piece);
        }
    }

    fn head(&self) -> &[u8] {
        let head = &self.head[..self.head_length];
        if self.begun { head } else { head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head) }
    }

    fn line_ends(&mut self) {
        if let Some(signs) = self.signs {
            let (head, found) = (self.head, self.finish.iter().any(|finish| finish.found));
            let skipped = self.head_length - self.head().len();
            self.judge(signs, &head[skipped..self.head_length], || found);
        }
        self.after_blank = false;
        self.begun = true;
        self.in_line = false;
        self.head_length = 0;
        self.finish.iter_mut().for_each(FinishReason::restart);
    }

    /// Judges a whole line that is not empty by its start, and by whether it has a finish reason.
    fn judge(&mut self, signs: &Signs, head: &[u8], finish_reason: impl FnOnce() -> bool) {
        if let Some(name) = field(head, b"event") {
            self.named_end = is_one_of(signs.events, name);
        } else if let Some(data) = field(head, b"data") {
            let says_end = match first_member(data) {
                Some(FirstMember::Type(value)) => says_one_of(signs.events, value),
                Some(FirstMember::Error(value)) => !signs.reasons.is_empty() && !value.starts_with(b"null"),
                None => signs.done && data.starts_with(DONE),
            };
            self.ended |= says_end || self.named_end;
            self.finished |= finish_reason();
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

impl Reason {
    /// Whether a whole line has the member with a value that is neither null nor empty.
    fn is_in(&self, line: &[u8]) -> bool {
        let behind =
            |bytes: &[u8]| bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
        self.finder.find_iter(line).any(|at| {
            let rest = &line[at + self.name.len()..];
            let Some(value) = rest[behind(rest)..].strip_prefix(b":") else { return false };
            let value = &value[behind(value)..];
            value.first().is_some_and(|first| *first != b'n') && !value.starts_with(b"\"\"")
        })
    }
}

/// Looks for one such member in a line that comes in pieces.
///
/// Text that a model writes cannot look like one: inside a JSON string the quotes are escaped, and a string that ends in
/// these letters is not followed by a colon.
#[derive(Debug)]
struct FinishReason {
    /// The last bytes of the line so far, in case the name is split.
    tail: [u8; LONGEST_NAME - 1],
    tail_length: usize,
    stage: FinishStage,
    found: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FinishStage {
    Name,
    Colon,
    Value,
    /// Behind the quote of the value: some hosts say an empty string while a model goes on.
    Word,
}

impl FinishReason {
    const fn new() -> Self {
        Self { tail: [0; LONGEST_NAME - 1], tail_length: 0, stage: FinishStage::Name, found: false }
    }

    const fn restart(&mut self) {
        self.tail_length = 0;
        self.stage = FinishStage::Name;
        self.found = false;
    }

    fn scan(&mut self, reason: &Reason, mut bytes: &[u8]) {
        while !self.found && !bytes.is_empty() {
            if self.stage == FinishStage::Name {
                let Some(end) = self.name_end(reason, bytes) else { return };
                self.stage = FinishStage::Colon;
                bytes = &bytes[end..];
                continue;
            }
            let first = bytes[0];
            if self.stage == FinishStage::Word {
                self.found = first != b'"';
                self.stage = FinishStage::Name;
            } else if !matches!(first, b' ' | b'\t') {
                match self.stage {
                    FinishStage::Colon if first == b':' => self.stage = FinishStage::Value,
                    FinishStage::Value if first == b'"' => self.stage = FinishStage::Word,
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
    fn name_end(&mut self, reason: &Reason, bytes: &[u8]) -> Option<usize> {
        // One byte less than the name: more of what was before cannot be the beginning of one that is split.
        let most = reason.name.len() - 1;
        let mut joined = [0_u8; 2 * (LONGEST_NAME - 1)];
        let added = bytes.len().min(most);
        let length = self.tail_length + added;
        joined[..self.tail_length].copy_from_slice(&self.tail[..self.tail_length]);
        joined[self.tail_length..length].copy_from_slice(&bytes[..added]);
        let across = (self.tail_length > 0).then(|| reason.finder.find(&joined[..length])).flatten();
        let end = match across {
            Some(at) => Some(at + reason.name.len() - self.tail_length),
            None => reason.finder.find(bytes).map(|at| at + reason.name.len()),
        };
        if end.is_some() {
            self.tail_length = 0;
        } else {
            // The end of `bytes`; of a short one with what was before it.
            let end = if added == most { &bytes[bytes.len() - most..] } else { &joined[..length] };
            let kept = end.len().min(most);
            self.tail[..kept].copy_from_slice(&end[end.len() - kept..]);
            self.tail_length = kept;
        }
        end
    }
}
