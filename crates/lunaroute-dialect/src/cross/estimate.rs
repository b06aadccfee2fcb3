//! How many tokens a request has, as nearly as can be said without the model's own tokenizer. Errs on the high side: who
//! asks wants to know whether a conversation still fits.

use lunaroute_core::conversation::{Conversation, Media, MediaKind, MediaSource, Part, Tool, ToolKind};
use serde_json::Value;

/// ASCII letters for a token. Tokenizers need about four for English and three for code.
const ASCII_PER_TOKEN: u64 = 3;

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

/// Tokens of what a request gives the model to read: an estimate that errs on the high side.
#[must_use]
pub fn estimate(conversation: &Conversation) -> u64 {
    let turns = conversation.turns.iter().map(|turn| FRAME + turn.parts.iter().map(part).sum::<u64>());
    let tools = conversation.tools.iter().map(|known| FRAME + tool(known));
    turns.chain(tools).fold(0, u64::saturating_add)
}

fn part(part: &Part) -> u64 {
    match part {
        Part::Text(said) | Part::Refusal(said) => text(&said.text),
        Part::Media(media) => medium(media),
        Part::Thought(thought) => {
            let seal = thought.seal.as_ref().map_or(0, |seal| text(&seal.data));
            seal + thought.text.iter().map(|shown| text(shown)).sum::<u64>()
        }
        Part::Use(call) => FRAME + text(&call.name) + text(&call.arguments),
        Part::Result(result) => FRAME + result.parts.iter().map(self::part).sum::<u64>(),
        Part::Opaque(opaque) => value(&opaque.value),
    }
}

fn tool(tool: &Tool) -> u64 {
    let described = text(&tool.name) + tool.description.as_deref().map_or(0, text);
    let form = match &tool.kind {
        ToolKind::Function { schema: form, .. } | ToolKind::Custom { format: form } => form.as_ref(),
        // Its description is the provider's own, and told to the model by the provider.
        ToolKind::Hosted(_) => None,
    };
    described + form.map_or(0, value)
}

fn medium(media: &Media) -> u64 {
    let bytes = match &media.source {
        MediaSource::Bytes { data, .. } => Some(data.len() as u64 / 4 * 3),
        MediaSource::Text { text: told } => return text(told),
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
fn value(json: &Value) -> u64 {
    match json {
        Value::String(string) => 1 + text(string),
        Value::Array(items) => 1 + items.iter().map(value).sum::<u64>(),
        Value::Object(members) => {
            1 + members.iter().map(|(name, inner)| 1 + text(name) + value(inner)).sum::<u64>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 2,
    }
}

/// A letter outside ASCII counts as a token: most scripts need less, none of the common ones more.
fn text(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let letters = text.chars().count() as u64;
    ascii.div_ceil(ASCII_PER_TOKEN) + (letters - ascii)
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
        // Tokens by o200k_base and by Anthropic's count, whichever is more, of texts of three kinds.
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog. It was not amused by the experience.", 18),
            ("fn main() { let numbers: Vec<u32> = (1..=10).collect(); println!(\"{numbers:?}\"); }", 30),
            ("\u{6771}\u{4eac}\u{306f}\u{65e5}\u{672c}\u{306e}\u{9996}\u{90fd}\u{3067}\u{3059}\u{3002}", 10),
        ] {
            let estimated = saying(text);
            assert!(
                estimated >= tokens && estimated <= 2 * tokens + 2 * FRAME,
                "{text}: {estimated}, not {tokens}"
            );
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

    proptest! {
        /// A client that compacts when it comes near the limit must not see a longer conversation as a shorter one.
        #[test]
        fn more_words_are_never_fewer_tokens(text in "\\PC{0,60}", more in "\\PC{0,20}") {
            let longer = text.clone() + &more;
            prop_assert!(saying(&longer) >= saying(&text));
        }
    }
}
