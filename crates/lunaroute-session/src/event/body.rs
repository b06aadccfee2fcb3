//! The bytes that go with an event.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Bytes of an event. A body that says most of an earlier one once more shares that with it in memory, for agents send all
/// that was said with every request.
#[derive(Clone, Default)]
pub struct Body {
    earlier: Bytes,
    /// How many bytes at the start, and at the end, are those of the earlier body.
    shared: (usize, usize),
    own: Bytes,
}

impl Body {
    /// The first `shared.0` bytes of `earlier`, then a copy of `own`, then the last `shared.1` bytes of `earlier`, which
    /// stays in memory as long as this does.
    pub(crate) fn sharing(earlier: &Bytes, shared: (usize, usize), own: &[u8]) -> Self {
        debug_assert!(shared.0 + shared.1 <= earlier.len());
        Self { earlier: earlier.clone(), shared, own: Bytes::copy_from_slice(own) }
    }

    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.0 + self.own.len() + self.shared.1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it. Copies it where it shares anything, else nothing: whoever looks at long bodies often is better served by
    /// [`pieces`](Self::pieces) and [`part`](Self::part).
    #[must_use]
    pub fn whole(&self) -> Bytes {
        if self.shared == (0, 0) {
            return self.own.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.pieces().into_iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    /// Its pieces in order, some of which may be empty: for who needs no more than to see all of it once.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 3] {
        let (start, end) = self.shared;
        [&self.earlier[..start], &self.own, &self.earlier[self.earlier.len() - end..]]
    }

    /// A part of it, copied only where pieces meet in it; `None` when it is not that long.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Option<Cow<'_, [u8]>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let mut part = Cow::Borrowed(&[][..]);
        let mut before = 0;
        for piece in self.pieces() {
            let within = |at: usize| at.clamp(before, before + piece.len()) - before;
            let found = &piece[within(range.start)..within(range.end)];
            if part.is_empty() {
                part = Cow::Borrowed(found);
            } else if !found.is_empty() {
                part.to_mut().extend_from_slice(found);
            }
            before += piece.len();
        }
        Some(part)
    }

    pub(crate) fn crc32(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        self.pieces().into_iter().for_each(|piece| hasher.update(piece));
        hasher.finalize()
    }

    /// The earlier body that it keeps in memory, when it shares one.
    pub(crate) fn earlier(&self) -> Option<&Bytes> {
        Some(&self.earlier).filter(|earlier| !earlier.is_empty())
    }

    /// Bytes that are its own alone.
    pub(crate) fn own_bytes(&self) -> usize {
        self.own.len()
    }
}

impl From<Bytes> for Body {
    fn from(own: Bytes) -> Self {
        Self { own, ..Self::default() }
    }
}

impl From<Vec<u8>> for Body {
    fn from(own: Vec<u8>) -> Self {
        Bytes::from(own).into()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Body {
    fn eq(&self, other: &T) -> bool {
        let mut rest = Some(other.as_ref());
        for piece in self.pieces() {
            rest = rest.and_then(|rest| rest.strip_prefix(piece));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.whole().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_that_shares_is_the_same_body(
            (start, own, end) in (bytes(), bytes(), bytes()),
            more in bytes(),
            (from, to) in (0..60_usize, 0..60_usize),
        ) {
            let earlier = Bytes::from([&start[..], &more, &end].concat());
            let whole = [&start[..], &own, &end].concat();
            let body = Body::sharing(&earlier, (start.len(), end.len()), &own);
            prop_assert_eq!(&body.whole()[..], &whole[..]);
            prop_assert_eq!(body.pieces().concat(), whole.clone());
            let part = body.part(from..to);
            prop_assert_eq!(part.as_deref(), whole.get(from..to));
            prop_assert!(body == whole && body == body.whole());
            prop_assert_eq!((body.len(), body.is_empty()), (whole.len(), whole.is_empty()));
            prop_assert_eq!((body.own_bytes(), body.crc32()), (own.len(), crc32fast::hash(&whole)));
            let other = [&whole[..], b"x"].concat();
            prop_assert!(body != other && (whole.is_empty() || body != whole[1..]));
        }
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..20)
    }
}
