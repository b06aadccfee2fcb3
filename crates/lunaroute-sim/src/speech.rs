//! Words and ids that follow from a seed.

use std::borrow::Cow;

/// What the simulated model knows to say, with the space before it. The length is a power of two, so every word is as
/// likely.
#[rustfmt::skip]
const WORDS: [&str; 64] = [
    " the", " moon", " route", " finds", " a", " quiet", " path", " over", " water", " while", " small",
    " lights", " answer", " each", " other", " from", " shore", " to", " shore", " and", " nobody", " asks",
    " why", " wind", " carries", " letters", " that", " were", " never", " sent", " under", " bridges",
    " of", " stone", " where", " boats", " sleep", " until", " morning", " opens", " its", " grey", " door",
    " with", " patient", " hands", " measured", " like", " tides", " are", " by", " those", " who", " keep",
    " count", " stars", " in", " ledgers", " bound", " with", " silver", " thread", " before", " dawn",
];

const ID_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Speaks the same words and gives the same ids whenever it is made from the same bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice([u8; 32]);

impl Voice {
    /// Distinguishes requests by all of a short body, and by the length and both ends of a long one: cheap for an
    /// agent's long history, whose news is at its end.
    pub(crate) fn new(seed: u64, script_seed: u64, path: &str, test_id: &str, body: &[u8]) -> Self {
        const END: usize = 4_096;
        let mut hasher = blake3::Hasher::new();
        for number in [seed, script_seed, body.len() as u64] {
            hasher.update(&number.to_le_bytes());
        }
        for text in [path, test_id] {
            hasher.update(text.as_bytes()).update(&[0]);
        }
        if body.len() <= 2 * END {
            hasher.update(body);
        } else {
            hasher.update(&body[..END]).update(&body[body.len() - END..]);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Bytes that belong to a label.
    pub(crate) fn bytes(&self, label: &str, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new_keyed(&self.0).update(label.as_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// So many words, each but the first with the space before it: one token each.
    pub(crate) fn words(&self, label: &str, count: usize) -> Vec<Cow<'static, str>> {
        let spaced = |(position, byte): (usize, &u8)| {
            let word = WORDS[usize::from(*byte) % WORDS.len()];
            Cow::Borrowed(if position == 0 { word.trim_start() } else { word })
        };
        self.bytes(label, count).iter().enumerate().map(spaced).collect()
    }

    /// An id of the vendor's form: prefix and 24 letters or digits.
    pub(crate) fn id(&self, prefix: &str, label: &str) -> String {
        let letters =
            self.bytes(label, 24).into_iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte) % 32]));
        prefix.chars().chain(letters).collect()
    }
}
