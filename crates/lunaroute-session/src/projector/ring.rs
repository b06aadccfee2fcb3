//! The events that went to the journal last, so that writers which keep up never read it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use lunaroute_storage::journal::Position;

use crate::event::{Body, SharedBytes};
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
    /// What its events take in memory, but for what they share.
    bytes: usize,
    /// The earlier bodies of which they share something: gathered here, where nobody waits for a lock.
    shared: Vec<Bytes>,
}

impl Chunk {
    pub(crate) fn new(start: Position, end: Position, events: Vec<JournaledEvent>) -> Self {
        let bodies = || events.iter().map(|item| &item.event.body);
        let bytes = bodies().map(|body| body.own_bytes() + EVENT_BYTES).sum();
        let shared = bodies().filter_map(Body::earlier).cloned().collect();
        Self { start, end, events, bytes, shared }
    }
}

/// What an event counts against a bound in bytes, with what it shares: whoever holds it may be the last who does.
pub(crate) fn bytes_of(item: &JournaledEvent) -> usize {
    let body = &item.event.body;
    body.own_bytes() + body.earlier().map_or(0, Bytes::len) + EVENT_BYTES
}

/// Chunks in the order of the journal. Where one is missing, the next begins later than the one before ends.
#[derive(Default)]
pub(crate) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    shared: SharedBytes,
    bytes: usize,
}

impl Ring {
    /// Takes a chunk in; the oldest go when there are too many bytes. One that is larger than the ring is left out. Gives
    /// the bytes that it adds.
    pub(crate) fn push(&mut self, chunk: Chunk) -> usize {
        let added = chunk.bytes + chunk.shared.iter().map(|earlier| self.shared.hold(earlier)).sum::<usize>();
        self.bytes += added;
        if added > RING_BYTES {
            self.discount(&chunk);
            return added;
        }
        self.chunks.push_back(Arc::new(chunk));
        while self.bytes > RING_BYTES
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.discount(&oldest);
        }
        added
    }

    fn discount(&mut self, chunk: &Chunk) {
        let shared: usize = chunk.shared.iter().map(|earlier| self.shared.let_go(earlier)).sum();
        self.bytes -= chunk.bytes + shared;
    }

    /// The chunk that begins at `position`.
    pub(crate) fn at(&self, position: Position) -> Option<Arc<Chunk>> {
        let index = self.chunks.binary_search_by_key(&position, |chunk| chunk.start).ok()?;
        self.chunks.get(index).cloned()
    }

    /// Takes out what ends at `position` or before.
    pub(crate) fn let_go(&mut self, position: Position) -> Vec<Arc<Chunk>> {
        let count = self.chunks.partition_point(|chunk| chunk.end <= position);
        let gone: Vec<_> = self.chunks.drain(..count).collect();
        gone.iter().for_each(|chunk| self.discount(chunk));
        gone
    }

    /// Where the first chunk begins that is not before `position`.
    pub(crate) fn next_start(&self, position: Position) -> Option<Position> {
        let index = self.chunks.partition_point(|chunk| chunk.start < position);
        self.chunks.get(index).map(|chunk| chunk.start)
    }
}

#[cfg(test)]
pub(in crate::projector) mod tests {
    use super::*;
    use crate::event::{EventKind, SessionEvent};

    fn at(offset: u64) -> Position {
        Position { segment: 1, offset }
    }

    fn chunk(start: u64, end: u64, bytes: usize) -> Chunk {
        Chunk { bytes, ..Chunk::new(at(start), at(end), Vec::new()) }
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

    /// An event with this body.
    pub(in crate::projector) fn item(position: Position, next: Position, body: Body) -> JournaledEvent {
        let event = SessionEvent {
            session: lunaroute_core::SessionId::parse("s").expect("a session id"),
            request: lunaroute_core::RequestId::from_bytes([1; 16]),
            seq: 0,
            at: lunaroute_core::Timestamp::from_micros(0),
            kind: EventKind::ProviderDelta { frames: 1 },
            body,
        };
        JournaledEvent { position, next, event: Arc::new(event) }
    }

    fn chunk_of(start: u64, body: Body) -> Chunk {
        let (start, end) = (at(start), at(start + 10));
        Chunk::new(start, end, vec![item(start, end, body)])
    }

    #[test]
    fn what_bodies_share_counts_once_and_as_long_as_one_of_them_is_there() {
        let earlier = Bytes::from(vec![b'x'; RING_BYTES / 2]);
        let shares = |start: u64| chunk_of(start, Body::sharing(&earlier, (earlier.len(), 0), b"new"));
        let mut ring = Ring::default();
        let added = [0, 1, 2, 3].map(|number| ring.push(shares(number * 10)));
        let own = shares(0).bytes;
        assert!(own < 1_000);
        assert_eq!(added, [earlier.len() + own, own, own, own]);
        assert_eq!(ring.bytes, earlier.len() + 4 * own);
        ring.let_go(at(30));
        assert_eq!(ring.bytes, earlier.len() + own);
        ring.let_go(at(40));
        assert_eq!(ring.bytes, 0);
        // Each of its own: the third makes the first go, although they have next to nothing alone.
        let mut push = |number: u64, bytes| {
            let earlier = Bytes::from(vec![b'y'; bytes]);
            ring.push(chunk_of(number * 10, Body::sharing(&earlier, (bytes, 0), b"new")))
        };
        let added = [0, 1, 2].map(|number| push(number, RING_BYTES / 2 - 2 * own));
        assert!(added.iter().all(|added| *added > RING_BYTES / 3));
        push(3, RING_BYTES);
        assert!(ring.at(at(30)).is_none(), "larger than the ring with what it shares");
        assert!(ring.at(at(0)).is_none() && ring.at(at(10)).is_some() && ring.bytes <= RING_BYTES);
    }
}
