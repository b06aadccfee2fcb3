//! How many tokens a request has, as nearly as can be said without the model's own tokenizer. Errs on the high side: who
//! asks wants to know whether a conversation still fits.

use lunaroute_core::conversation::{Conversation, Media, MediaKind, MediaSource, Part, Tool, ToolKind};
use serde_json::Value;

/// Letters of a word for a token. Tokenizers take most words of English and of code as one.
const LETTERS_PER_TOKEN: u64 = 3;

/// Letters of the longest run that counts as a word.
const LONGEST_WORD: u64 = 24;

/// How often a sign is repeated for a token.
const REPEATS_PER_TOKEN: u64 = 3;

/// Tokens around each turn and each tool.
const FRAME: u64 = 8;

/// Tokens of an image: the most that the vendors take for one that they scale down.
const IMAGE: u64 = 1_600;

/// Bytes of a document for a token. A page has a few ten thousand bytes and is read as text and as an image.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 20;

/// Bytes of sound or film for a token.
const SOUND_BYTES_PER_TOKEN: u64 = 100;

/// A document of which only the address is known.
const UNSEEN_DOCUMENT: u64 = 10_000;

/// A text that is not longer is counted whole.
const WHOLE: usize = 1_024;

/// Of a longer one this much is counted of each [`STRIDE`]: short strides, because texts change from one line to the next.
const SAMPLE: usize = 64;
const STRIDE: usize = 256;

/// How the tokens of a text are counted.
type Count = fn(&str) -> u64;

/// Tokens of what a request gives the model to read: an estimate that errs on the high side.
#[must_use]
pub fn estimate(conversation: &Conversation) -> u64 {
    all(conversation, text)
}

/// As [`estimate`], by samples of long texts, in less than half the time: for the figure that stands in an answer until its
/// provider tells the real one, or in its place when it tells none. A sample cuts the words at its ends, and counts a little
/// more for that.
#[must_use]
pub fn estimate_by_samples(conversation: &Conversation) -> u64 {
    all(conversation, sampled)
}

fn all(conversation: &Conversation, count: Count) -> u64 {
    let turn = |parts: &[Part]| FRAME + parts.iter().map(|said| part(said, count)).sum::<u64>();
    let turns = conversation.turns.iter().map(|said| turn(&said.parts));
    let tools = conversation.tools.iter().map(|known| FRAME + tool(known, count));
    turns.chain(tools).fold(0, u64::saturating_add)
}

fn part(part: &Part, count: Count) -> u64 {
    match part {
        Part::Text(said) | Part::Refusal(said) => count(&said.text),
        Part::Media(media) => medium(media, count),
        Part::Thought(thought) => {
            let seal = thought.seal.as_ref().map_or(0, |seal| count(&seal.data));
            seal + thought.text.iter().map(|shown| count(shown)).sum::<u64>()
        }
        Part::Use(call) => FRAME + count(&call.name) + count(&call.arguments),
        Part::Result(result) => FRAME + result.parts.iter().map(|part| self::part(part, count)).sum::<u64>(),
        Part::Opaque(opaque) => value(&opaque.value, count),
    }
}

fn tool(tool: &Tool, count: Count) -> u64 {
    let described = count(&tool.name) + tool.description.as_deref().map_or(0, count);
    let form = match &tool.kind {
        ToolKind::Function { schema: form, .. } | ToolKind::Custom { format: form } => form.as_ref(),
        // Its description is the provider's own, and told to the model by the provider.
        ToolKind::Hosted(_) => None,
    };
    described + form.map_or(0, |form| value(form, count))
}

fn medium(media: &Media, count: Count) -> u64 {
    let bytes = match &media.source {
        MediaSource::Bytes { data, .. } => Some(data.len() as u64 / 4 * 3),
        MediaSource::Text { text: told } => return count(told),
        MediaSource::Url { .. } | MediaSource::File { .. } => None,
    };
    match (media.kind, bytes) {
        (MediaKind::Image, _) => IMAGE,
        (MediaKind::Document, Some(bytes)) => IMAGE + bytes / DOCUMENT_BYTES_PER_TOKEN,
        (MediaKind::Audio | MediaKind::Video, Some(bytes)) => IMAGE + bytes / SOUND_BYTES_PER_TOKEN,
        (MediaKind::Document | MediaKind::Audio | MediaKind::Video, None) => UNSEEN_DOCUMENT,
    }
}

