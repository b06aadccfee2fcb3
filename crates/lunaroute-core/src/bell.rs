//! A waker that can be told to keep still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

const OPEN: u8 = 0;
const MUTED: u8 = 1;
const RUNG: u8 = 2;

/// What a connection rings when there is something to do for it. Rung while it is muted, it wakes nobody, and says so
/// afterwards.
///
/// A connection and the one who reads from it, or answers on it, are driven by the same task, and each tells the other of
/// every step. Those calls would wake a task that runs already, have it run once more for nothing, and wake another thread
/// of its runtime in case that finds the time.
#[derive(Debug, Default)]
pub struct Bell {
    listener: AtomicWaker,
    state: AtomicU8,
}

impl Bell {
    /// A bell, and the waker that rings it.
    #[must_use]
    pub fn hung() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        let rope = Waker::from(Arc::clone(&bell));
        (bell, rope)
    }

    /// From now on this waker is woken.
    pub fn call(&self, waker: &Waker) {
        self.listener.register(waker);
    }

    /// Runs `step` with the bell muted. The second value says whether it was rung meanwhile: that may have been the
    /// socket, so the connection has to be polled again before anybody waits for it.
    pub fn muted<T>(&self, step: impl FnOnce() -> T) -> (T, bool) {
        self.state.swap(MUTED, Ordering::AcqRel);
        let result = step();
        // One step, so that a ring from another thread is either seen here or wakes the listener.
        let was_rung = self.state.swap(OPEN, Ordering::AcqRel) & RUNG != 0;
        (result, was_rung)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Written by each ringer, also when another has rung: whoever sees the bell rung sees what each has brought.
        let before = self.state.fetch_or(RUNG, Ordering::AcqRel);
        if before & MUTED == 0 {
            self.listener.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_rings_for_the_last_caller_and_not_while_it_is_muted() {
        let (bell, rope) = Bell::hung();
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        bell.call(&Waker::from(Arc::clone(&first)));
        bell.call(&Waker::from(Arc::clone(&second)));
        let rung = || (first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed));
        assert_eq!(bell.muted(|| 7), (7, false));
        assert_eq!(bell.muted(|| (0..3).for_each(|_| rope.wake_by_ref())), ((), true), "never forgotten");
        assert_eq!(bell.muted(|| ()), ((), false));
        assert_eq!(rung(), (0, 0));
        rope.wake_by_ref();
        assert_eq!(rung(), (0, 1));
    }
}
