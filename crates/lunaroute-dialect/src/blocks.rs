//! Numbers for the blocks of an answer.

/// How many blocks of one answer get a number of their own; what comes later shares the last number.
const LIMIT: usize = 4096;

/// Numbers a vendor's blocks from 0 in order of appearance.
#[derive(Debug)]
pub(crate) struct Blocks<Key> {
    known: Vec<Key>,
}

impl<Key> Default for Blocks<Key> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<Key: PartialEq> Blocks<Key> {
    /// The block's number; it gets one when it has none.
    pub(crate) fn number(&mut self, key: Key) -> u32 {
        // Searched from the end: the block that is written to is nearly always the newest.
        let place = self.known.iter().rposition(|known| *known == key).unwrap_or_else(|| {
            if self.known.len() < LIMIT {
                self.known.push(key);
            }
            self.known.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Whether any known block meets the condition.
    pub(crate) fn any(&self, condition: impl FnMut(&Key) -> bool) -> bool {
        self.known.iter().any(condition)
    }
}
