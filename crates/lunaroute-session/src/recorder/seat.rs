//! Whose turn it is at the journal.
//!
//! The pen has a thread of its own. Where that sleeps and there is little to do, who would wait for it does its work instead:
//! to wake a thread, and to be woken by it, takes longer than the work itself. Such a guest never waits, neither for the
//! seat nor for anything that is known to take long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::pen::{Look, Pen};
use super::shared::Shared;

/// A guest that has the seat for longer than this is held up by the disk.
const GUEST_TIME: Duration = Duration::from_millis(10);

/// Where the pen lies while nobody writes with it.
#[derive(Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    pen: Option<Box<Pen>>,
    /// Whoever wrote last did not come to the end of it: nobody is to go on from there.
    broken: bool,
    /// The pen's thread wants it back.
    awaited: bool,
    /// Where the guest that has it works otherwise.
    runtime: Option<Handle>,
}

/// Who does the work of the pen's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// A task of the client's path.
    Task,
    /// The thread that waits for the disk.
    Syncer,
}

/// What a guest leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuestTurn {
    /// Everything is done that was queued.
    Done,
    /// The pen's thread has to go on.
    Unfinished,
    /// It was not a guest's work.
    Declined,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, pen: Box<Pen>) {
        self.lock().pen = Some(pen);
    }

    /// Takes the pen, waiting for a guest to put it back.
    pub(crate) fn take(&self) -> Box<Pen> {
        let mut state = self.lock();
        loop {
            if let Some(pen) = state.pen.take() {
                return pen;
            }
            state.awaited = true;
            let waited = self.returned.wait_timeout(state, GUEST_TIME);
            let (guarded, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guarded;
            if timeout.timed_out()
                && let Some(runtime) = &state.runtime
            {
                // Perhaps all other threads of its runtime sleep, and none looks after the connections: one that is given
                // something to do does so afterwards.
                drop(runtime.spawn(std::future::ready(())));
            }
        }
    }

    /// The pen's thread writes; `None` when the work broke off, this time or an earlier one.
    pub(crate) fn write(&self, work: impl FnOnce(&mut Pen) -> Option<Look>) -> Option<Option<Look>> {
        let pen = self.take();
        if self.lock().broken {
            self.put(pen);
            return None;
        }
        self.lend(pen, work)
    }

    fn borrow(&self, runtime: Option<Handle>) -> Option<Box<Pen>> {
        let mut state = self.lock();
        if state.broken {
            return None;
        }
        let pen = state.pen.take()?;
        state.runtime = runtime;
        Some(pen)
    }

    /// Lets `work` be done and puts the pen back; `None` when it panicked.
    fn lend<R>(&self, mut pen: Box<Pen>, work: impl FnOnce(&mut Pen) -> R) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut pen))).ok();
        let mut state = self.lock();
        state.pen = Some(pen);
        state.runtime = None;
        state.broken |= result.is_none();
        let awaited = std::mem::take(&mut state.awaited);
        drop(state);
        if awaited {
            self.returned.notify_one();
        }
        result
    }
}

/// The runtime of a task, when another of its threads looks after connections and timers while the disk holds this one up.
fn spare_runtime() -> Option<Handle> {
    tokio::task::try_id()?;
    Handle::try_current().ok().filter(|runtime| runtime.metrics().num_workers() > 1)
}

impl Shared {
    /// Sees to what is queued because somebody waits for it: here, or by waking the pen's thread.
    pub(crate) fn see_to_it(&self) {
        let done = spare_runtime().is_some_and(|runtime| self.write_as_guest(Some(runtime), Guest::Task));
        if !done {
            self.queue.nudge();
        }
    }

    /// Sees to what is queued when the present task has come to a halt: what it has for its client goes first.
    pub(crate) fn see_to_it_soon(self: &Arc<Self>) {
        match Handle::try_current() {
            Ok(runtime) => {
                let shared = Arc::clone(self);
                // Without an owner: it ends at once, and where it never runs the pen's thread looks by itself.
                drop(runtime.spawn(async move { shared.see_to_it() }));
            }
            Err(_) => self.queue.nudge(),
        }
    }

    /// Does what the pen's thread would do if it were awake; says whether that is done, or somebody is at it.
    pub(crate) fn write_as_guest(&self, runtime: Option<Handle>, guest: Guest) -> bool {
        let Some(pen) = self.seat.borrow(runtime) else {
            // Whoever has it looks at the queue again when it is back, but perhaps not for the next sync.
            return guest != Guest::Syncer;
        };
        match self.seat.lend(pen, |pen| pen.write_as_guest(guest)) {
            Some(GuestTurn::Declined) => return false,
            Some(GuestTurn::Unfinished) | None => self.queue.call(),
            // Perhaps others found the seat taken.
            Some(GuestTurn::Done) => self.queue.nudge(),
        }
        true
    }
}
