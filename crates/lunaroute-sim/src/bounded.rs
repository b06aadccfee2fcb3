//! A map that never grows past its capacity.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Forgets its oldest entry when a new one does not fit.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V> BoundedMap<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity: capacity.max(1) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// The value of the key, put there first when it is absent.
    pub(crate) fn entry(&mut self, key: K, first: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            while self.order.len() >= self.capacity {
                if let Some(oldest) = self.order.pop_front() {
                    self.entries.remove(&oldest);
                }
            }
            self.order.push_back(key.clone());
        }
        self.entries.entry(key).or_insert_with(first)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut map = BoundedMap::new(2);
        for key in [1, 2, 1, 3] {
            *map.entry(key, || 0) += 1;
        }
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (None, Some(&1), Some(&1)));
    }
}
