//! The events that went to the journal last, so that writers which keep up never read it.

use std::collections::VecDeque;
use std::sync::Arc;

use lunaroute_storage::journal::Position;

use crate::writer::JournaledEvent;

/// Bytes of events that are kept for writers to come and take. A writer that is further behind reads the journal.
pub(crate) const RING_BYTES: usize = 16 * 1024 * 1024;

/// What an event costs beside its body: its fields and their texts.
const EVENT_BYTES: usize = 512;

/// Everything of the journal from one place to another.
pub(crate) struct Chunk {
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) events: Vec<JournaledEvent>,
    pub(crate) bytes: usize,
}

/// What an event counts against a bound in bytes.
pub(crate) fn bytes_of(item: &JournaledEvent) -> usize {
    item.event.body.len() + EVENT_BYTES
}

/// Chunks in the order of the journal. Where one is missing, the next begins later than the one before ends.
#[derive(Default)]
pub(crate) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl Ring {
    /// Takes a chunk in; the oldest go when there are too many bytes. One that is larger than the ring is left out.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        if chunk.bytes > RING_BYTES {
            return;
        }
        self.bytes += chunk.bytes;
        self.chunks.push_back(Arc::new(chunk));
        while self.bytes > RING_BYTES
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }

    /// The chunk that begins at `position`.
    pub(crate) fn at(&self, position: Position) -> Option<Arc<Chunk>> {
        let index = self.chunks.binary_search_by_key(&position, |chunk| chunk.start).ok()?;
        self.chunks.get(index).cloned()
    }

    /// Takes out what ends at `position` or before.
    pub(crate) fn let_go(&mut self, position: Position) -> Vec<Arc<Chunk>> {
        let count = self.chunks.partition_point(|chunk| chunk.end <= position);
        self.bytes -= self.chunks.range(..count).map(|chunk| chunk.bytes).sum::<usize>();
        self.chunks.drain(..count).collect()
    }

    /// Where the first chunk begins that is not before `position`.
    pub(crate) fn next_start(&self, position: Position) -> Option<Position> {
        let index = self.chunks.partition_point(|chunk| chunk.start < position);
        self.chunks.get(index).map(|chunk| chunk.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { segment: 1, offset }
    }

    fn chunk(start: u64, end: u64, bytes: usize) -> Chunk {
        Chunk { start: at(start), end: at(end), events: Vec::new(), bytes }
    }

    #[test]
    fn chunks_are_found_by_their_start_and_the_oldest_go_first() {
        let mut ring = Ring::default();
        let third = RING_BYTES / 3;
        ring.push(chunk(0, 10, third));
        ring.push(chunk(10, 20, third));
        // The one from 20 to 30 is missing.
        ring.push(chunk(30, 40, third));
        assert_eq!(ring.at(at(10)).map(|chunk| chunk.end), Some(at(20)));
        assert!(ring.at(at(20)).is_none() && ring.at(at(5)).is_none());
        assert_eq!(ring.next_start(at(11)), Some(at(30)));
        ring.push(chunk(40, 50, RING_BYTES + 1));
        assert!(ring.at(at(40)).is_none(), "larger than the ring");
        ring.push(chunk(50, 60, third));
        assert!(ring.at(at(0)).is_none(), "the oldest made room");
        assert_eq!(ring.next_start(at(0)), Some(at(10)));
        assert!(ring.bytes <= RING_BYTES && ring.at(at(50)).is_some());
        assert_eq!(ring.next_start(at(51)), None);
        let gone = ring.let_go(at(45));
        assert_eq!(gone.iter().map(|chunk| chunk.end).collect::<Vec<_>>(), [at(20), at(40)]);
        assert!(ring.let_go(at(59)).is_empty() && ring.at(at(50)).is_some());
        assert_eq!((ring.let_go(at(60)).len(), ring.bytes), (1, 0));
    }
}
