//! Text that no other text repeats, and always the same for the same number.

/// As many as six bits count.
const WORDS: [&str; 64] = [
    "the", "walk", "goes", "on", "past", "gate", "and", "every", "step", "of", "it", "is", "written", "down",
    "before", "function", "returns", "error", "file", "line", "test", "value", "buffer", "index", "result",
    "request", "response", "stream", "token", "model", "path", "module", "struct", "field", "check", "limit",
    "queue", "thread", "lock", "write", "read", "parse", "bytes", "length", "offset", "message", "session",
    "record", "journal", "commit", "branch", "merge", "build", "cargo", "panic", "trace", "socket", "header",
    "status", "retry", "timeout", "config", "default", "option",
];

/// A source of words (xorshift).
#[derive(Debug, Clone)]
pub(crate) struct Words(u64);

impl Words {
    /// The source with this number.
    pub(crate) fn new(number: u64) -> Self {
        // Neighbouring numbers shall have nothing in common, and the state must not be zero.
        let mut words = Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        words.next();
        words
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Words and spaces of so many bytes in all; it compresses as prose does.
    pub(crate) fn prose(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            text.push_str(WORDS[(self.next() >> 58) as usize]);
            text.push(' ');
        }
        text.truncate(length);
        text
    }

    /// Letters of so many bytes in all that hardly compress.
    pub(crate) fn noise(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            let bits = self.next();
            text.extend((0..10).map(|place| char::from(LETTERS[(bits >> (6 * place + 4)) as usize & 63])));
        }
        text.truncate(length);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{WORDS, Words};

    #[test]
    fn a_number_always_gives_the_same_and_another_number_another() {
        assert_eq!(Words::new(7).prose(100), Words::new(7).prose(100));
        let starts: HashSet<String> = (0..1_000).map(|number| Words::new(number).prose(40)).collect();
        assert!(starts.len() > 990, "{} of 1000 texts differ", starts.len());
        assert_eq!(Words::new(3).noise(1_001).len(), 1_001);
        assert_eq!(Words::new(3).prose(1_001).len(), 1_001);
    }

    #[test]
    fn noise_uses_every_letter_about_as_often() {
        let text = Words::new(1).noise(64_000);
        let mut counts = [0_u32; 128];
        text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        let used: Vec<u32> = counts.into_iter().filter(|count| *count > 0).collect();
        assert_eq!(used.len(), 64);
        assert!(used.iter().all(|count| (800..1_200).contains(count)), "{used:?}");
        assert_eq!(HashSet::from(WORDS).len(), 64);
    }
}
