//! A waker that can be told to keep still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// What a connection rings when there is something to do for it. Rung while it is muted, it wakes nobody.
///
/// A connection and the one who reads from it are driven by the same task, and each tells the other of every step. Those
/// calls would wake a task that runs already, and have it run once more for nothing.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    listener: AtomicWaker,
    is_muted: AtomicBool,
}

impl Bell {
    /// From now on this waker is woken.
    pub(crate) fn call(&self, waker: &Waker) {
        self.listener.register(waker);
    }

    /// Runs `step` with the bell muted. A ring of the socket that falls into this time is lost, so the connection has to
    /// be polled before anybody waits for it: that looks at the socket anew.
    pub(crate) fn muted<T>(&self, step: impl FnOnce() -> T) -> T {
        self.is_muted.store(true, Ordering::Release);
        let result = step();
        self.is_muted.store(false, Ordering::Release);
        result
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_muted.load(Ordering::Acquire) {
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
        let bell = Arc::new(Bell::default());
        let rope = Waker::from(Arc::clone(&bell));
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        bell.call(&Waker::from(Arc::clone(&first)));
        bell.call(&Waker::from(Arc::clone(&second)));
        bell.muted(|| rope.wake_by_ref());
        let rung = || (first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed));
        assert_eq!(rung(), (0, 0));
        rope.wake_by_ref();
        assert_eq!(rung(), (0, 1));
    }
}
