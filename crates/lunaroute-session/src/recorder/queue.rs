//! The bounded way from the client's path to the pen.
//!
//! Frames are bounded by bytes: a stream asks for room before it reads on. Notes that say how a request goes are small
//! and few per request, so only the number of requests that may begin is bounded; what belongs to an accepted request is
//! always taken, so that its end is never lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use lunaroute_core::RequestId;

use super::note::{Entry, Note, NoteKind};
use super::opening::Opening;

/// What a note costs beside its bytes, so that tiny frames are bounded too.
pub(crate) const NOTE_BYTES: usize = 256;

/// What a note with headers costs beside that: about what a dozen of them take in memory.
pub(crate) const HEAD_BYTES: usize = 2 * 1024;

/// With so many entries waiting, no further request is taken.
const BEGIN_LIMIT: usize = 100_000;

/// So many waiting bytes wake the pen even though it would look by itself soon.
const WAKE_BYTES: usize = 512 * 1024;

/// With more entries or bytes waiting than this the pen's thread does its work itself.
const FEW_ENTRIES: usize = 256;
const FEW_BYTES: usize = 256 * 1024;

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    /// When the first of `entries` was queued.
    oldest: Option<Instant>,
    bytes: usize,
    /// Whether `entries` holds anything that somebody waits for.
    urgent: bool,
    /// Somebody will see to what is urgent: nobody else need.
    promised: bool,
    /// Among `entries` is one that may take long.
    heavy: bool,
    pen: Pen,
    /// The pen is to look although nothing came.
    called: bool,
    /// Set once: everything is to be written by this time, then the pen ends.
    stop_by: Option<Instant>,
}

/// What the pen is doing.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Pen {
    #[default]
    Busy,
    /// It waits for anything.
    Waiting,
    /// It waits, and looks for what nobody waits for by itself within the coalescing time: waking it for each would cost
    /// the client's path a system call per frame.
    Lazy,
    /// It has ended; nobody will ever read the queue.
    Gone,
}

pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    budget: usize,
    waiting_bytes: AtomicUsize,
    waiting_notes: AtomicUsize,
    /// Streams that wait for room.
    wakers: Mutex<HashMap<RequestId, Waker>>,
    wakers_count: AtomicUsize,
}

/// What [`Queue::take`] says beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// When the first of the entries was queued.
    pub(crate) oldest: Option<Instant>,
    /// The pen is to end, and everything that was queued before it was told so is among the entries. Both are seen under
    /// one lock: whoever asked for the end afterwards would find entries between that nobody took.
    pub(crate) stopping: bool,
}

/// What is left to do for whoever has queued an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an entry that somebody waits for may lie until the pen looks by itself"]
pub(crate) enum Queued {
    /// Nothing: the pen knows, or nobody waits for it.
    Settled,
    /// The pen sleeps and is to be told, or its work to be done, when there is time for that.
    Sleeping,
}

/// The queue did not take an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Gone,
}

