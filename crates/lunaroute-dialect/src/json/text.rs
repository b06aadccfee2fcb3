//! The text of JSON strings.

use std::borrow::Cow;

/// A character takes at most so many bytes, so what is cut this far behind a limit is whole before it.
const SLACK: usize = 4;

/// The text of a JSON string given with its quotes. Lone surrogates and bytes that are not UTF-8 become U+FFFD, because
/// a record shows text and the raw bytes are kept elsewhere; an escape that JSON does not know leaves the raw text.
pub(crate) fn decode_string(quoted: &[u8]) -> Cow<'_, str> {
    decode_start(quoted, usize::MAX - SLACK)
}

/// As [`decode_string`], but no further than it takes for the first `limit` bytes of the text to be right. What is
/// behind them may be there or not.
pub(super) fn decode_start(quoted: &[u8], limit: usize) -> Cow<'_, str> {
    let inner = inner(quoted);
    let start = &inner[..inner.len().min(limit + SLACK)];
    let Some(plain) = memchr::memchr(b'\\', start) else { return lossy(start) };
    match unescape(inner, plain, limit + SLACK) {
        Some(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
        }),
        None => lossy(start),
    }
}

/// The bytes as text. Nearly always they are text, and to see that takes a fraction of the time of looking for what is not.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Whether a JSON string, given with its quotes, says this plain word.
pub(super) fn says(quoted: &[u8], word: &str) -> bool {
    which(quoted, &[word]).is_some()
}

/// Which of these plain words a JSON string, given with its quotes, says.
pub(super) fn which(quoted: &[u8], words: &[&str]) -> Option<usize> {
    let inner = inner(quoted);
    if inner.contains(&b'\\') {
        let decoded = decode_string(quoted);
        return words.iter().position(|word| decoded == *word);
    }
    words.iter().position(|word| inner == word.as_bytes())
}

fn inner(quoted: &[u8]) -> &[u8] {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

/// The bytes that the inside of a string stands for, whose first `plain` bytes are no escapes, until there are `enough`;
/// `None` when there is an escape that JSON does not know. A surrogate without its other half is encoded as if it were a
/// character.
fn unescape(inner: &[u8], plain: usize, enough: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(inner.len().min(enough));
    let (mut rest, mut plain) = (inner, plain);
    loop {
        bytes.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let [_backslash, letter, behind @ ..] = rest else { return rest.is_empty().then_some(bytes) };
        rest = behind;
        match letter {
            b'"' | b'\\' | b'/' => bytes.push(*letter),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'u' => rest = unescape_unit(rest, &mut bytes)?,
            _ => return None,
        }
        if bytes.len() >= enough {
            return Some(bytes);
        }
        plain = next_backslash(rest);
    }
}

/// Escapes stand close together in code, so the next bytes are looked at one by one first.
fn next_backslash(rest: &[u8]) -> usize {
    let near = &rest[..rest.len().min(16)];
    near.iter().position(|byte| *byte == b'\\').unwrap_or_else(|| {
        near.len() + memchr::memchr(b'\\', &rest[near.len()..]).unwrap_or(rest.len() - near.len())
    })
}

/// Takes the digits behind `\u`, and the second half of a pair; gives what follows.
fn unescape_unit<'a>(rest: &'a [u8], bytes: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (first, rest) = hex(rest)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some(pair) = rest.strip_prefix(b"\\u")
    {
        let (second, behind) = hex(pair)?;
        if (0xdc00..0xe000).contains(&second) {
            push(0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00)), bytes);
            return Some(behind);
        }
    }
    push(first, bytes);
    Some(rest)
}

fn hex(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    Some((unit, rest))
}

fn push(code: u32, bytes: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // Half of a pair, in the three bytes that UTF-8 would have for it: what reads them shows that they are none.
        None => bytes.extend([0xe0, 0x80, 0x80].iter().zip([12, 6, 0]).map(|(mark, shift)| {
            let six = u8::try_from(code >> shift & 0x3f).unwrap_or_default();
            mark | six
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;
    use serde::Deserializer as _;
    use serde::de::Visitor;

    use super::*;

    /// Takes a string as bytes: the one way in which `serde_json` accepts lone surrogates.
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(bytes.to_vec())
        }
    }

    fn oracle(quoted: &[u8]) -> String {
        match serde_json::Deserializer::from_slice(quoted).deserialize_bytes(Bytes) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::from_utf8_lossy(inner(quoted)).into_owned(),
        }
    }

    #[test]
    fn words_are_known_however_they_are_spelled() {
        assert!(says(br#""role""#, "role") && says(br#""r\u006fle""#, "role") && says(br#""""#, ""));
        assert!(!says(br#""roles""#, "role") && !says(br#""rol\u0065s""#, "role") && !says(b"\"", "role"));
    }

    proptest! {
        #[test]
        fn strings_are_what_another_reader_says(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        &b"plain"[..], b"\\n", b"\\\"", b"\\\\", b"\\/", b"\\b\\f\\r\\t", b"\\u00e9", b"\\ud83d\\ude00",
                        b"\\ud800", b"\\udc00", b"\\ud800\\u0041", b"\\ud800\\ud800\\udc00", b"\xff", b"\xe2\x82", "é😀".as_bytes(),
                        b"a longer stretch without any escapes",
                    ]).prop_map(<[u8]>::to_vec),
                    prop::sample::select(vec![&b"\\x"[..], b"\\u12", b"\\uzzzz"]).prop_map(<[u8]>::to_vec),
                ],
                0..12,
            ),
            limit in 0_usize..80,
        ) {
            let quoted = [b"\"".to_vec(), parts.concat(), b"\"".to_vec()].concat();
            let expected = oracle(&quoted);
            let whole = decode_string(&quoted);
            prop_assert_eq!(&whole, &expected);
            // Behind a spoilt escape the start cannot know of it.
            if serde_json::Deserializer::from_slice(&quoted).deserialize_bytes(Bytes).is_ok() {
                let start = decode_start(&quoted, limit);
                let end = expected.len().min(limit);
                prop_assert_eq!(&start.as_bytes()[..end], &expected.as_bytes()[..end]);
            }
        }
    }
}
