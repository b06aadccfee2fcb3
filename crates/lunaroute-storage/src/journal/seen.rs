//! Which sequence numbers a reader has passed on, so that a repeated frame is passed on once.

use std::collections::VecDeque;

/// Runs of consecutive numbers that are remembered. Only damage and restarts open a new run; past the bound the oldest
/// is forgotten, and a frame repeated from so long ago would be passed on twice rather than lost.
const MAX_RUNS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// First and last number of each run, rising.
    runs: VecDeque<(u64, u64)>,
}

impl Seen {
    /// Notes `sequence` and says whether it is new. A damaged frame leaves a hole, and the repetition of that frame
    /// is new even though later numbers have been seen.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        let index = self.runs.partition_point(|&(first, _)| first <= sequence);
        if let Some(before) = index.checked_sub(1).and_then(|before| self.runs.get_mut(before)) {
            if sequence <= before.1 {
                return false;
            }
            if sequence - before.1 == 1 {
                before.1 = sequence;
                return true;
            }
        }
        self.runs.insert(index, (sequence, sequence));
        if self.runs.len() > MAX_RUNS {
            self.runs.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_new_once_and_holes_stay_open() {
        let mut seen = Seen::default();
        let answers: Vec<bool> =
            [6, 7, 9, 10, 6, 8, 8, 9, 11, 5].into_iter().map(|number| seen.insert(number)).collect();
        assert_eq!(answers, [true, true, true, true, false, true, false, false, true, true]);
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let mut seen = Seen::default();
        for number in 0..10_000 {
            assert!(seen.insert(number * 2), "every second number is a run of its own");
        }
        assert_eq!(seen.runs.len(), MAX_RUNS);
        assert!(!seen.insert(19_998), "recent ones are known");
        assert!(seen.insert(0), "the oldest are forgotten, which repeats and does not lose");
    }
}
