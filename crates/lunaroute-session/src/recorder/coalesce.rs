//! Joins neighbouring frames of one answer, so that a stream of single words does not become as many entries.

use bytes::{Bytes, BytesMut};
use lunaroute_core::Delta;

use crate::event::EventKind;

/// Frames of an answer that came at once, in one.
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// How many frames it is.
    pub(crate) count: u32,
    /// When it came.
    pub(crate) offset_us: u64,
    pub(crate) charge: usize,
}

impl Piece {
    /// The first `length` bytes of it, and the rest: each at least one of its frames, and its share of the charge.
    pub(crate) fn split(mut self, length: usize) -> (Self, Self) {
        let share = |whole: u64| whole * length as u64 / self.bytes.len() as u64;
        let count = u32::try_from(share(u64::from(self.count))).unwrap_or(u32::MAX).clamp(1, self.count - 1);
        let charge = usize::try_from(share(self.charge as u64)).unwrap_or(self.charge);
        let bytes = self.bytes.split_to(length);
        let first = Self { bytes, count, offset_us: self.offset_us, charge };
        let rest = Self { count: self.count - count, charge: self.charge - charge, ..self };
        (first, rest)
    }
}

#[derive(Default)]
pub(crate) struct Coalescer {
    pieces: Vec<Bytes>,
    bytes: usize,
    text_bytes: usize,
    frames: u32,
    first_us: u64,
    last_us: u64,
    parts: Vec<Delta>,
    charge: usize,
}

/// A stretch of an answer that is ready to be written.
pub(crate) struct Stretch {
    pub(crate) kind: EventKind,
    pub(crate) body: Bytes,
    pub(crate) frames: u32,
    pub(crate) last_us: u64,
    pub(crate) charge: usize,
}

impl Coalescer {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames == 0 && self.parts.is_empty()
    }

    pub(crate) fn first_us(&self) -> u64 {
        self.first_us
    }

    /// Bytes of the frames.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the last of them came.
    pub(crate) fn last_us(&self) -> u64 {
        self.last_us
    }

    pub(crate) fn add_piece(&mut self, piece: Piece) {
        let Piece { bytes, count, offset_us, charge } = piece;
        if self.is_empty() {
            self.first_us = offset_us;
        }
        self.last_us = offset_us;
        self.frames += count;
        self.bytes += bytes.len();
        self.charge += charge;
        self.pieces.push(bytes);
    }

    pub(crate) fn add_part(&mut self, part: Delta, at_us: u64) {
        if self.is_empty() {
            (self.first_us, self.last_us) = (at_us, at_us);
        }
        self.text_bytes += text_of(&part).len();
        match self.parts.last_mut() {
            Some(last) if same_block(last, &part) => append(last, text_of(&part)),
            _ => self.parts.push(part),
        }
    }

    /// Whether it holds more than `limit` bytes, raw or as text (a compressed answer says more than its bytes are).
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.bytes >= limit || self.text_bytes >= limit
    }

    /// The frames so far in one piece.
    pub(crate) fn join(&mut self) -> Bytes {
        if let [single] = &self.pieces[..] {
            return single.clone();
        }
        let mut joined = BytesMut::with_capacity(self.bytes);
        self.pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
        let joined = joined.freeze();
        self.pieces.clear();
        self.pieces.push(joined.clone());
        joined
    }

    pub(crate) fn take(&mut self) -> Option<Stretch> {
        if self.is_empty() {
            return None;
        }
        let body = self.join();
        let taken = std::mem::take(self);
        let kind = EventKind::StreamDelta {
            frames: taken.frames,
            first_us: taken.first_us,
            last_us: taken.last_us,
            parts: taken.parts,
        };
        Some(Stretch { kind, body, frames: taken.frames, last_us: taken.last_us, charge: taken.charge })
    }
}

fn same_block(last: &Delta, next: &Delta) -> bool {
    match (last, next) {
        (Delta::Text { index: a, .. }, Delta::Text { index: b, .. })
        | (Delta::Reasoning { index: a, .. }, Delta::Reasoning { index: b, .. })
        | (Delta::ToolCallArguments { index: a, .. }, Delta::ToolCallArguments { index: b, .. }) => a == b,
        (Delta::Refusal { .. }, Delta::Refusal { .. }) => true,
        _ => false,
    }
}

fn text_of(part: &Delta) -> &str {
    match part {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text } => text,
        Delta::ToolCallArguments { fragment, .. } => fragment,
        _ => "",
    }
}

fn append(last: &mut Delta, addition: &str) {
    match last {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text } => {
            text.push_str(addition)
        }
        Delta::ToolCallArguments { fragment, .. } => fragment.push_str(addition),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the frames and the limit are, what comes out is what went in, in order.
        #[test]
        fn nothing_is_lost_or_moved_by_joining(
            frames in prop::collection::vec(("[a-z]{0,12}", 0_u32..3, 0_u8..3, 1_u32..9), 1..60),
            limit in 1_usize..100,
        ) {
            let mut coalescer = Coalescer::default();
            let (mut stretches, mut sent, mut said) = (Vec::new(), Vec::new(), Vec::new());
            for (offset_us, (text, index, kind, count)) in (0..).zip(&frames) {
                sent.extend_from_slice(text.as_bytes());
                let bytes = Bytes::copy_from_slice(text.as_bytes());
                coalescer.add_piece(Piece { bytes, count: *count, offset_us, charge: 1 });
                let (index, text) = (*index, text.clone());
                let part = match kind {
                    0 => Delta::Text { index, text },
                    1 => Delta::ToolCallArguments { index, fragment: text },
                    _ => Delta::End,
                };
                said.push(part.clone());
                coalescer.add_part(part, offset_us);
                if coalescer.is_full(limit) {
                    stretches.extend(coalescer.take());
                }
            }
            stretches.extend(coalescer.take());
            prop_assert!(coalescer.is_empty());
            let bodies: Vec<u8> = stretches.iter().flat_map(|stretch| stretch.body.to_vec()).collect();
            prop_assert_eq!(bodies, sent);
            let (mut count, mut charge, mut parts) = (0, 0, Vec::new());
            for stretch in stretches {
                (count, charge) = (count + stretch.frames as usize, charge + stretch.charge);
                let EventKind::StreamDelta { parts: some, first_us, last_us, .. } = stretch.kind else { continue };
                prop_assert!(first_us <= last_us);
                parts.extend(some);
            }
            let came = frames.iter().map(|(.., count)| *count as usize).sum();
            prop_assert_eq!((count, charge), (came, frames.len()));
            prop_assert_eq!(letters(&parts), letters(&said));
        }
    }

    /// Each letter with its block, so that joined and separate parts compare equal; an end stands for itself.
    fn letters(parts: &[Delta]) -> Vec<(char, String)> {
        let mut letters = Vec::new();
        for part in parts {
            let block = match part {
                Delta::Text { index, .. } => format!("text {index}"),
                Delta::ToolCallArguments { index, .. } => format!("arguments {index}"),
                other => {
                    letters.push(('.', format!("{other:?}")));
                    continue;
                }
            };
            letters.extend(text_of(part).chars().map(|letter| (letter, block.clone())));
        }
        letters
    }
}
