//! HTTP/2 frames as bytes, and the floods that are made of them.

/// The connection preface and an empty SETTINGS frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What stands in the last question of a connection, and in its answer.
pub(super) const LAST: &[u8; 8] = b"the last";

/// Frame types.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes that are written at once, about.
const BATCH: usize = 16 * 1024;

/// What is sent without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// Streams that are opened and reset at once.
    RapidReset,
    /// One head that is continued for ever.
    Continuation,
    /// One body of nothing, for ever.
    EmptyData,
    /// Questions that have to be answered.
    Ping,
    /// Settings that have to be acknowledged.
    Settings,
    /// Heads of one byte per header, each of which stands for kilobytes.
    HeaderBomb,
}

impl Flood {
    pub(super) const ALL: [Self; 6] =
        [Self::RapidReset, Self::Continuation, Self::EmptyData, Self::Ping, Self::Settings, Self::HeaderBomb];

    /// The frames from the one of this number on, some of them, and how many they are.
    pub(super) fn batch(self, number: usize, frames: usize) -> (Vec<u8>, usize) {
        let (mut bytes, mut count) = (Vec::new(), 0);
        while bytes.len() < BATCH && number + count < frames {
            bytes.extend_from_slice(&self.one(number + count));
            count += 1;
        }
        (bytes, count)
    }

    fn one(self, number: usize) -> Vec<u8> {
        // Streams of a client have odd numbers that only rise.
        let fresh = u32::try_from(2 * number + 1).unwrap_or(u32::MAX >> 1);
        match self {
            Self::RapidReset => {
                let head = frame(HEADERS, END_HEADERS | END_STREAM, fresh, &request_head());
                [head, frame(RST_STREAM, 0, fresh, &8_u32.to_be_bytes())].concat()
            }
            Self::Continuation if number == 0 => frame(HEADERS, END_STREAM, 1, &request_head()),
            Self::Continuation => frame(CONTINUATION, 0, 1, &literal("x-more", &"y".repeat(100))),
            Self::EmptyData if number == 0 => frame(HEADERS, END_HEADERS, 1, &request_head()),
            Self::EmptyData => frame(DATA, 0, 1, &[]),
            Self::Ping => frame(PING, 0, 0, &(number as u64).to_be_bytes()),
            Self::Settings => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
            Self::HeaderBomb => frame(HEADERS, END_HEADERS | END_STREAM, fresh, &bomb(number)),
        }
    }
}

/// A question that shows that everything before it was taken.
pub(super) fn last_ping() -> Vec<u8> {
    frame(PING, 0, 0, LAST)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `POST /v1/messages` to `localhost` by names of the static table.
fn request_head() -> Vec<u8> {
    const METHOD_POST: u8 = 0x83;
    const SCHEME_HTTP: u8 = 0x86;
    const LITERAL_PATH: u8 = 0x04;
    const LITERAL_AUTHORITY: u8 = 0x01;
    [
        &[METHOD_POST, SCHEME_HTTP, LITERAL_PATH][..],
        &text("/v1/messages"),
        &[LITERAL_AUTHORITY],
        &text("localhost"),
    ]
    .concat()
}

/// A header that is not kept in the table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// The first puts a value of 4,000 bytes into the table; all of them refer to it 8,000 times.
fn bomb(number: usize) -> Vec<u8> {
    const KEEP: u8 = 0x40;
    const FIRST_OF_TABLE: u8 = 0x80 | 62;
    let mut head = request_head();
    if number == 0 {
        head.extend([&[KEEP][..], &text("b"), &text(&"x".repeat(4_000))].concat());
    }
    head.extend(std::iter::repeat_n(FIRST_OF_TABLE, 8_000));
    head
}

/// A text with its length as HPACK writes it, without Huffman's code.
fn text(text: &str) -> Vec<u8> {
    const SEVEN_BITS: usize = 127;
    let mut bytes = Vec::with_capacity(text.len() + 3);
    if text.len() < SEVEN_BITS {
        bytes.push(text.len() as u8);
    } else {
        bytes.push(SEVEN_BITS as u8);
        let mut left = text.len() - SEVEN_BITS;
        while left >= 128 {
            bytes.push((left % 128) as u8 | 0x80);
            left /= 128;
        }
        bytes.push(left as u8);
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Flood, PING, frame, text};

    #[test]
    fn frames_and_texts_are_written_as_the_standards_say() {
        assert_eq!(frame(PING, 1, 7, b"ab"), b"\0\0\x02\x06\x01\0\0\0\x07ab");
        assert_eq!(text("abc"), b"\x03abc");
        // RFC 7541, C.1.2, with a prefix of 7 bits: 1337 - 127 = 1210 = 9 * 128 + 58.
        assert_eq!(text(&"x".repeat(1_337))[..3], [127, 58 | 0x80, 9]);
    }

    #[test]
    fn a_flood_has_as_many_frames_as_it_is_asked_for() {
        for flood in Flood::ALL {
            let (mut number, mut bytes) = (0, 0);
            while number < 1_000 {
                let (batch, count) = flood.batch(number, 1_000);
                number += count;
                bytes += batch.len();
            }
            assert_eq!(number, 1_000);
            assert!(bytes >= 9_000, "{flood:?}: {bytes}");
        }
    }
}