impl Queue {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Condvar::new(),
            budget,
            waiting_bytes: AtomicUsize::new(0),
            waiting_notes: AtomicUsize::new(0),
            wakers: Mutex::default(),
            wakers_count: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry. Its charge is given back by [`release`](Self::release).
    ///
    /// A pen that is about to look by itself is not woken: that is a system call, and who queues what somebody waits for can
    /// choose a better moment for it, or do the work.
    pub(crate) fn push(&self, entry: Entry, now: Instant) -> Result<Queued, Refused> {
        let (charge, is_urgent, is_begin, is_heavy, is_flush) = match &entry {
            Entry::Note(Note { charge, kind, is_heavy, .. }) => {
                let is_begin = matches!(kind, NoteKind::Begin(_));
                (*charge, is_begin || matches!(kind, NoteKind::Close(_)), is_begin, *is_heavy, false)
            }
            Entry::Flush(_) => (0, true, false, true, true),
        };
        let mut inner = self.lock();
        if inner.pen == Pen::Gone {
            return Err(Refused::Gone);
        }
        if is_begin && inner.entries.len() >= BEGIN_LIMIT {
            return Err(Refused::Full);
        }
        if let Entry::Note(note) = &entry {
            self.waiting_bytes.fetch_add(charge, Ordering::SeqCst);
            self.waiting_notes.fetch_add(note.count as usize, Ordering::Relaxed);
        }
        inner.entries.push(entry);
        inner.urgent |= is_urgent;
        inner.heavy |= is_heavy;
        inner.oldest.get_or_insert(now);
        inner.bytes += charge;
        let wakes = match inner.pen {
            Pen::Waiting => true,
            Pen::Lazy => is_flush || inner.bytes >= WAKE_BYTES,
            Pen::Busy | Pen::Gone => false,
        };
        if wakes {
            self.wake_pen(inner);
            return Ok(Queued::Settled);
        }
        // Who begins a request waits for it, and sees to it then.
        let sleeping = inner.pen == Pen::Lazy && is_urgent && !is_begin;
        let unseen = sleeping && !std::mem::replace(&mut inner.promised, true);
        Ok(if unseen { Queued::Sleeping } else { Queued::Settled })
    }

