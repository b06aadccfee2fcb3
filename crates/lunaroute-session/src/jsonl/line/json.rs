//! Writes JSON into a buffer: no tree, no format machinery, and text is searched for what must be escaped eight bytes
//! at a time.

use lunaroute_core::{RequestId, Timestamp};
use uuid::fmt::Hyphenated;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Fields of one object, each with a comma before it: something else opened the object and has its first field.
pub(super) struct Fields<'a>(pub(super) &'a mut Vec<u8>);

impl Fields<'_> {
    /// The name of a field, which needs no escapes; its value is to follow.
    pub(super) fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        text(value, self.0);
    }

    /// A field that is left out when there is no value.
    pub(super) fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A text that is known to need no escapes.
    pub(super) fn word(&mut self, name: &str, value: &str) {
        self.name(name);
        word(value, self.0);
    }

    pub(super) fn optional_word(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.word(name, value);
        }
    }

    pub(super) fn number(&mut self, name: &str, value: impl itoa::Integer) {
        self.name(name);
        number(value, self.0);
    }

    pub(super) fn optional_number(&mut self, name: &str, value: Option<impl itoa::Integer>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    pub(super) fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        truth(value, self.0);
    }

    /// A list; `element` writes one element.
    pub(super) fn list<T>(&mut self, name: &str, elements: &[T], mut element: impl FnMut(&T, &mut Vec<u8>)) {
        self.name(name);
        self.0.push(b'[');
        for (number, value) in elements.iter().enumerate() {
            if number > 0 {
                self.0.push(b',');
            }
            element(value, self.0);
        }
        self.0.push(b']');
    }
}

pub(super) fn truth(value: bool, output: &mut Vec<u8>) {
    output.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(super) fn number(value: impl itoa::Integer, output: &mut Vec<u8>) {
    output.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn word(value: &str, output: &mut Vec<u8>) {
    output.push(b'"');
    output.extend_from_slice(value.as_bytes());
    output.push(b'"');
}

pub(super) fn request(id: RequestId, output: &mut Vec<u8>) {
    let mut buffer = [0; Hyphenated::LENGTH];
    word(id.as_uuid().as_hyphenated().encode_lower(&mut buffer), output);
}

/// A text with its quotes and escapes.
pub(super) fn text(value: &str, output: &mut Vec<u8>) {
    text_of_bytes(value.as_bytes(), output);
}

/// The same of bytes that are known to be text.
pub(super) fn text_of_bytes(value: &[u8], output: &mut Vec<u8>) {
    output.push(b'"');
    let mut rest = value;
    loop {
        let (clean, from) = rest.split_at(clean_bytes(rest));
        output.extend_from_slice(clean);
        let Some((&byte, after)) = from.split_first() else { break };
        escape(byte, output);
        rest = after;
    }
    output.push(b'"');
}

fn escape(byte: u8, output: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            output.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    output.extend_from_slice(&[b'\\', short]);
}

/// How many bytes come before the first that must be escaped.
fn clean_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return number * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let clean = rest.iter().position(|&byte| must_be_escaped(byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + clean
}

fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Sets the highest bit of the first of eight bytes that must be escaped; what it says of those behind is not used.
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES * 0x80;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHEST
}

/// A moment in RFC 3339 with microseconds, as [`Timestamp`] shows it.
pub(super) fn moment(at: Timestamp, output: &mut Vec<u8>) {
    const DAY: i64 = 86_400_000_000;
    let micros = at.as_micros();
    let (day, within) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    output.push(b'"');
    match civil(day) {
        Some((year, month, day)) => {
            let (second, micro) = (within / 1_000_000, within % 1_000_000);
            padded(year, 4, b'-', output);
            padded(month, 2, b'-', output);
            padded(day, 2, b'T', output);
            padded(second / 3_600, 2, b':', output);
            padded(second / 60 % 60, 2, b':', output);
            padded(second % 60, 2, b'.', output);
            padded(micro, 6, b'Z', output);
        }
        None => output.extend_from_slice(at.to_string().as_bytes()),
    }
    output.push(b'"');
}

/// Year, month and day of a day since 1970; `None` before 1970 and after 9999-12-29, the last whole day that every time
/// zone can tell.
pub(in crate::jsonl) fn civil(day: i64) -> Option<(i64, i64, i64)> {
    const LAST: i64 = 2_932_894;
    if !(0..=LAST).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end: 146,097 days are 400 of them.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Some((era * 400 + year + i64::from(month <= 2), month, day))
}

/// So many digits of a number that is not negative, and what follows.
fn padded(mut value: i64, digits: usize, after: u8, output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + digits, b'0');
    for digit in output[start..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    output.push(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_json_wants_it_wherever_the_byte_stands() {
        let mut checked = 0;
        for byte in 0..=0x7f_u8 {
            for place in 0..20 {
                for around in ["x", "\u{e4}", "\"", "\u{1f600}", "\u{1f}"] {
                    let value = format!(
                        "{}{}{}",
                        around.repeat(place),
                        char::from(byte),
                        around.repeat(9 - place % 9)
                    );
                    let mut output = Vec::new();
                    text(&value, &mut output);
                    let back: String = serde_json::from_slice(&output).expect("JSON");
                    assert_eq!(back, value);
                    assert!(output.iter().all(|&byte| byte >= 0x20), "a line stays one line");
                    checked += 1;
                }
            }
        }
        println!("{checked} texts escaped and read back");
    }

    #[test]
    fn moments_are_shown_as_timestamps_show_themselves() {
        let mut checked = 0;
        let edges = [i64::MIN, -1, 0, 253_402_300_799_999_999, 253_402_300_800_000_000, i64::MAX];
        let days =
            (0..2_932_897_i64).step_by(61).map(|day| day * 86_400_000_000 + day * 1_234_567 % 86_400_000_000);
        for micros in edges.into_iter().chain(days) {
            let at = Timestamp::from_micros(micros);
            let mut output = Vec::new();
            moment(at, &mut output);
            assert_eq!(String::from_utf8(output).expect("text"), format!("\"{at}\""));
            checked += 1;
        }
        println!("{checked} moments compared");
    }
}
