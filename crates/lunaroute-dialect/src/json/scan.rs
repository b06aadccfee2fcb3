//! The byte skipper below everything that reads JSON here.

use std::ops::Range;

use memchr::memchr;

use crate::stretch::{Stretch, WIDTH, escaped, parity};

/// How many stretches of a string in a row may have no quote before the search for one takes over.
const QUIET_STRETCHES: u32 = 2;

/// An array of which the first elements are known, so that they need not be skipped again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Where its opening bracket stands.
    pub(crate) array: usize,
    /// Where the last of the known elements ends.
    pub(crate) end: usize,
}

/// Walks over JSON bytes value by value.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
    known: Option<Known>,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, known: None }
    }

    /// A scanner that passes over what is known of an array when it comes to it.
    pub(crate) const fn knowing(bytes: &'a [u8], known: Option<Known>) -> Self {
        Self { bytes, position: 0, known }
    }

    /// Where the next byte is taken from.
    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    /// The next byte that is no white space, left in place.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.position) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.position += 1;
        }
        None
    }

    /// Takes `wanted` when it is the next byte that is no white space.
    pub(crate) fn take(&mut self, wanted: u8) -> bool {
        let found = self.next_byte() == Some(wanted);
        if found {
            self.position += 1;
        }
        found
    }

    /// Skips one value and gives its range; `None` when there is none or it is cut short.
    pub(crate) fn value(&mut self) -> Option<Range<usize>> {
        let first = self.next_byte()?;
        let start = self.position;
        match first {
            b'"' => self.skip_string()?,
            b'{' | b'[' => {
                let inside = match self.known {
                    Some(known) if known.array == start => known.end,
                    _ => start + 1,
                };
                self.leave_container(inside)?;
            }
            b'}' | b']' | b',' | b':' => return None,
            _ => self.skip_scalar(),
        }
        Some(start..self.position)
    }

    /// Skips one string and gives its range, quotes included.
    pub(crate) fn string(&mut self) -> Option<Range<usize>> {
        (self.next_byte()? == b'"').then_some(())?;
        let start = self.position;
        self.skip_string()?;
        Some(start..self.position)
    }

    /// Skips one value, as [`value`](Self::value) does, and tells the members of an object on the way: the range of each
    /// name, quotes included, and of its value. Where the members are broken off by what is no JSON, the brackets alone
    /// say where the object ends.
    pub(crate) fn object(
        &mut self,
        mut on_member: impl FnMut(Range<usize>, Range<usize>),
    ) -> Option<Range<usize>> {
        if self.next_byte()? != b'{' {
            return self.value();
        }
        let start = self.position;
        self.position += 1;
        if !self.take(b'}') && self.members(&mut on_member).is_none() {
            self.leave_container(start + 1)?;
        }
        Some(start..self.position)
    }

    /// Takes members up to the closing brace; `None` when they do not lead to one.
    fn members(&mut self, on_member: &mut impl FnMut(Range<usize>, Range<usize>)) -> Option<()> {
        loop {
            let name = self.string()?;
            let value = self.take(b':').then(|| self.value()).flatten()?;
            on_member(name, value);
            if !self.take(b',') {
                return self.take(b'}').then_some(());
            }
        }
    }

    fn skip_scalar(&mut self) {
        while let Some(&byte) = self.bytes.get(self.position) {
            if matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[' | b' ' | b'\t' | b'\n' | b'\r') {
                return;
            }
            self.position += 1;
        }
    }

    /// Skips from a place inside a container, between two of its values, to behind its end. Brackets are counted, not
    /// matched.
    fn leave_container(&mut self, inside: usize) -> Option<()> {
        self.position = match Self::container_end(self.bytes, inside) {
            Ok(end) => end?,
            Err(BackslashOutside) => Self::container_end_bytewise(self.bytes, inside)?,
        };
        Some(())
    }

    /// Where the container ends whose inside begins at `inside`, a stretch at a time.
    fn container_end(bytes: &[u8], inside: usize) -> Result<Option<usize>, BackslashOutside> {
        let (mut position, mut depth, mut in_string, mut carried, mut quiet) =
            (inside, 1_u32, 0_u64, false, 0);
        while let Some(stretch) = Stretch::at(bytes, position) {
            let (backslashes, marks) = (stretch.backslashes(), stretch.quotes());
            let quotes = marks & !escaped(backslashes, &mut carried);
            let inside_strings = parity(quotes) ^ in_string;
            if backslashes & !inside_strings != 0 {
                return Err(BackslashOutside);
            }
            quiet = if marks == 0 { quiet + 1 } else { 0 };
            if quotes == 0 && in_string != 0 {
                position += WIDTH;
                if quiet >= QUIET_STRETCHES && !carried {
                    let Some(end) = string_end(bytes, position) else { return Ok(None) };
                    (position, in_string) = (end, 0);
                }
                continue;
            }
            // All ones when the last byte is inside a string, so that the next stretch begins there.
            in_string = 0_u64.wrapping_sub(inside_strings >> 63);
            let (opening, closing) = stretch.brackets();
            let (opening, closing) = (opening & !inside_strings, closing & !inside_strings);
            if depth <= closing.count_ones()
                && let Some(place) = outermost(opening, closing, depth)
            {
                return Ok(Some(position + place + 1));
            }
            depth = depth + opening.count_ones() - closing.count_ones();
            position += WIDTH;
        }
        Ok(None)
    }

    /// The same a byte at a time.
    fn container_end_bytewise(bytes: &[u8], inside: usize) -> Option<usize> {
        let (mut position, mut depth) = (inside, 1_usize);
        loop {
            match bytes.get(position)? {
                b'"' => {
                    position = string_end(bytes, position + 1)?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(position + 1);
                    }
                }
                _ => {}
            }
            position += 1;
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.position = string_end(self.bytes, self.position + 1)?;
        Some(())
    }
}

