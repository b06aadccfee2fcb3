//! Server-sent events out of bytes that arrive in any pieces.
//!
//! Lines end at LF, CRLF or CR and nowhere else: U+2028, U+2029 and U+0085 are text. Comments, `id` and `retry` are
//! passed over; an event without data is none.

use crate::json::is_complete;
use crate::lines::Lines;

/// How large one event may be, in bytes. A larger one is dropped and counted, and the stream goes on.
pub const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// Buffers that grew past this are given back after the event.
const KEPT_CAPACITY: usize = 256 * 1024;

/// One event. Both borrow from the framer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field; `None` when there is none, or when it is not UTF-8.
    pub name: Option<&'a str>,
    /// The `data:` fields, joined by a line feed.
    pub data: &'a [u8],
}

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct Framer {
    /// The line that has begun and not ended.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    lines: Lines,
    /// A line has ended: a byte order mark can only stand before.
    begun: bool,
    /// The event is too large; nothing of it is kept.
    oversized: bool,
    dropped: u64,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events were dropped because they were larger than [`EVENT_LIMIT`].
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the next bytes and tells the events that they complete, in order.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.cut(bytes, |piece, ends| {
            if !ends {
                self.hold(piece);
            } else if self.line.is_empty() {
                self.line_ended(piece, &mut on_event);
            } else {
                self.hold(piece);
                let line = std::mem::take(&mut self.line);
                self.line_ended(&line, &mut on_event);
                self.line = line;
                self.line.clear();
                self.line.shrink_to(KEPT_CAPACITY);
            }
        });
        self.lines = lines;
    }

    /// The stream is over: an event whose blank line is missing counts when its data is whole JSON or the `[DONE]` mark,
    /// because some hosts leave the last line feed out.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line_ended(&line, &mut on_event);
        }
        if is_complete(&self.data) || self.data == b"[DONE]" {
            self.dispatch(&mut on_event);
        }
        *self = Self { dropped: self.dropped, ..Self::default() };
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > EVENT_LIMIT {
            self.oversized = true;
        }
        // Of an oversized line only its being there matters: an empty line would end the event.
        let kept = if self.oversized { &bytes[..bytes.len().min(1)] } else { bytes };
        if !self.oversized || self.line.is_empty() {
            self.line.extend_from_slice(kept);
        }
    }

    fn line_ended(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            self.dispatch(on_event);
        } else if !self.oversized {
            self.field(line);
        }
    }

    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line);
        let (field, value) = match colon {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &line[line.len()..]),
        };
        match field {
            b"data" if self.data.len() + value.len() >= EVENT_LIMIT => self.oversized = true,
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.oversized) {
            self.dropped += 1;
        } else if self.has_data {
            let name = if self.name.is_empty() { None } else { std::str::from_utf8(&self.name).ok() };
            on_event(Event { name, data: &self.data });
        }
        self.has_data = false;
        self.name.clear();
        self.data.clear();
        self.data.shrink_to(KEPT_CAPACITY);
        self.name.shrink_to(KEPT_CAPACITY);
    }
}
