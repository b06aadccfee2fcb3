//! Cutting a request body at its messages, so that a history which is sent again is stored once.

use std::ops::Range;

use lunaroute_core::{MessageSpan, Role};

/// What stands before a message is a part of its own from this length on: tools and instructions before the first message
/// are the same in other sessions, the message is not.
const OWN_SEPARATOR: usize = 1_024;

/// A stretch of a body: what stands before a message, and the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) range: Range<usize>,
    /// Bytes before the message.
    pub(crate) separator: usize,
    /// Who speaks; `None` when no message is in it.
    pub(crate) role: Option<Role>,
}

/// How a body is cut. Joined in order, the parts are the body, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cut {
    pub(crate) parts: Vec<Part>,
    /// Which of the messages, in the order of the bytes, begins the conversation: some clients write what is said to the
    /// model first behind the messages.
    pub(crate) first: usize,
}

/// Cuts `body` at `spans`. Spans that overlap or do not lie within the body leave it in one piece.
pub(crate) fn cut(length: usize, spans: &[MessageSpan]) -> Cut {
    let mut sorted: Vec<&MessageSpan> = spans.iter().collect();
    sorted.sort_by_key(|span| span.range.start);
    if !fit(&sorted, length) {
        sorted.clear();
    }
    let mut parts = Vec::with_capacity(sorted.len() + 2);
    let mut end = 0;
    for span in &sorted {
        let mut start = end;
        if span.range.start - start >= OWN_SEPARATOR {
            parts.push(Part { range: start..span.range.start, separator: 0, role: None });
            start = span.range.start;
        }
        let separator = span.range.start - start;
        parts.push(Part { range: start..span.range.end, separator, role: Some(span.role) });
        end = span.range.end;
    }
    if end < length {
        parts.push(Part { range: end..length, separator: 0, role: None });
    }
    let first = spans.first().and_then(|first| sorted.iter().position(|span| span.range == first.range));
    Cut { parts, first: first.unwrap_or(0) }
}

/// Whether the spans are not empty, do not overlap and lie within the body.
fn fit(sorted: &[&MessageSpan], length: usize) -> bool {
    let mut end = 0;
    sorted.iter().all(|span| {
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
            length in 0_usize..6_000,
            bounds in proptest::collection::vec(0_usize..6_500, 0..60),
            sorted in any::<bool>(),
            turned in 0_usize..30,
        ) {
            let mut bounds = bounds;
            if sorted {
                bounds.sort_unstable();
            }
            let mut spans: Vec<MessageSpan> = bounds
                .chunks_exact(2)
                .map(|pair| MessageSpan { role: Role::User, range: pair[0]..pair[1] })
                .collect();
            let turned = if spans.is_empty() { 0 } else { turned % spans.len() };
            spans.rotate_left(turned);
            let cut = cut(length, &spans);
            let mut end = 0;
            for part in &cut.parts {
                prop_assert_eq!(part.range.start, end);
                prop_assert!(part.range.start + part.separator < part.range.end);
                end = part.range.end;
            }
            prop_assert_eq!(end, length);
            let messages: Vec<_> = cut
                .parts
                .iter()
                .filter(|part| part.role.is_some())
                .map(|part| part.range.start + part.separator..part.range.end)
                .collect();
            if !messages.is_empty() {
                prop_assert_eq!(messages.len(), spans.len());
                prop_assert_eq!(&messages[cut.first], &spans[0].range);
            }
        }
    }
}