/// The strings and names of a document; what stands between them counts as one token each.
fn value(json: &Value, count: Count) -> u64 {
    match json {
        Value::String(string) => 1 + count(string),
        Value::Array(items) => 1 + items.iter().map(|item| value(item, count)).sum::<u64>(),
        Value::Object(members) => {
            1 + members.iter().map(|(name, inner)| 1 + count(name) + value(inner, count)).sum::<u64>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 2,
    }
}

/// What one character outside ASCII weighs, in halves of a token, by the first byte of its UTF-8. Scripts that tokenizers
/// know well need less; joined pictures, marks that combine and rarely written scripts need about so many.
const fn weight(lead: u8) -> u64 {
    match lead {
        0xc4..=0xcb | 0xe3..=0xed => 3,
        0xcc | 0xcd | 0xe0 | 0xe2 | 0xee | 0xef => 4,
        0xe1 | 0xf0.. => 6,
        _ => 2,
    }
}

/// What a run of ASCII letters and digits weighs, in halves of a token. What mixes them, and what is longer than words are,
/// says nothing to a tokenizer: hexadecimal, base64, keys.
const fn word_weight(letters: u64, digits: u64) -> u64 {
    let length = letters + digits;
    match (letters, digits) {
        (_, 0) if length <= LONGEST_WORD => 2 * letters.div_ceil(LETTERS_PER_TOKEN),
        (_, 0) => (6 * length).div_ceil(5),
        (0, _) => 2 * digits.div_ceil(2),
        _ => (7 * length).div_ceil(4),
    }
}

/// What a byte is to a tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Sign,
    Foreign,
}

/// Looked up, because each byte of a conversation is.
const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Foreign; 256];
    let mut byte = 0;
    while byte < 128 {
        let is = byte as u8;
        kinds[byte] = if is.is_ascii_alphabetic() {
            Kind::Letter
        } else if is.is_ascii_digit() {
            Kind::Digit
        } else if is.is_ascii_whitespace() {
            Kind::Space
        } else {
            Kind::Sign
        };
        byte += 1;
    }
    kinds
};

/// Tokens of a text.
fn text(text: &str) -> u64 {
    halves(text.as_bytes()).div_ceil(2)
}

/// Tokens of a text, by samples of a long one: what is between two of them is taken to be like the first.
fn sampled(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if bytes.len() <= WHOLE {
        return halves(bytes).div_ceil(2);
    }
    let each = |stride: &[u8]| {
        let sample = &stride[..stride.len().min(SAMPLE)];
        (halves(sample) * stride.len() as u64).div_ceil(sample.len() as u64)
    };
    bytes.chunks(STRIDE).map(each).sum::<u64>().div_ceil(2)
}

/// What a text weighs, in halves of a token.
fn halves(mut rest: &[u8]) -> u64 {
    let mut halves = 0;
    while let Some(&first) = rest.first() {
        let (weight, length) = match KINDS[usize::from(first)] {
            Kind::Letter | Kind::Digit => word(rest),
            Kind::Space => spaces(rest),
            Kind::Sign => {
                let length = rest.iter().take_while(|byte| **byte == first).count();
                (2 * (length as u64).div_ceil(REPEATS_PER_TOKEN), length)
            }
            // Bytes that go on with a character weigh nothing.
            Kind::Foreign => (if first >= 0xc0 { weight(first) } else { 0 }, 1),
        };
        halves += weight;
        rest = &rest[length..];
    }
    halves
}

/// The weight and length of the letters and digits at the start.
fn word(text: &[u8]) -> (u64, usize) {
    let (mut length, mut digits) = (0, 0);
    for byte in text {
        match KINDS[usize::from(*byte)] {
            Kind::Letter => {}
            Kind::Digit => digits += 1,
            _ => break,
        }
        length += 1;
    }
    (word_weight(length as u64 - digits, digits), length)
}

