//! The thread that waits for the disk, so that the pen need not.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lunaroute_storage::journal::{FinishedSync, PendingSync};

use super::config::SyncPolicy;
use super::figures::add;
use super::opening::{Opening, Stage};
use super::patience::Patience;
use super::seat::Guest;
use super::shared::{Shared, micros};
use crate::projector::Chunk;

/// A sync, and what is to be told when it is done.
pub(crate) struct Job {
    pub(crate) sync: PendingSync,
    /// Starts that are durable with it.
    pub(crate) openings: Vec<Arc<Opening>>,
    /// What the projectors can have then.
    pub(crate) chunk: Option<Chunk>,
}

/// What became of a [`Job`].
pub(crate) struct Done {
    pub(crate) finished: FinishedSync,
    /// Starts that are not durable, because it failed.
    pub(crate) openings: Vec<Arc<Opening>>,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    done: Option<Done>,
    /// A job was handed over and its outcome not taken back.
    busy: bool,
    /// The pen wants to be woken when the job is done and no pause follows, or when that is over.
    awaited: bool,
    /// A request came to wait for the disk since the last job was done, or the pause after it.
    hurried: bool,
    /// The last job is done, and more starts are let come together before the next.
    pausing: bool,
    patience: Patience,
    closed: bool,
}

/// Between the pen and the thread. One job at a time: what comes meanwhile, and for a [while](Patience) after it, shares
/// the next.
#[derive(Default)]
pub(crate) struct Syncer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Syncer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over; gives it back when the thread has ended.
    #[must_use]
    pub(crate) fn submit(&self, job: Job) -> Option<Job> {
        let mut state = self.lock();
        if state.closed {
            return Some(job);
        }
        (state.job, state.busy, state.awaited, state.pausing) = (Some(job), true, false, false);
        drop(state);
        self.changed.notify_all();
        None
    }

    /// Whether a job is under way or its outcome not taken back.
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().busy
    }

    /// Whether the next job is to wait, for one that is under way or for the end of a pause; the pen is woken then. `much`
    /// waits for no pause.
    pub(crate) fn defers(&self, much: bool) -> bool {
        let mut state = self.lock();
        let is_under_way = state.busy && state.done.is_none();
        let defers = !state.closed && (is_under_way || state.pausing && !much);
        state.awaited |= defers;
        defers
    }

    /// Somebody waits for what is not durable: nothing is put off any more.
    pub(crate) fn hurry(&self) {
        let mut state = self.lock();
        let is_first = !std::mem::replace(&mut state.hurried, true);
        let wakes = is_first && state.pausing;
        drop(state);
        if wakes {
            self.changed.notify_all();
        }
    }

    /// Whether the job is done as it should be.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.lock().done.as_ref().is_some_and(|done| done.finished.succeeded())
    }

    /// Whether the job is over and nothing came of it.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().done.as_ref().is_some_and(|done| !done.finished.succeeded())
    }

    /// The outcome of the job, when it is done.
    pub(crate) fn take_done(&self) -> Option<Done> {
        let mut state = self.lock();
        let done = state.done.take();
        state.busy &= done.is_none() && !state.closed;
        done
    }

    /// Waits for the job that is under way.
    pub(crate) fn wait(&self) -> Option<Done> {
        let mut state = self.lock();
        while state.busy && state.done.is_none() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.busy = false;
        state.done.take()
    }

    /// Ends the thread when it has nothing to do any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The life of the thread.
    pub(crate) fn run(&self, shared: &Shared) {
        let _closing = Closing(self);
        while let Some(Job { sync, mut openings, chunk }) = self.next_job() {
            let (started, end, had_starts) = (Instant::now(), sync.end(), !openings.is_empty());
            let finished = sync.run();
            add(&shared.counters.syncs, 1);
            add(&shared.counters.sync_micros, micros(started.elapsed()));
            if finished.succeeded() {
                openings.drain(..).for_each(|opening| opening.advance(Stage::Durable));
                shared.published.publish(end, chunk);
            }
            let succeeded = finished.succeeded();
            let awaited = self.conclude(Done { finished, openings }, had_starts, shared.sync);
            // What came meanwhile has a sync of its own, which this thread can begin as well as the pen's.
            let begun = succeeded && awaited && shared.write_as_guest(None, Guest::Syncer);
            if !begun && (awaited || !succeeded) {
                shared.queue.call();
            }
        }
    }

    /// Tells what became of the job, and lets a while pass before the next where that harms nobody; says whether the pen
    /// wants to be woken. `had_starts`: without any it says nothing of who waits for what.
    fn conclude(&self, done: Done, had_starts: bool, policy: SyncPolicy) -> bool {
        let may_pause = had_starts && done.finished.succeeded() && policy == SyncPolicy::Group;
        let mut state = self.lock();
        state.done = Some(done);
        let hurried = std::mem::take(&mut state.hurried);
        let pause = if may_pause { state.patience.after(hurried) } else { Duration::ZERO };
        state.pausing = !pause.is_zero();
        self.changed.notify_all();
        let until = Instant::now() + pause;
        // A job that comes all the same ends it too.
        while state.pausing && !state.closed {
            if std::mem::take(&mut state.hurried) {
                state.patience.disturbed();
                break;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.pausing = false;
        state.awaited && state.job.is_none()
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.job.take() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// However the thread ends, nobody waits for it any more.
struct Closing<'a>(&'a Syncer);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests;
