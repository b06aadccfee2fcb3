//! Small bodies that a session repeats: one is kept whole with its request, and those that follow name what they have of it.

use std::collections::HashMap;
use std::ops::Range;

use crate::event::{common_prefix, common_suffix};

/// Fewer bytes are not worth to be named: they compress well.
const LEAST: usize = 128;

/// Bytes of bodies that are remembered. When there are more, all go.
const REMEMBERED_BYTES: usize = 1 << 20;

/// What a small body repeats of one that is kept whole: stretches of that request's small content. What is between them is
/// kept with the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lean {
    /// The blob of the other request's small content. Of the same session, so that they go together.
    pub(crate) content: i64,
    pub(crate) prefix: Range<usize>,
    pub(crate) suffix: Range<usize>,
}

impl Lean {
    /// The bytes of a body of this length that are kept with the request.
    pub(crate) fn middle(&self, length: usize) -> Range<usize> {
        let end = length.saturating_sub(self.suffix.len());
        self.prefix.len().min(end)..end
    }

    /// The whole body; `None` when the content does not have what it names.
    pub(crate) fn whole(&self, content: &[u8], middle: &[u8]) -> Option<Vec<u8>> {
        let (prefix, suffix) = (content.get(self.prefix.clone())?, content.get(self.suffix.clone())?);
        Some([prefix, middle, suffix].concat())
    }
}

/// A body that is kept whole.
struct Base {
    content: i64,
    /// Where it stands in the content.
    start: usize,
    body: Vec<u8>,
}

/// The latest whole small body of each session. Bounded; what it forgets is kept whole once more.
#[derive(Default)]
pub(crate) struct SmallBodies {
    by_session: HashMap<i64, Base>,
    bytes: usize,
}

impl SmallBodies {
    /// What `body` repeats, when that is half of it at least.
    pub(crate) fn find(&self, session: i64, body: &[u8]) -> Option<Lean> {
        let base = self.by_session.get(&session)?;
        let prefix = common_prefix(&base.body, body);
        let suffix = common_suffix(&base.body[prefix..], &body[prefix..]);
        let end = base.start + base.body.len();
        let worth = prefix + suffix >= LEAST && (prefix + suffix) * 2 >= body.len();
        worth.then(|| Lean {
            content: base.content,
            prefix: base.start..base.start + prefix,
            suffix: end - suffix..end,
        })
    }

    /// Remembers a body that is stored whole, `start` bytes into the content.
    pub(crate) fn remember(&mut self, session: i64, content: i64, start: usize, body: &[u8]) {
        if body.len() < LEAST {
            return;
        }
        if self.bytes + body.len() > REMEMBERED_BYTES {
            *self = Self::default();
        }
        self.bytes += body.len();
        let base = Base { content, start, body: body.to_vec() };
        if let Some(before) = self.by_session.insert(session, base) {
            self.bytes -= before.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_named_and_what_is_kept_make_the_body(
            base in "[ab]{100,300}",
            start in 0_usize..20,
            cut in (0_usize..300, 0_usize..300),
            new in "[abc]{0,40}",
        ) {
            let mut bodies = SmallBodies::default();
            bodies.remember(7, 3, start, base.as_bytes());
            let (from, to) = (cut.0.min(base.len()), cut.1.min(base.len()));
            let body = format!("{}{new}{}", &base[..from], &base[to..]);
            let content = format!("{:start$}{base}and what follows", "");
            prop_assert!(bodies.find(8, body.as_bytes()).is_none());
            if let Some(lean) = bodies.find(7, body.as_bytes()) {
                let middle = &body.as_bytes()[lean.middle(body.len())];
                prop_assert!(middle.len() * 2 <= body.len());
                prop_assert_eq!(lean.whole(content.as_bytes(), middle), Some(body.clone().into_bytes()));
                prop_assert_eq!(lean.whole(&content.as_bytes()[..start], middle), None);
            } else {
                let common = (from + base.len() - to).min(base.len());
                prop_assert!(base.len() < LEAST || common < LEAST || common * 2 < body.len());
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut bodies = SmallBodies::default();
        for session in 0..2_000 {
            bodies.remember(session, 1, 0, &[b'x'; 4_000]);
            bodies.remember(session, 2, 0, &[b'y'; 4_000]);
        }
        let held: usize = bodies.by_session.values().map(|base| base.body.len()).sum();
        assert!(held == bodies.bytes && held <= REMEMBERED_BYTES, "{held}");
        assert!(bodies.find(1_999, &[b'y'; 4_000]).is_some_and(|lean| lean.content == 2));
    }
}
