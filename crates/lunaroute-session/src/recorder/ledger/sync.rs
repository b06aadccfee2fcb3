//! Making what is appended durable, and telling who waits for that.

use std::time::{Duration, Instant};

use lunaroute_storage::journal::{JournalError, Position};

use super::{Abandoned, Ledger, RETRY};
use crate::recorder::config::SyncPolicy;
use crate::recorder::figures::{JournalState, add};
use crate::recorder::opening::Stage;
use crate::recorder::shared::micros;
use crate::recorder::syncer::{Done, Job};

/// What no request waits for is made durable this often under the policy of groups.
const GROUP_REST: Duration = Duration::from_millis(200);

/// From so many bytes on it does not wait: until the disk has them, they are in memory for the journal and for the writers.
const GROUP_BYTES: u64 = 1024 * 1024;

impl Ledger {
    /// When something is to be made durable; `None` while there is nothing, or while the thread that waits for the disk
    /// sees to it by itself.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        let since = self.dirty_since?;
        // What came meanwhile has a sync of its own: the pen has itself called.
        if self.syncer.defers(self.journal.health().unsynced_bytes >= GROUP_BYTES) {
            return None;
        }
        // An outcome is to be taken back first.
        if self.syncer.is_busy() { Some(since) } else { self.due() }
    }

    /// When something is to be made durable, whatever the disk is at.
    fn due(&self) -> Option<Instant> {
        let since = self.dirty_since?;
        let due = match self.shared.sync {
            SyncPolicy::Group if !self.unsynced.is_empty() => since,
            SyncPolicy::Group if self.journal.health().unsynced_bytes >= GROUP_BYTES => since,
            SyncPolicy::Group => since + GROUP_REST,
            SyncPolicy::Interval(interval) => since + interval,
        };
        Some(self.retry_at.map_or(due, |retry_at| due.max(retry_at)))
    }

    /// Has everything appended made durable on the other thread, when that is due. It heeds no pause of that thread: the
    /// pen's may have long work before it, after which nobody shall find that his start is still to be handed over.
    pub(crate) fn sync_if_due(&mut self) {
        if let Some(done) = self.syncer.take_done() {
            self.finish(done);
        }
        if self.syncer.is_busy() || self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        if !self.submit() {
            self.sync();
        }
    }

    /// The same, unless that means waiting for the disk; `false` when somebody has to who may.
    pub(crate) fn sync_quickly_if_due(&mut self) -> bool {
        loop {
            self.take_synced();
            if self.sync_due().is_none_or(|due| due > Instant::now()) {
                return true;
            }
            if !self.syncer.is_busy() {
                return self.submit();
            }
            if !self.syncer.has_succeeded() {
                return false;
            }
        }
    }

    /// Takes note of a sync that has succeeded.
    pub(super) fn take_synced(&mut self) {
        if self.syncer.has_succeeded()
            && let Some(done) = self.syncer.take_done()
        {
            self.finish(done);
        }
    }

    /// Hands the thread that waits for the disk what is to be durable; `false` when that cannot be done there.
    fn submit(&mut self) -> bool {
        let Some(sync) = self.journal.begin_sync().filter(|_| self.retry_at.is_none()) else {
            return false;
        };
        let chunk = self.unpublished.take(sync.end());
        let job = Job { sync, openings: std::mem::take(&mut self.unsynced), chunk };
        match self.syncer.submit(job) {
            None => {
                self.dirty_since = None;
                self.syncing_since = Some(Instant::now());
                true
            }
            // Without that thread, this one waits for the disk itself.
            Some(job) => {
                self.unsynced = job.openings;
                self.unpublished.give_up();
                false
            }
        }
    }

    /// Takes note of a sync that is over. One that failed is made good here.
    fn finish(&mut self, done: Done) {
        self.syncing_since = None;
        self.unsynced.splice(0..0, done.openings);
        let failed = !done.finished.succeeded();
        let synced = self.journal.finish_sync(done.finished);
        if failed {
            self.unpublished.give_up();
            let synced = synced.and_then(|_| self.journal.sync());
            self.settle(synced);
        }
    }

    /// Makes everything appended durable and lets the projectors have it; says whether that is done.
    pub(crate) fn sync(&mut self) -> bool {
        if let Some(done) = self.syncer.wait() {
            self.finish(done);
        }
        let started = Instant::now();
        let synced = self.journal.sync();
        let counters = &self.shared.counters;
        add(&counters.syncs, 1);
        add(&counters.sync_micros, micros(started.elapsed()));
        self.settle(synced)
    }

    /// Tells what came of a sync of everything.
    fn settle(&mut self, synced: Result<Position, JournalError>) -> bool {
        match synced {
            Ok(end) => {
                if self.retry_at.take().is_some() {
                    self.change_state(JournalState::Healthy);
                }
                self.dirty_since = None;
                self.unsynced.drain(..).for_each(|opening| opening.advance(Stage::Durable));
                self.shared.grow_segment(end);
                self.shared.published.publish(end, self.unpublished.take(end));
                true
            }
            Err(failure) => {
                self.report(&failure);
                add(&self.shared.counters.retried, 1);
                self.unpublished.give_up();
                self.unsynced.drain(..).for_each(|opening| opening.advance(Stage::Failed));
                self.dirty_since.get_or_insert_with(Instant::now);
                self.retry_at = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// Syncs until it is done, or the time of a shutdown is over.
    pub(crate) fn sync_at_last(&mut self) -> Result<(), Abandoned> {
        while !self.sync() {
            self.shared.queue.pause(Instant::now() + RETRY);
            if self.shared.queue.stop_by().is_some_and(|stop_by| stop_by <= Instant::now()) {
                return Err(Abandoned);
            }
        }
        Ok(())
    }
}
