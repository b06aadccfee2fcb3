//! Cutting a request body at its messages, so that a history which is sent again is stored once.
//!
//! Joined in order, the parts are the body, byte for byte. Sixteen messages and what stands between them make a group
//! that is a part of its own: the next turn of a long session repeats whole groups and names few hashes.

use std::ops::Range;

use blake3::Hash;
use lunaroute_core::{MessageSpan, Role};

/// Messages in a group.
pub(crate) const GROUP: usize = 16;

/// A stretch of a body under the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) range: Range<usize>,
    pub(crate) hash: Hash,
}

/// A part of a body: a stretch, or a group of stretches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) whole: Leaf,
    /// The stretches that make a group; empty for a plain stretch.
    pub(crate) leaves: Vec<Leaf>,
}

/// How a body is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Hash of the whole body.
    pub(crate) hash: Hash,
    /// The parts in order; empty when the body is kept in one piece.
    pub(crate) parts: Vec<Part>,
    /// The messages in order; empty when the body is kept in one piece.
    pub(crate) messages: Vec<(Role, Hash)>,
    /// The contents of the groups in order; the first is that of the first [`GROUP`] messages.
    pub(crate) groups: Vec<Hash>,
}

impl Cut {
    fn in_one_piece(hash: Hash) -> Self {
        Self { hash, parts: Vec::new(), messages: Vec::new(), groups: Vec::new() }
    }
}

/// Cuts `body` at `spans`. Spans that do not stand in order within the body leave it in one piece.
pub(crate) fn cut(body: &[u8], spans: &[MessageSpan]) -> Cut {
    let hash = blake3::hash(body);
    if spans.is_empty() || !are_in_order(spans, body.len()) {
        return Cut::in_one_piece(hash);
    }
    let leaf = |range: Range<usize>| Leaf { hash: blake3::hash(&body[range.clone()]), range };
    let plain = |range| Part { whole: leaf(range), leaves: Vec::new() };
    let mut parts = Vec::new();
    let mut messages = Vec::with_capacity(spans.len());
    let mut end = 0;
    for chunk in spans.chunks(GROUP) {
        let start = chunk[0].range.start;
        if end < start {
            parts.push(plain(end..start));
        }
        let mut leaves = Vec::with_capacity(chunk.len() * 2);
        let mut reached = start;
        for span in chunk {
            if reached < span.range.start {
                leaves.push(leaf(reached..span.range.start));
            }
            let message = leaf(span.range.clone());
            messages.push((span.role, message.hash));
            leaves.push(message);
            reached = span.range.end;
        }
        if chunk.len() == GROUP {
            parts.push(Part { whole: leaf(start..reached), leaves });
        } else {
            parts.extend(leaves.into_iter().map(|whole| Part { whole, leaves: Vec::new() }));
        }
        end = reached;
    }
    if end < body.len() {
        parts.push(plain(end..body.len()));
    }
    // A message that is the whole body would be a part of itself.
    if parts.iter().any(|part| part.whole.range.len() == body.len()) {
        return Cut::in_one_piece(hash);
    }
    let groups = parts.iter().filter(|part| !part.leaves.is_empty()).map(|part| part.whole.hash).collect();
    Cut { hash, parts, messages, groups }
}

/// Whether the spans are not empty, do not overlap and lie within the body.
fn are_in_order(spans: &[MessageSpan], length: usize) -> bool {
    let mut end = 0;
    spans.iter().all(|span| {
        let fits = span.range.start >= end && span.range.start < span.range.end && span.range.end <= length;
        end = span.range.end;
        fits
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_parts_are_the_body(
            body in proptest::collection::vec(any::<u8>(), 0..600),
            bounds in proptest::collection::vec(0_usize..700, 0..120),
        ) {
            let spans: Vec<MessageSpan> = bounds
                .chunks_exact(2)
                .map(|pair| MessageSpan { role: Role::User, range: pair[0]..pair[1] })
                .collect();
            let mut sorted = bounds.clone();
            sorted.sort_unstable();
            let in_order: Vec<MessageSpan> = sorted
                .chunks_exact(2)
                .filter(|pair| pair[0] < pair[1] && pair[1] <= body.len())
                .map(|pair| MessageSpan { role: Role::User, range: pair[0]..pair[1] })
                .collect();
            for spans in [spans, in_order] {
                let cut = cut(&body, &spans);
                prop_assert!(cut.messages.is_empty() || cut.messages.len() == spans.len());
                if cut.parts.is_empty() {
                    prop_assert!(cut.messages.is_empty());
                    continue;
                }
                let joined: Vec<u8> =
                    cut.parts.iter().flat_map(|part| body[part.whole.range.clone()].to_vec()).collect();
                prop_assert_eq!(&joined, &body);
                prop_assert_eq!(cut.groups.len(), cut.messages.len() / GROUP);
                for group in cut.parts.iter().filter(|part| !part.leaves.is_empty()) {
                    let joined: Vec<u8> =
                        group.leaves.iter().flat_map(|leaf| body[leaf.range.clone()].to_vec()).collect();
                    prop_assert_eq!(&joined[..], &body[group.whole.range.clone()]);
                }
            }
        }
    }
}