/// A backslash stands where no string is. That is no JSON, and what the backslash would escape in a string it does not
/// escape there.
struct BackslashOutside;

/// The place of the bracket that closes the outermost of `depth` containers, when it is one of these.
fn outermost(opening: u64, mut closing: u64, depth: u32) -> Option<usize> {
    let mut closed = 0;
    while closing != 0 {
        let place = closing.trailing_zeros();
        closed += 1;
        if depth + (opening & ((1 << place) - 1)).count_ones() == closed {
            return Some(place as usize);
        }
        closing &= closing - 1;
    }
    None
}

/// Where the string ends, its quote included, whose inside goes on at `from`, with a byte that is not escaped. Most
/// strings are short (names, roles), so the first bytes are looked at a word at a time and only longer ones in stretches.
fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..4 {
        let Some(word) = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) else { break };
        let found = marks(u64::from_le_bytes(word), b'"');
        if found != 0 {
            let quote = at + found.trailing_zeros() as usize / 8;
            return if is_escaped(&bytes[from..quote]) {
                string_end_in_stretches(bytes, quote + 1)
            } else {
                Some(quote + 1)
            };
        }
        at += 8;
    }
    // A run of backslashes that has begun belongs to what follows.
    let run = trailing_backslashes(bytes.get(from..at)?);
    string_end_in_stretches(bytes, at - run)
}

fn string_end_in_stretches(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut position, mut carried, mut quiet) = (from, false, 0);
    loop {
        let stretch = Stretch::at(bytes, position)?;
        let marks = stretch.quotes();
        let quotes = marks & !escaped(stretch.backslashes(), &mut carried);
        if quotes != 0 {
            return Some(position + quotes.trailing_zeros() as usize + 1);
        }
        position += WIDTH;
        quiet = if marks == 0 { quiet + 1 } else { 0 };
        // Prose has no quotes for long: one search beats many stretches.
        if quiet >= QUIET_STRETCHES && !carried {
            let quote = position + memchr(b'"', bytes.get(position..)?)?;
            if !is_escaped(&bytes[position..quote]) {
                return Some(quote + 1);
            }
            (position, quiet) = (quote + 1, 0);
        }
    }
}