    /// Waits until there is something for the pen's thread, or until `until`. With `lazy`, what nobody waits for ends the
    /// wait only when it is much.
    pub(crate) fn wait(&self, until: Option<Instant>, lazy: bool) {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            let due = until.is_some_and(|until| until <= now);
            let enough =
                if lazy { inner.urgent || inner.bytes >= WAKE_BYTES } else { !inner.entries.is_empty() };
            if due || enough || std::mem::take(&mut inner.called) || inner.stop_by.is_some() {
                inner.pen = Pen::Busy;
                return;
            }
            inner.pen = if lazy { Pen::Lazy } else { Pen::Waiting };
            inner = match until {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    self.wake.wait_timeout(inner, until - now).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Moves everything that waits into `entries`. For the pen's thread, after a [`wait`](Self::wait).
    pub(crate) fn take(&self, entries: &mut Vec<Entry>) -> Taken {
        take(&mut self.lock(), entries)
    }

    /// Moves everything that waits into `entries`, for somebody who does the work of the pen's thread; nothing when that
    /// is awake, and when there is much, or anything that takes long.
    pub(crate) fn take_few(&self, entries: &mut Vec<Entry>) -> Option<Taken> {
        let mut inner = self.lock();
        let few = inner.entries.len() <= FEW_ENTRIES && inner.bytes <= FEW_BYTES && !inner.heavy;
        let sleeps = matches!(inner.pen, Pen::Lazy | Pen::Waiting) && inner.stop_by.is_none();
        (few && sleeps).then(|| take(&mut inner, entries))
    }

    /// Wakes the pen when it sleeps although somebody waits for what is queued.
    pub(crate) fn nudge(&self) {
        let inner = self.lock();
        if inner.urgent && matches!(inner.pen, Pen::Lazy | Pen::Waiting) {
            self.wake_pen(inner);
        }
    }

    fn wake_pen(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.pen = Pen::Busy;
        drop(inner);
        self.wake.notify_one();
    }

    /// Wakes the pen.
    pub(crate) fn call(&self) {
        self.lock().called = true;
        self.wake.notify_all();
    }

    /// Lets the pen wait before it tries the disk again: until `until`, or until it is to stop.
    pub(crate) fn pause(&self, until: Instant) {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            if now >= until || inner.stop_by.is_some_and(|stop_by| stop_by <= now) {
                return;
            }
            let end = inner.stop_by.map_or(until, |stop_by| stop_by.min(until));
            inner = self.wake.wait_timeout(inner, end - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the pen to write everything by `by` and end.
    pub(crate) fn stop(&self, by: Instant) {
        let mut inner = self.lock();
        inner.stop_by = Some(inner.stop_by.map_or(by, |earlier| earlier.min(by)));
        drop(inner);
        self.wake.notify_all();
    }

    pub(crate) fn stop_by(&self) -> Option<Instant> {
        self.lock().stop_by
    }

    /// Ends the queue and gives back what nobody will write.
    pub(crate) fn end(&self) -> Vec<Entry> {
        let mut inner = self.lock();
        inner.pen = Pen::Gone;
        inner.oldest = None;
        let left = std::mem::take(&mut inner.entries);
        drop(inner);
        self.wake_all();
        left
    }

    /// Notes and bytes that have left the way: they are in the journal, or lost and counted.
    pub(crate) fn release(&self, notes: u64, bytes: usize) {
        self.waiting_notes.fetch_sub(usize::try_from(notes).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
        if self.wakers_count.load(Ordering::SeqCst) > 0 && self.has_room() {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        self.wakers_count.store(0, Ordering::SeqCst);
        woken.into_values().for_each(Waker::wake);
    }

    /// Whether the budget has room. One entry may go beyond it, so that a body larger than the budget passes at all.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes.load(Ordering::SeqCst) < self.budget
    }

    /// Ready when there is room, for this request too; else the task is woken when there may be.
    pub(crate) fn poll_room(
        &self,
        request: RequestId,
        opening: &Opening,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let has_room = || self.has_room() && opening.has_room();
        if has_room() {
            return Poll::Ready(());
        }
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.insert(request, context.waker().clone());
        self.wakers_count.store(wakers.len(), Ordering::SeqCst);
        drop(wakers);
        // Room may have come between the first look and the registration.
        if has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The request has room again.
    pub(crate) fn wake(&self, request: RequestId) {
        if self.wakers_count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = wakers.remove(&request);
        self.wakers_count.store(wakers.len(), Ordering::SeqCst);
        drop(wakers);
        woken.into_iter().for_each(Waker::wake);
    }

    /// The stream does not wait for room any more.
    pub(crate) fn forget_waker(&self, request: RequestId) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.remove(&request);
        self.wakers_count.store(wakers.len(), Ordering::SeqCst);
    }

    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting_notes.load(Ordering::Relaxed), self.waiting_bytes.load(Ordering::SeqCst))
    }

    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.lock().oldest
    }
}

fn take(inner: &mut Inner, entries: &mut Vec<Entry>) -> Taken {
    (inner.bytes, inner.urgent, inner.promised, inner.heavy) = (0, false, false, false);
    std::mem::swap(&mut inner.entries, entries);
    Taken { oldest: inner.oldest.take(), stopping: inner.stop_by.is_some() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::recorder::barrier::Barrier;

    /// As the pen does: takes until it is told to end; gives how many entries it got.
    fn entries_until_the_end(queue: &Queue) -> usize {
        let (mut entries, mut got) = (Vec::new(), 0);
        loop {
            queue.wait(None, false);
            let taken = queue.take(&mut entries);
            // Where it may lose its turn to whoever queues more and then asks for the end.
            thread::yield_now();
            got += entries.drain(..).count();
            if taken.stopping {
                return got;
            }
        }
    }

    #[test]
    fn what_was_queued_before_the_stop_is_taken_before_the_end() {
        const ROUNDS: usize = 2_000;
        let flush = || Entry::Flush(Arc::new(Barrier::default()));
        let lost = (0..ROUNDS).filter(|_| {
            let queue = Queue::new(1);
            thread::scope(|scope| {
                let pen = scope.spawn(|| entries_until_the_end(&queue));
                for _ in 0..3 {
                    let queued = queue.push(flush(), Instant::now());
                    assert_eq!(queued, Ok(Queued::Settled), "the pen is there");
                }
                queue.stop(Instant::now() + Duration::from_secs(5));
                pen.join().expect("the pen ends") != 3
            })
        });
        assert_eq!(lost.count(), 0, "of {ROUNDS} ends, so many lost what came just before");
    }
}
