//! Which stretches of bytes make a body, and where its messages stand: a few bytes per message.

use std::ops::Range;

use lunaroute_core::Role;

use super::small::Lean;

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ingredient {
    /// The blob with its bytes; 0 in a recipe whose bytes are kept with the request.
    pub(crate) blob: i64,
    /// Bytes of the part. What the database gives back knows it from the blob.
    pub(crate) length: usize,
    /// Bytes before the message.
    pub(crate) separator: usize,
    /// Who speaks; `None` when no message is in it.
    pub(crate) role: Option<Role>,
}

/// How to make a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recipe {
    pub(crate) parts: Vec<Ingredient>,
    /// Which of the messages, in the order of the bytes, begins the conversation.
    pub(crate) first: usize,
    /// The bytes are kept with the request's other small content.
    pub(crate) is_inline: bool,
    /// Of an inline recipe: what of the bytes is kept with another request.
    pub(crate) lean: Option<Lean>,
}

/// In the place of a role: what stands there is no part but what the body leans on.
const LEANS: u64 = 7;

const ROLES: [Option<Role>; 5] =
    [None, Some(Role::System), Some(Role::User), Some(Role::Assistant), Some(Role::Tool)];

impl Recipe {
    /// The recipe as bytes: inline or not and `first`, then for each part the difference to the blob before (inline: its
    /// length), and separator and role in one number. What an inline one leans on comes before its parts.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.parts.len() * 3);
        push(&mut bytes, (self.first as u64) << 1 | u64::from(self.is_inline));
        if let Some(lean) = &self.lean {
            push(&mut bytes, lean.content.cast_unsigned());
            push(&mut bytes, LEANS);
            for range in [&lean.prefix, &lean.suffix] {
                push(&mut bytes, range.start as u64);
                push(&mut bytes, range.len() as u64);
            }
        }
        let mut before = 0;
        for part in &self.parts {
            if self.is_inline {
                push(&mut bytes, part.length as u64);
            } else {
                let step = part.blob.wrapping_sub(before);
                push(&mut bytes, ((step << 1) ^ (step >> 63)).cast_unsigned());
                before = part.blob;
            }
            let role = ROLES.iter().position(|role| *role == part.role).unwrap_or(0);
            push(&mut bytes, (part.separator as u64) << 3 | role as u64);
        }
        bytes
    }

    /// Reads a recipe back; `None` when it is none. Lengths are 0 unless it is inline.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let head = take(&mut rest)?;
        let is_inline = head & 1 == 1;
        let first = usize::try_from(head >> 1).ok()?;
        let mut recipe = Self { parts: Vec::new(), first, is_inline, lean: None };
        let mut before = 0_i64;
        while !rest.is_empty() {
            let number = take(&mut rest)?;
            if is_inline
                && recipe.lean.is_none()
                && recipe.parts.is_empty()
                && rest.first() == Some(&(LEANS as u8))
            {
                rest = &rest[1..];
                let (prefix, suffix) = (take_range(&mut rest)?, take_range(&mut rest)?);
                recipe.lean = Some(Lean { content: number.cast_signed(), prefix, suffix });
                continue;
            }
            let mut length = 0;
            if is_inline {
                length = usize::try_from(number).ok()?;
            } else {
                before = before.wrapping_add((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
            }
            let shape = take(&mut rest)?;
            let role = *ROLES.get(usize::try_from(shape & 7).ok()?)?;
            let separator = usize::try_from(shape >> 3).ok()?;
            recipe.parts.push(Ingredient { blob: before, length, separator, role });
        }
        Some(recipe)
    }

    /// The blobs that it names; some may stand in it more than once.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = i64> {
        let named = if self.is_inline { &[][..] } else { &self.parts };
        named.iter().map(|part| part.blob).chain(self.lean.as_ref().map(|lean| lean.content))
    }

    /// The messages of the conversation in its order, as ranges of the body. Lengths must be known.
    pub(crate) fn messages(&self) -> Vec<(Role, Range<usize>)> {
        let mut messages = Vec::new();
        let mut start = 0;
        for part in &self.parts {
            let end = start + part.length;
            if let Some(role) = part.role {
                messages.push((role, start + part.separator.min(part.length)..end));
            }
            start = end;
        }
        if self.first < messages.len() {
            messages.rotate_left(self.first);
        }
        messages
    }
}

/// Appends a number in groups of seven bits, the lowest first.
pub(crate) fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front; `None` when there is none.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes a start and a length.
fn take_range(bytes: &mut &[u8]) -> Option<Range<usize>> {
    let start = usize::try_from(take(bytes)?).ok()?;
    let length = usize::try_from(take(bytes)?).ok()?;
    Some(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_recipe_comes_back_as_it_was(
            parts in proptest::collection::vec((any::<i64>(), 0_usize..1 << 40, 0_usize..1 << 40, 0_usize..5), 0..50),
            first in 0_usize..1_000,
            is_inline in any::<bool>(),
            lean in proptest::option::of((any::<i64>(), 0_usize..1 << 40, 0_usize..1 << 40, 0_usize..1 << 40)),
        ) {
            let parts = parts
                .into_iter()
                .map(|(blob, length, separator, role)| Ingredient {
                    blob: if is_inline { 0 } else { blob },
                    length: if is_inline { length } else { 0 },
                    separator,
                    role: ROLES[role],
                })
                .collect();
            let lean = lean.filter(|_| is_inline).map(|(content, start, prefix, suffix)| Lean {
                content,
                prefix: start..start + prefix,
                suffix: start..start + suffix,
            });
            let recipe = Recipe { parts, first, is_inline, lean };
            prop_assert_eq!(Recipe::decode(&recipe.encode()), Some(recipe));
        }

        #[test]
        fn strange_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(recipe) = Recipe::decode(&bytes) {
                prop_assert!(recipe.parts.len() <= bytes.len());
            }
        }
    }
}
