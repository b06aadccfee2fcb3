//! How far the journal may be read, what it holds last, and what the recorder wants of its projectors.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lunaroute_storage::journal::Position;

use super::ring::{Chunk, RING_BYTES, Ring};

/// So many events, or a quarter of the ring, end a projector's patience before its batch is due.
const HURRY_EVENTS: usize = 2_048;
const HURRY_BYTES: usize = RING_BYTES / 4;

/// After everything: what a projector wants that has ended.
const NOWHERE: Position = Position { segment: u64::MAX, offset: u64::MAX };

/// What the projectors are to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// The journal is durable up to here.
    pub(crate) end: Position,
    /// Grows when much has come, so that the ring is emptied before it runs over.
    hurry: u64,
    /// Number of the last flush that was asked for.
    pub(crate) flush: u64,
    /// Everything is to be written by this time, then the projectors end.
    pub(crate) stop_by: Option<Instant>,
}

#[derive(Default)]
struct Inner {
    target: Target,
    ring: Ring,
    /// How far each projector has got.
    readers: Vec<Position>,
    /// What has come since the projectors were last hurried.
    events: usize,
    bytes: usize,
    /// Projectors that wait for anything to come.
    idle: usize,
}

/// Set by the recorder, watched by the projectors.
#[derive(Default)]
pub(crate) struct Published {
    inner: Mutex<Inner>,
    wake: Condvar,
}

impl Published {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn target(&self) -> Target {
        self.lock().target
    }

    /// The journal is durable up to `end`. `chunk` holds what has come since the last call; without it the projectors
    /// read the journal.
    pub(crate) fn publish(&self, end: Position, chunk: Option<Chunk>) {
        let mut inner = self.lock();
        if inner.target.end >= end {
            return;
        }
        if let Some(chunk) = chunk.filter(|_| !inner.readers.is_empty()) {
            inner.events += chunk.events.len();
            inner.bytes += inner.ring.push(chunk);
        }
        inner.target.end = end;
        let hurried = inner.events >= HURRY_EVENTS || inner.bytes >= HURRY_BYTES;
        if hurried {
            (inner.events, inner.bytes) = (0, 0);
            inner.target.hurry += 1;
        }
        let wakes = hurried || inner.idle > 0;
        drop(inner);
        if wakes {
            self.wake.notify_all();
        }
    }

