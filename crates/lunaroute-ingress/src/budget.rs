//! A bound on what many requests use up together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much of something, bytes or places, for all who share it. Nobody waits for it: what is not left is refused.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// All of it.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// What is used at this moment.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes so much of it; `None` when that is not left.
    #[must_use]
    pub fn take(self: &Arc<Self>, amount: usize) -> Option<Share> {
        let mut share = self.begin();
        share.grow(amount).then_some(share)
    }

    /// A share of nothing yet.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), amount: 0 }
    }

    fn spend(&self, amount: usize) -> bool {
        let spent = |used: usize| used.checked_add(amount).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

/// A part of a [`Budget`] that is given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    amount: usize,
}

impl Share {
    /// Takes more; `false`, and nothing taken, when that is not left.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let grown = more == 0 || self.budget.spend(more);
        if grown {
            self.amount += more;
        }
        grown
    }

    /// Whether as much again would be left at this moment.
    #[must_use]
    pub fn has_room_for(&self, more: usize) -> bool {
        more <= self.budget.limit.saturating_sub(self.budget.used())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_come_back() {
        let budget = Budget::new(10);
        let first = budget.take(4).unwrap();
        let mut second = budget.begin();
        assert!(second.has_room_for(6) && !second.has_room_for(7));
        assert!(second.grow(5) && !second.grow(2) && second.grow(1));
        assert_eq!((second.amount, budget.used()), (6, 10));
        assert!(budget.take(1).is_none() && budget.take(usize::MAX).is_none());
        drop(first);
        assert_eq!(budget.used(), 6);
        assert!(second.grow(4));
        drop(second);
        assert_eq!((budget.used(), budget.limit()), (0, 10));
    }

    #[test]
    fn many_threads_never_take_more_than_there_is() {
        let budget = Budget::new(100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for amount in (1..40).cycle().take(10_000) {
                        let share = budget.take(amount);
                        assert!(budget.used() <= budget.limit());
                        drop(share);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
