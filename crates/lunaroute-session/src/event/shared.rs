//! How much memory is held by several that share some of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;

/// Counts what is held by several once, for as long as one of them holds it.
#[derive(Default)]
pub(crate) struct SharedBytes {
    /// How many hold it, by its place in memory, which is nobody else's meanwhile.
    holders: HashMap<usize, usize>,
}

impl SharedBytes {
    /// One more holds these bytes; gives how many are held more by that.
    pub(crate) fn hold(&mut self, bytes: &Bytes) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let holders = self.holders.entry(bytes.as_ptr().addr()).or_default();
        *holders += 1;
        if *holders == 1 { bytes.len() } else { 0 }
    }

    /// One of those who hold these bytes lets go; gives how many are held no more.
    pub(crate) fn let_go(&mut self, bytes: &Bytes) -> usize {
        let Entry::Occupied(mut holders) = self.holders.entry(bytes.as_ptr().addr()) else { return 0 };
        *holders.get_mut() -= 1;
        if *holders.get() > 0 {
            return 0;
        }
        holders.remove();
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_hold_counts_once_and_until_the_last_lets_go() {
        let (one, other) = (Bytes::from(vec![1; 100]), Bytes::from(vec![1; 30]));
        let mut shared = SharedBytes::default();
        assert_eq!([&one, &other, &one.clone()].map(|bytes| shared.hold(bytes)), [100, 30, 0]);
        assert_eq!([&one, &other, &one.clone()].map(|bytes| shared.let_go(bytes)), [0, 30, 100]);
        assert_eq!((shared.let_go(&one), shared.hold(&Bytes::new()), shared.holders.len()), (0, 0, 0));
    }
}