    /// A projector that begins to read.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        let mut inner = self.lock();
        inner.readers.push(Position::default());
        Reader { published: Arc::clone(self), number: inner.readers.len() - 1 }
    }

    /// Asks for a flush of everything that is published by now; gives its number.
    pub(crate) fn flush(&self) -> u64 {
        let mut inner = self.lock();
        inner.target.flush += 1;
        self.wake.notify_all();
        inner.target.flush
    }

    pub(crate) fn stop(&self, by: Instant) {
        let mut inner = self.lock();
        let stop_by = &mut inner.target.stop_by;
        *stop_by = Some(stop_by.map_or(by, |earlier| earlier.min(by)));
        self.wake.notify_all();
    }

    /// Waits until the target is another than `seen`, or until `until`. With `patient`, more events alone end the wait
    /// only when they are many.
    pub(crate) fn wait(&self, seen: Target, until: Option<Instant>, patient: bool) {
        let mut inner = self.lock();
        inner.idle += usize::from(!patient);
        loop {
            let compared = if patient { Target { end: seen.end, ..inner.target } } else { inner.target };
            let now = Instant::now();
            if compared != seen || until.is_some_and(|until| until <= now) {
                break;
            }
            inner = match until {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    self.wake.wait_timeout(inner, until - now).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        inner.idle -= usize::from(!patient);
    }

    /// Waits until `until` before something is tried again; a shutdown that is asked for meanwhile ends the wait, and
    /// `false` says that its time is over.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut inner = self.lock();
        let stopping = inner.target.stop_by.is_some();
        loop {
            let now = Instant::now();
            match inner.target.stop_by {
                Some(stop_by) if stop_by <= now => return false,
                Some(_) if !stopping => return true,
                _ if now >= until => return true,
                _ => {}
            }
            let end = inner.target.stop_by.map_or(until, |stop_by| stop_by.min(until));
            inner = self.wake.wait_timeout(inner, end - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What is published, for one projector.
pub(crate) struct Reader {
    published: Arc<Published>,
    number: usize,
}

impl Reader {
    /// What stands in the journal from `position` on, when it is still at hand; else where the next begins that is. What
    /// is before `position` is not wanted again: when no projector wants it, it goes.
    pub(crate) fn at(&self, position: Position) -> Result<Arc<Chunk>, Option<Position>> {
        let mut inner = self.published.lock();
        let gone = inner.let_go(self.number, position);
        let found = inner.ring.at(position).ok_or_else(|| inner.ring.next_start(position));
        drop(inner);
        // Its events are freed when nobody waits for the lock any more.
        drop(gone);
        found
    }

    /// What is before `position` is not wanted again.
    pub(crate) fn reached(&self, position: Position) {
        let gone = self.published.lock().let_go(self.number, position);
        drop(gone);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reached(NOWHERE);
    }
}

impl Inner {
    /// A projector wants nothing before `position` any more; gives what nobody wants.
    fn let_go(&mut self, number: usize, position: Position) -> Vec<Arc<Chunk>> {
        if let Some(reader) = self.readers.get_mut(number) {
            *reader = position;
        }
        let slowest = self.readers.iter().min().copied().unwrap_or_default();
        self.ring.let_go(slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Body;
    use crate::projector::ring::tests::item;

    fn at(offset: u64) -> Position {
        Position { segment: 1, offset }
    }

    fn chunk(start: u64, end: u64) -> Option<Chunk> {
        Some(Chunk::new(at(start), at(end), Vec::new()))
    }

    #[test]
    fn what_every_projector_has_goes_and_not_before() {
        let published = Arc::new(Published::default());
        let (quick, slow) = (published.reader(), published.reader());
        published.publish(at(10), chunk(0, 10));
        published.publish(at(20), chunk(10, 20));
        let held = |start| published.lock().ring.at(at(start)).is_some();
        assert!(quick.at(at(0)).is_ok() && quick.at(at(10)).is_ok());
        quick.reached(at(20));
        assert!(held(0) && held(10), "the other one has not asked yet");
        assert!(slow.at(at(0)).is_ok() && slow.at(at(10)).is_ok());
        assert!(!held(0) && held(10), "it stands in the second");
        // One that goes back finds the journal alone, and holds what comes from there on.
        assert_eq!(quick.at(at(0)).err(), Some(Some(at(10))));
        slow.reached(at(20));
        assert!(held(10));
        drop(quick);
        assert!(!held(10), "a projector that has ended wants nothing");
        drop(slow);
        published.publish(at(30), chunk(20, 30));
        assert!(published.reader().at(at(30)).is_err());
    }

    #[test]
    fn without_projectors_nothing_is_held() {
        let published = Published::default();
        published.publish(at(10), chunk(0, 10));
        assert!(published.lock().ring.at(at(0)).is_none());
    }

    #[test]
    fn what_bodies_share_hurries_too() {
        let published = Arc::new(Published::default());
        let _reader = published.reader();
        let hurried = |number: u64| {
            let earlier = bytes::Bytes::from(vec![b'x'; HURRY_BYTES / 4 + 1]);
            let body = Body::sharing(&earlier, (earlier.len(), 0), b"new");
            let (start, end) = (at(number * 10), at(number * 10 + 10));
            published.publish(end, Some(Chunk::new(start, end, vec![item(start, end, body)])));
            published.target().hurry
        };
        assert_eq!([0, 1, 2, 3].map(hurried), [0, 0, 0, 1]);
    }
}
