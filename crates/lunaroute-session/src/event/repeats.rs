//! A body that says most of an earlier one once more.

use std::ops::Range;

use lunaroute_core::RequestId;
use serde::{Deserialize, Serialize};

/// Bodies are compared in pieces of these lengths, one after the other, and then word by word: the fastest way to find
/// where they part.
const PIECES: [usize; 2] = [1_024, 32];

/// How much of a body stands in an earlier one: its first `prefix` and its last `suffix` bytes are those of that body,
/// and what is between them is new. The two overlap in neither body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// The request that brought the earlier body.
    pub of: RequestId,
    /// Bytes at the start.
    pub prefix: u64,
    /// Bytes at the end.
    pub suffix: u64,
}

impl Repeats {
    /// What `body` repeats of `earlier`, the body that the request `of` brought.
    #[must_use]
    pub fn between(of: RequestId, earlier: &[u8], body: &[u8]) -> Self {
        let prefix = common_prefix(earlier, body);
        let suffix = common_suffix(&earlier[prefix..], &body[prefix..]);
        Self { of, prefix: prefix as u64, suffix: suffix as u64 }
    }

    /// So much of it as lies within that many bytes at the start and at the end.
    pub(crate) fn within(self, prefix: u64, suffix: u64) -> Self {
        Self { prefix: self.prefix.min(prefix), suffix: self.suffix.min(suffix), ..self }
    }

    /// The bytes of a body of this length that are new; `None` when it is shorter than what it repeats.
    #[must_use]
    pub fn middle(&self, length: usize) -> Option<Range<usize>> {
        let prefix = usize::try_from(self.prefix).ok()?;
        let end = length.checked_sub(usize::try_from(self.suffix).ok()?)?;
        (prefix <= end).then_some(prefix..end)
    }
}

/// Bytes at the start that both have in common.
pub(crate) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let mut same = 0;
    for piece in PIECES {
        let pieces = one[same..].chunks_exact(piece).zip(other[same..].chunks_exact(piece));
        same += pieces.take_while(|(one, other)| one == other).count() * piece;
    }
    let (one, other) = (&one[same..], &other[same..]);
    let words = one.as_chunks().0.iter().zip(other.as_chunks().0);
    for (number, (one, other)) in words.enumerate() {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return same + number * 8 + differ.trailing_zeros() as usize / 8;
        }
    }
    let words = one.len().min(other.len()) / 8 * 8;
    let bytes = one[words..].iter().zip(&other[words..]);
    same + words + bytes.take_while(|(one, other)| one == other).count()
}

/// Bytes at the end that both have in common.
pub(crate) fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let mut same = 0;
    for piece in PIECES {
        let (one, other) = (&one[..one.len() - same], &other[..other.len() - same]);
        let pieces = one.rchunks_exact(piece).zip(other.rchunks_exact(piece));
        same += pieces.take_while(|(one, other)| one == other).count() * piece;
    }
    let (one, other) = (&one[..one.len() - same], &other[..other.len() - same]);
    let words = one.as_rchunks().1.iter().rev().zip(other.as_rchunks().1.iter().rev());
    for (number, (one, other)) in words.enumerate() {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return same + number * 8 + differ.leading_zeros() as usize / 8;
        }
    }
    let words = one.len().min(other.len()) / 8 * 8;
    let bytes = one[..one.len() - words].iter().rev().zip(other[..other.len() - words].iter().rev());
    same + words + bytes.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_two_stretches_part_is_found_in_every_place() {
        let base: Vec<u8> = (0..100_u8).collect();
        let mut checked = 0;
        for length in 0..base.len() {
            for place in 0..length {
                for cut in [0, 1, 7, 40] {
                    let mut other = base[..length].to_vec();
                    other[place] ^= 1 << (place % 8);
                    let one = &base[..length];
                    let prefix = place.min(length.saturating_sub(cut));
                    assert_eq!(common_prefix(one, &other[..length - cut.min(length)]), prefix);
                    let suffix = (length - place - 1).min(length.saturating_sub(cut));
                    assert_eq!(common_suffix(one, &other[cut.min(length)..]), suffix);
                    checked += 2;
                }
            }
            assert_eq!(
                (common_prefix(&base, &base[..length]), common_suffix(&base, &base[100 - length..])),
                (length, length)
            );
        }
        println!("{checked} places found");
    }

    proptest! {
        #[test]
        fn what_two_bodies_share_is_found_to_the_byte(
            head in prop::collection::vec(any::<u8>(), 0..4_000),
            tail in prop::collection::vec(any::<u8>(), 0..4_000),
            one in prop::collection::vec(any::<u8>(), 0..40),
            other in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (first, second) = ([&head[..], &one, &tail].concat(), [&head[..], &other, &tail].concat());
            let repeats = Repeats::between(RequestId::generate(), &first, &second);
            let (prefix, suffix) = (repeats.prefix as usize, repeats.suffix as usize);
            prop_assert_eq!(&first[..prefix], &second[..prefix]);
            prop_assert!(prefix >= head.len() && first.get(prefix).is_none_or(|byte| second.get(prefix) != Some(byte)));
            prop_assert!(prefix + suffix <= first.len().min(second.len()));
            let middle = repeats.middle(second.len()).expect("within the body");
            let joined = [&first[..prefix], &second[middle], &first[first.len() - suffix..]].concat();
            prop_assert_eq!(joined, second);
        }
    }
}
