//! How long a writer's thread works before it lets others go first.

use std::time::{Duration, Instant};

/// So long a writer works without asking whether somebody waits for its processor. Shorter turns spare the slowest of a
/// hundred requests a little more time, and cost all others some: threads that change often find their caches cold.
const TURN: Duration = Duration::from_micros(500);

/// A batch of so many events is one of many: whoever is behind does not give way, for it would fall behind further.
const MANY_EVENTS: usize = 3_072;

/// The turn of a thread whose work nobody waits for.
///
/// A batch takes milliseconds, and a scheduler lets a busy thread go on for as long before it gives the processor to one
/// that has just become ready: one that answers a client, or that learns from the disk that it has a request.
pub(crate) struct Turn {
    /// When it began; `None` when it has no end.
    since: Option<Instant>,
}

impl Turn {
    /// The first turn with a batch of so many events.
    pub(crate) fn with(events: usize) -> Self {
        Self { since: (events < MANY_EVENTS).then(Instant::now) }
    }

    /// To be called between two pieces of work: ends the turn when it is long enough, and begins the next.
    pub(crate) fn between(&mut self) {
        if let Some(since) = &mut self.since
            && since.elapsed() >= TURN
        {
            std::thread::yield_now();
            *since = Instant::now();
        }
    }
}
