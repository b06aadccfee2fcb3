//! Bodies, compared with the last one of their kind.
//!
//! The recorder compares large request bodies with earlier ones of the session; below that the same holds of chats, whose
//! history is in every request, and of plain answers, whose frame is always the same.

use std::ops::RangeInclusive;

use lunaroute_core::RequestId;

use crate::event::{Body, Repeats, common_prefix, common_suffix};

/// Smaller ones are told whole: the reference has about a hundred bytes itself.
const LEAST: usize = 256;

/// The last body of its kind in a file, when it is not too large to be held.
pub(super) struct Last {
    last: Option<(RequestId, Vec<u8>)>,
    bytes: RangeInclusive<usize>,
}

impl Last {
    /// Of bodies up to so many bytes.
    pub(super) const fn up_to(most: usize) -> Self {
        Self { last: None, bytes: LEAST..=most }
    }

    /// Gives back its memory.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// What a body has in common with the last one; `None` when that is less than half of it.
    pub(super) fn compare(&self, body: &Body) -> Option<Repeats> {
        let (of, base) = self.last.as_ref()?;
        if !self.bytes.contains(&body.len()) {
            return None;
        }
        let body = &body.whole()[..];
        let mut prefix = common_prefix(body, base);
        let mut suffix = common_suffix(&body[prefix..], &base[prefix..]);
        // Between characters, so that what is new stays text.
        let cuts_character = |at: usize| body.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        while prefix > 0 && cuts_character(prefix) {
            prefix -= 1;
        }
        while suffix > 0 && cuts_character(body.len() - suffix) {
            suffix -= 1;
        }
        let repeats = Repeats { of: *of, prefix: prefix as u64, suffix: suffix as u64 };
        ((prefix + suffix) * 2 >= body.len()).then_some(repeats)
    }

    /// The next one is compared with this.
    pub(super) fn enter(&mut self, request: RequestId, body: &Body) {
        if !self.bytes.contains(&body.len()) {
            self.last = None;
            return;
        }
        let (of, kept) = self.last.get_or_insert_with(|| (request, Vec::new()));
        *of = request;
        kept.clear();
        body.pieces().into_iter().for_each(|piece| kept.extend_from_slice(piece));
    }
}
