//! How long a sync may be put off so that more starts share it.

use std::time::Duration;

/// The longest that it is put off.
const MOST: Duration = Duration::from_millis(5);

/// What is added after each sync that nobody waited for.
const STEP: Duration = Duration::from_micros(100);

/// The pause after a sync, before the next one begins.
///
/// A start has to be durable when the provider's answer is there, not before; and providers take longer than a disk, so a
/// sync for each start is mostly work that the next one does again. How long a provider takes is not known here, but whether
/// a request came to wait for the disk is: then the pause becomes half as long, and with each sync that none waited for a
/// little longer. Who waits ends it at once, so it costs a client what it takes to wake a thread and to sync, and that rarely.
#[derive(Debug)]
pub(crate) struct Patience {
    pause: Duration,
    most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: Duration::ZERO, most: MOST }
    }
}

impl Patience {
    /// One that pauses for this long until somebody waits.
    #[cfg(test)]
    pub(crate) fn of(pause: Duration) -> Self {
        Self { pause, most: pause }
    }

    /// The pause after a sync that somebody waited for, or nobody; `ZERO` when there is none.
    pub(crate) fn after(&mut self, was_awaited: bool) -> Duration {
        if was_awaited {
            self.disturbed();
            return Duration::ZERO;
        }
        self.pause = (self.pause + STEP).min(self.most);
        self.pause
    }

    /// Somebody had to wait: it was too long.
    pub(crate) fn disturbed(&mut self) {
        self.pause /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_nobody_waits_and_shrinks_when_somebody_does() {
        let mut patience = Patience::default();
        assert_eq!(patience.after(true), Duration::ZERO, "somebody waits from the start");
        let pauses: Vec<Duration> = (0..100).map(|_| patience.after(false)).collect();
        assert_eq!(pauses[..2], [STEP, STEP * 2]);
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&MOST), "nothing is put off for longer");
        assert_eq!(patience.after(true), Duration::ZERO, "somebody waits: the next sync begins at once");
        assert_eq!(patience.after(false), MOST / 2 + STEP);
        patience.disturbed();
        assert_eq!(patience.after(false), (MOST / 2 + STEP) / 2 + STEP);
        (0..40).for_each(|_| patience.disturbed());
        assert_eq!(patience.after(false), STEP, "where everybody waits it comes to nothing");
    }
}
