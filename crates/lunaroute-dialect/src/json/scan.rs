//! The byte skipper below everything that reads JSON here.

use std::ops::Range;

use memchr::memchr;

/// Walks over JSON bytes value by value.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
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
            b'{' | b'[' => self.skip_container()?,
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

    fn skip_scalar(&mut self) {
        while let Some(&byte) = self.bytes.get(self.position) {
            if matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[' | b' ' | b'\t' | b'\n' | b'\r') {
                return;
            }
            self.position += 1;
        }
    }

    fn skip_container(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.position)? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.position += 1;
                        return Some(());
                    }
                }
                _ => {}
            }
            self.position += 1;
        }
    }

    /// Skips the string that opens at `position`: looks for quotes only, and at the backslashes before one, because most
    /// escapes (line feeds in code) are none of a quote.
    fn skip_string(&mut self) -> Option<()> {
        let mut from = self.position + 1;
        loop {
            let quote = self.quote(from)?;
            let backslashes = self.bytes[from..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            from = quote + 1;
            if backslashes % 2 == 0 {
                self.position = from;
                return Some(());
            }
        }
    }

    /// The next quote. Most strings are short (keys, roles), so the first bytes are looked at a word at a time and only
    /// what is longer pays for the vectorised search.
    fn quote(&self, from: usize) -> Option<usize> {
        let mut at = from;
        for _ in 0..4 {
            let Some(word) = self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) else {
                break;
            };
            let found = marks(u64::from_le_bytes(word), b'"');
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        Some(at + memchr(b'"', self.bytes.get(at..)?)?)
    }
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
    fn depth_costs_no_stack() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert!(is_complete(&deep));
        assert!(!is_complete(&deep[..deep.len() - 1]));
    }
}