/// The weight and length of the white space at the start.
fn spaces(text: &[u8]) -> (u64, usize) {
    let length = text.iter().take_while(|byte| KINDS[usize::from(**byte)] == Kind::Space).count();
    // A single space is part of the word behind it, of a number never.
    let is_free = length == 1 && text[0] == b' ' && !text.get(1).is_some_and(u8::is_ascii_digit);
    (if is_free { 0 } else { 2 + 2 * (length as u64 / 8) }, length)
}

#[cfg(test)]
mod tests {
    use lunaroute_core::Dialect;
    use proptest::prelude::*;

    use super::*;
    use crate::cross::decode_request;

    fn of(body: &str) -> u64 {
        estimate(&decode_request(Dialect::Anthropic, body.as_bytes()).expect("a request"))
    }

    fn saying(text: &str) -> u64 {
        let text = Value::from(text);
        of(&format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":{text}}}]}}"#))
    }

    #[test]
    fn the_estimate_is_above_what_tokenizers_say() {
        // Tokens by cl100k_base and by o200k_base, whichever is more, of texts of all kinds.
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog. It was not amused by the experience.", 18),
            ("fn main() { let numbers: Vec<u32> = (1..=10).collect(); println!(\"{numbers:?}\"); }", 27),
            ("\u{6771}\u{4eac}\u{306f}\u{65e5}\u{672c}\u{306e}\u{9996}\u{90fd}\u{3067}\u{3059}\u{3002}", 11),
            ("{\"a\":1,\"b\":0.8414709848,\"c\":[1,31],\"d\":null,\"e\":\"x\"}", 28),
            ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 35),
            ("5fecebKnXvE/mq1Gf+73Zbl+sYT0JkX8uYtWv0zQ4o7cN3hRrPp2LwSdAiV9gOe6yTq1UxFmHjBbCz5a", 69),
            ("d41d8cd9-8f00-b204-e980-0998ecf8427e 10.0.31.255:8080 2026-11-21T15:04:05Z", 47),
            ("\u{1f680}\u{1f389}\u{1f469}\u{200d}\u{1f467}\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}", 23),
            ("| a | b |\n|---|---|\n| 1 | 2 |\n", 17),
        ] {
            let estimated = saying(text) - FRAME;
            assert!((tokens..=2 * tokens).contains(&estimated), "{text}: {estimated}, not {tokens}");
        }
    }

    #[test]
    fn pictures_and_documents_count_by_what_they_are() {
        let source =
            format!(r#"{{"type":"base64","media_type":"image/png","data":"{}"}}"#, "A".repeat(400_000));
        let image = format!(r#"[{{"type":"image","source":{source}}}]"#);
        let body =
            format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":{image}}}]}}"#);
        assert_eq!(of(&body), FRAME + IMAGE, "not by its bytes");
    }

    const KINDS: [&str; 4] = [
        "The parser reads a line, and what it does not know it leaves to the next one.\n",
        "    let field = map.get(\"field\").copied().unwrap_or(0x1f);\n",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
        "\u{6771}\u{4eac}\u{306f}\u{65e5}\u{672c}\u{306e}\u{9996}\u{90fd}\u{3067}\u{3059}\u{3002}\n",
    ];

    /// A text that begins like one kind and goes on like another, at any place and of any length.
    #[test]
    fn samples_tell_about_what_all_tells() {
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for (head, tail) in KINDS.iter().flat_map(|head| KINDS.map(|tail| (head, tail))) {
            for (heads, tails) in (0..24).flat_map(|heads| (1..48).map(move |tails| (heads, tails))) {
                let said = head.repeat(heads) + &tail.repeat(tails);
                let share = sampled(&said) as f64 / text(&said) as f64;
                (least, most) = (least.min(share), most.max(share));
            }
        }
        println!("by samples from {least:.2} to {most:.2} times as many");
        assert!(least > 0.8 && most < 1.3, "from {least} to {most} times as many");
    }

    proptest! {
        /// A client that compacts when it comes near the limit must not see a longer conversation as a shorter one.
        #[test]
        fn more_words_are_never_fewer_tokens(text in "\\PC{0,60}", more in "\\PC{0,20}") {
            let longer = text.clone() + &more;
            prop_assert!(saying(&longer) >= saying(&text));
        }
    }
}
