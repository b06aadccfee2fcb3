//! One turn at the journal: what is queued is taken in, written and handed to the disk.

use std::time::{Duration, Instant};

use super::Pen;
use crate::recorder::ledger::Abandoned;
use crate::recorder::note::Entry;
use crate::recorder::queue::Taken;
use crate::recorder::seat::{Guest, GuestTurn};

/// So long after the last entry the pen's thread looks for more by itself.
const LINGER: Duration = Duration::from_secs(1);

/// When turns follow each other faster, a thread of its own takes more at a time.
const BREATH: Duration = Duration::from_micros(200);

/// When the pen's thread is to look again.
pub(crate) struct Look {
    pub(crate) until: Option<Instant>,
    /// It looks soon anyhow, so that only much has to wake it.
    pub(crate) lazy: bool,
}

impl Pen {
    /// What an earlier process left open is ended before anything else.
    pub(crate) fn first_turn(&mut self) -> Option<Look> {
        self.commit().ok()?;
        self.call_roll(&[]);
        self.ledger.sync();
        Some(self.next_look())
    }

    /// Does what there is to do; `None` when that was the last, because the recorder stops.
    pub(crate) fn turn(&mut self) -> Option<Look> {
        self.do_all().ok()?
    }

    /// Fails when the recorder stops and the disk did not take everything by then.
    fn do_all(&mut self) -> Result<Option<Look>, Abandoned> {
        let mut entries = std::mem::take(&mut self.entries);
        let taken = self.shared.queue.take(&mut entries);
        self.begin_turn(&taken);
        for entry in entries.drain(..) {
            self.take_in(entry)?;
        }
        self.entries = entries;
        self.write_due_stretches(Instant::now());
        self.commit_ripe()?;
        self.ledger.sync_if_due();
        self.read_bodies();
        self.shared.hold_since(self.oldest_held());
        self.pass_barriers()?;
        self.ledger.keep_house();
        self.rest_if_idle();
        if taken.stopping {
            self.stop()?;
            return Ok(None);
        }
        Ok(Some(self.next_look()))
    }

    fn begin_turn(&mut self, taken: &Taken) {
        let now = Instant::now();
        if taken.oldest.is_some() {
            self.busy_at = now;
        }
        self.shared.hold_since([taken.oldest, self.oldest_held()].into_iter().flatten().min());
        self.outlet.batch.at(now);
    }

    /// What of it can be done without waiting, for somebody whose own work has to go on.
    pub(crate) fn write_as_guest(&mut self, guest: Guest) -> GuestTurn {
        let hectic = guest != Guest::Syncer && self.busy_at.elapsed() < BREATH;
        if hectic || !self.ledger.is_quick() {
            return GuestTurn::Declined;
        }
        let mut entries = std::mem::take(&mut self.entries);
        let Some(taken) = self.shared.queue.take_few(&mut entries) else {
            self.entries = entries;
            return GuestTurn::Declined;
        };
        self.begin_turn(&taken);
        for entry in entries.drain(..) {
            match entry {
                Entry::Note(note) => self.take_note(note),
                Entry::Flush(barrier) => self.barriers.push(barrier),
            }
        }
        self.entries = entries;
        let done = self.try_commit_ripe() && self.ledger.sync_quickly_if_due();
        self.shared.hold_since(self.oldest_held());
        // The pen's thread sleeps for as long as it thought right before this turn.
        let soon = Instant::now() + self.limits.coalesce;
        let due = self.ledger.sync_due().is_some_and(|due| guest == Guest::Syncer || due < soon);
        if done && !due { GuestTurn::Done } else { GuestTurn::Unfinished }
    }

    fn next_look(&self) -> Look {
        // Of an open request something always comes, and soon after the last one most likely another: it is looked for
        // anyhow.
        let now = Instant::now();
        let lazy = !self.open.is_empty() || now < self.busy_at + LINGER;
        let stretch = self.stretches.front().map(|(due, _)| *due);
        let unwritten = self.outlet.batch.oldest().map(|since| since + self.limits.coalesce);
        let anyhow = lazy.then(|| now + self.limits.coalesce);
        let until = [stretch, unwritten, anyhow, self.ledger.sync_due(), self.ledger.house_due()];
        Look { until: until.into_iter().flatten().min(), lazy }
    }
}
