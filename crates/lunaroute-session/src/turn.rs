//! How long a writer's thread works before it lets others go first.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// So long a writer works without asking whether somebody waits for its processor. Shorter turns spare the slowest of a
/// hundred requests a little more time, and cost all others some: threads that change often find their caches cold.
const TURN: Duration = Duration::from_micros(500);

thread_local! {
    /// When the turn of this thread began; `None` where it has no end.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Begins this thread's turn at the processor, with work that nobody waits for. One that is behind does not give way: it
/// would fall behind further.
///
/// A batch takes milliseconds, and a scheduler lets a busy thread go on for as long before it gives the processor to one
/// that has just become ready: one that answers a client, or that learns from the disk that it has a request.
pub(crate) fn begin(is_behind: bool) {
    SINCE.set((!is_behind).then(Instant::now));
}

/// To be called between two pieces of work: ends the turn when it is long enough, and begins the next. Says whether it did.
pub(crate) fn between() -> bool {
    let ends = SINCE.get().is_some_and(|since| since.elapsed() >= TURN);
    if ends {
        std::thread::yield_now();
        SINCE.set(Some(Instant::now()));
    }
    ends
}

/// Begins a turn that is over, does some work, and says whether another was begun meanwhile.
#[cfg(test)]
pub(crate) fn ends_during(work: impl FnOnce()) -> bool {
    let long_ago = Instant::now().checked_sub(TURN);
    SINCE.set(long_ago);
    work();
    SINCE.get() != long_ago
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_when_it_is_long_and_the_thread_is_not_behind() {
        assert!(!between(), "none was begun");
        begin(false);
        let ended = (0..).find(|_| between()).map(|_| SINCE.get());
        assert!(ended.is_some_and(|since| since.is_some()), "another follows it");
        let long_ago = Instant::now().checked_sub(TURN * 2);
        begin(true);
        assert!(!between());
        SINCE.set(long_ago);
        assert!(between());
    }
}