/// Whether what follows these bytes of a string is escaped.
fn is_escaped(before: &[u8]) -> bool {
    trailing_backslashes(before) % 2 == 1
}

fn trailing_backslashes(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// Sets the high bit of each byte of `word` that equals `wanted`. Bytes above the first hit may be marked wrongly, the
/// first one never is.
const fn marks(word: u64, wanted: u8) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let difference = word ^ (ONES * wanted as u64);
    difference.wrapping_sub(ONES) & !difference & (ONES << 7)
}

/// Whether the bytes hold exactly one value that is not cut short.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    let mut scanner = Scanner::new(bytes, 0);
    scanner.value().is_some() && scanner.next_byte().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_skipped_whole_and_cut_ones_are_refused() {
        for whole in
            ["{}", " [1,[2,{\"a\":\"]}\\\"\"}]] ", "\"a\\\\\"", "-1.5e400", "null", "{\"k\\\"\":[{}]}"]
        {
            assert!(is_complete(whole.as_bytes()), "{whole}");
            for end in 1..whole.trim_end().len() {
                let cut = &whole[..end];
                if cut.trim_start().starts_with(['{', '[', '"']) {
                    assert!(!is_complete(cut.as_bytes()), "{cut}");
                }
            }
        }
        assert!(!is_complete(b"{} x") && !is_complete(b"") && !is_complete(b"]"));
    }

    #[test]
    fn a_string_ends_at_its_own_quote_wherever_it_stands() {
        for length in 0..80 {
            let mut text = format!("\"{}", "x".repeat(length));
            text.push_str("\\\"\\\\é\"tail");
            let end = text.len() - 4;
            assert_eq!(Scanner::new(text.as_bytes(), 0).string(), Some(0..end), "length {length}");
        }
    }

    #[test]
    fn a_string_of_any_length_is_cut_or_whole() {
        for length in 0..300 {
            let cut = format!("[[\"{}", "x".repeat(length));
            assert!(!is_complete(cut.as_bytes()), "length {length}");
            assert!(!is_complete(format!("{cut}\\\"]]").as_bytes()), "length {length}, escaped");
            assert!(is_complete(format!("{cut}\\\\\"]]").as_bytes()), "length {length}, ended");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert!(is_complete(&deep));
        assert!(!is_complete(&deep[..deep.len() - 1]));
    }

    #[test]
    fn broken_members_end_where_the_brackets_say() {
        for (text, end, members) in [
            (r#"{"a":1,"b":[2]} x"#, 15, 2),
            (r#"{"a":1 "b":2}, 3"#, 13, 1),
            (r#"{"a":1,}]"#, 8, 1),
            (r#"{"a":{]}]"#, 8, 1),
            ("{ } ,", 3, 0),
            ("[{}],", 4, 0),
        ] {
            let mut seen = 0;
            let range = Scanner::new(text.as_bytes(), 0).object(|_, _| seen += 1);
            assert_eq!((range, seen), (Some(0..end), members), "{text}");
        }
        assert_eq!(Scanner::new(br#"{"a":1,"b":"#, 0).object(|_, _| {}), None);
    }

    proptest! {
        #[test]
        fn stretches_and_bytes_see_the_same(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\"", "\\", "\\\"", "\\\\", "{", "}", "[", "]", ",", ":", " ", "x", "\"key\":", "[[[", "]]]",
                    "0123456789012345678901234567890123456789012345678901234567890", "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",
                ]),
                0..90,
            ),
            opened in 0_usize..3,
        ) {
            let text = "[".repeat(opened) + &parts.concat() + &"]".repeat(opened);
            for inside in 0..text.len().min(70) {
                let bytewise = Scanner::container_end_bytewise(text.as_bytes(), inside);
                if let Ok(end) = Scanner::container_end(text.as_bytes(), inside) {
                    prop_assert_eq!(end, bytewise, "{} from {}", &text, inside);
                }
            }
        }
    }
}
