//! The body of a stream, told event by event.
//!
//! The events of a stream differ in a few bytes each. Told as what is new in each, a stream takes a fraction of its
//! bytes in the file, and of the time to write them.

use serde::Deserialize;

use super::json::{self, Fields};
use crate::event::{common_prefix, common_suffix};

pub(super) const NAME: &str = "body_pieces";

/// A shorter body is told whole.
const LEAST: usize = 1_024;

/// A longer body is none that was written.
const MOST: usize = 64 * 1024 * 1024;

/// One piece of a body.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Piece {
    /// It as it is.
    Whole(String),
    /// The first bytes of the piece before, so many of them; its last bytes; and what stands between them.
    Like(usize, usize, String),
}

/// Appends the body, which is text, in pieces where that makes it half as long at least; otherwise appends nothing and
/// gives `false`.
pub(super) fn append(body: &[u8], fields: &mut Fields<'_>) -> bool {
    if body.len() < LEAST {
        return false;
    }
    let begin = fields.0.len();
    fields.name(NAME);
    fields.0.push(b'[');
    let (mut before, mut told) = (&body[..0], 0);
    for piece in Pieces(body) {
        if !before.is_empty() {
            fields.0.push(b',');
        }
        append_piece(before, piece, fields.0);
        before = piece;
        // The head of it tells whether it pays.
        told += piece.len();
        if told >= LEAST && (fields.0.len() - begin) * 2 > told {
            fields.0.truncate(begin);
            return false;
        }
    }
    fields.0.push(b']');
    true
}

fn append_piece(before: &[u8], piece: &[u8], output: &mut Vec<u8>) {
    let mut prefix = common_prefix(before, piece);
    let mut suffix = common_suffix(&before[prefix..], &piece[prefix..]);
    // Between characters, so that what is new stays text.
    let cuts_character = |at: usize| piece.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    while cuts_character(prefix) {
        prefix -= 1;
    }
    while cuts_character(piece.len() - suffix) {
        suffix -= 1;
    }
    if (prefix + suffix) * 2 < piece.len() {
        return json::text_of_bytes(piece, output);
    }
    output.push(b'[');
    json::number(prefix, output);
    output.push(b',');
    json::number(suffix, output);
    output.push(b',');
    json::text_of_bytes(&piece[prefix..piece.len() - suffix], output);
    output.push(b']');
}

/// The body that the pieces give; `None` when they refer to what is not there, or give more than any body has.
pub(super) fn join(pieces: &[Piece]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut before = 0..0;
    for piece in pieces {
        let begin = body.len();
        match piece {
            Piece::Whole(text) => body.extend_from_slice(text.as_bytes()),
            Piece::Like(prefix, suffix, middle) => {
                if prefix.checked_add(*suffix)? > before.len() {
                    return None;
                }
                body.extend_from_within(before.start..before.start + prefix);
                body.extend_from_slice(middle.as_bytes());
                body.extend_from_within(before.end - suffix..before.end);
            }
        }
        before = begin..body.len();
        if body.len() > MOST {
            return None;
        }
    }
    Some(body)
}

/// A body cut behind the ends of its events, which are two line feeds; other line ends stay within their piece.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Most events have one line.
        let mut feeds = memchr::memchr_iter(b'\n', self.0);
        let end = feeds.find(|at| self.0.get(at + 1) == Some(&b'\n')).map_or(self.0.len(), |at| at + 2);
        let (piece, rest) = self.0.split_at(end);
        self.0 = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn told(body: &str) -> Option<Value> {
        let mut line = b"{\"x\":0".to_vec();
        if !append(body.as_bytes(), &mut Fields(&mut line)) {
            assert_eq!(line, b"{\"x\":0");
            return None;
        }
        line.push(b'}');
        Some(serde_json::from_slice::<Value>(&line).expect("JSON in UTF-8")[NAME].take())
    }

    fn back(pieces: Value) -> Option<Vec<u8>> {
        join(&serde_json::from_value::<Vec<Piece>>(pieces).expect("pieces"))
    }

    #[test]
    fn a_stream_takes_a_fraction_of_its_bytes() {
        let body: String = (0..200)
            .map(|number| format!("data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"delta\":{{\"content\":\"w{number}é\"}}}}]}}\n\n"))
            .collect();
        let told = told(&body).expect("it pays");
        assert!(told.to_string().len() * 5 < body.len(), "{} of {}", told.to_string().len(), body.len());
        assert_eq!(back(told).as_deref(), Some(body.as_bytes()));
    }

    #[test]
    fn characters_that_share_bytes_stay_whole() {
        // The first two begin alike, the first and the last end alike.
        let words = ["é", "è", "é", "ũ"];
        let body: String = (0..80)
            .map(|number| {
                format!(
                    "data: {{\"id\":\"c\",\"delta\":\"{}\",\"index\":0}}\n\n",
                    words[number % words.len()]
                )
            })
            .collect();
        assert_eq!(back(told(&body).expect("it pays")).as_deref(), Some(body.as_bytes()));
    }

    #[test]
    fn what_is_not_there_cannot_be_referred_to() {
        for pieces in [r#"[[1,0,"x"]]"#, r#"["abc",[2,2,""]]"#, r#"["abc",[18446744073709551615,1,""]]"#] {
            assert_eq!(back(serde_json::from_str(pieces).expect("JSON")), None, "{pieces}");
        }
        // Each is as long as all before it together.
        let doubled = std::iter::once(Value::from("x".repeat(1 << 20)))
            .chain((0..70).map(|_| serde_json::json!([1 << 20, 0, ""])));
        assert_eq!(back(doubled.collect()), None);
    }

    proptest! {
        #[test]
        fn any_body_comes_back(
            events in prop::collection::vec((0_usize..3, "[ a-zéèũ\"\\\\\u{2028}\u{2029}]{0,9}", prop::sample::select(vec!["\n\n", "\r\n\r\n", "\n", ""])), 0..80),
        ) {
            let form = ["data: {\"id\":\"c\",\"delta\":\"W\",\"index\":0,\"finish_reason\":null}", "event: ping\ndata: {\"W\":1}", "W"];
            let body: String = events.iter().map(|(which, word, end)| form[*which].replace('W', word) + end).collect();
            if let Some(told) = told(&body) {
                prop_assert_eq!(back(told), Some(body.into_bytes()));
            }
        }
    }
}
