//! The elements of a JSON array out of bytes that arrive in any pieces: a Gemini stream without `alt=sse`.

use crate::sse::EVENT_LIMIT;

/// Cuts a byte stream that is one array into its elements.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    /// The element that has begun and not ended.
    element: Vec<u8>,
    /// Open brackets, that of the array included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The element is too large; nothing of it is kept.
    oversized: bool,
}

impl Elements {
    /// Takes the next bytes and tells the objects that they complete, in order. What is no object is no answer either,
    /// and is passed over.
    pub(crate) fn push(&mut self, bytes: &[u8], mut on_element: impl FnMut(&[u8])) {
        for byte in bytes {
            self.hold(*byte);
            if self.in_string {
                self.in_string = self.escaped || *byte != b'"';
                self.escaped = !self.escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 1 {
                        if !self.oversized {
                            on_element(&self.element);
                        }
                        self.element.clear();
                        self.oversized = false;
                    }
                }
                _ => {}
            }
        }
    }

    fn hold(&mut self, byte: u8) {
        // Between two elements stand commas and white space, and before the first the array's own bracket.
        let begins = self.element.is_empty() && (self.depth != 1 || byte != b'{');
        if begins || self.oversized {
            return;
        }
        if self.element.len() < EVENT_LIMIT {
            self.element.push(byte);
        } else {
            self.oversized = true;
            self.element.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_wherever_the_bytes_are() {
        let array = "[{\"a\":\"]}\\\"\\\\\",\"b\":[{},[]]}\r\n,\n{} , {\"c\":{\"d\":\"é\"}}\n]\n".as_bytes();
        let expected = [r#"{"a":"]}\"\\","b":[{},[]]}"#, "{}", r#"{"c":{"d":"é"}}"#];
        for piece in 1..array.len() {
            let (mut elements, mut told) = (Elements::default(), Vec::new());
            for bytes in array.chunks(piece) {
                elements.push(bytes, |element| told.push(String::from_utf8_lossy(element).into_owned()));
            }
            assert_eq!(told, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_array_tells_nothing_and_panics_never() {
        for bytes in
            [b"".as_slice(), b"[", b"]]]}}{", b"[1,\"{}\",null]", b"{\"a\":1}", b"[{\"a\":1", b"\\\"[{}"]
        {
            let mut elements = Elements::default();
            elements.push(bytes, |element| panic!("{} is told", element.escape_ascii()));
        }
    }

    #[test]
    fn an_oversized_element_is_dropped_and_the_next_is_told() {
        let (mut elements, mut told) = (Elements::default(), Vec::new());
        let large = format!("[{{\"a\":\"{}\"}},{{\"b\":1}}]", "x".repeat(EVENT_LIMIT));
        elements.push(large.as_bytes(), |element| told.push(element.len()));
        assert_eq!(told, [7]);
    }
}
