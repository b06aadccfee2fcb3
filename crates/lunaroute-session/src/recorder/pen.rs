//! The one thread that writes: it takes everything that is queued, turns notes into events, appends them in one go,
//! makes them durable when it is due, and tells whoever waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_core::{Ending, Interpreter, Observer, Outcome, RequestId, RequestReading, Timestamp};

use super::barrier::Barrier;
use super::figures::add;
use super::ledger::{Abandoned, Ledger};
use super::note::{Begin, Close, Entry, Note, NoteKind};
use super::outlet::{Outlet, contain};
use super::request::{OpenRequest, read};
use super::roll_call::RollCall;
use super::shared::Shared;
use crate::identity::{Caller, SessionTracker};

/// A batch is appended when its bodies reach this, so that a long queue is not copied whole.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) text: usize,
    pub(crate) coalesce: Duration,
    pub(crate) coalesce_bytes: usize,
}

pub(crate) struct Pen {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ledger: Ledger,
    pub(crate) outlet: Outlet,
    pub(crate) interpreter: Arc<dyn Interpreter>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) tracker: SessionTracker,
    pub(crate) limits: Limits,
    pub(crate) open: HashMap<RequestId, OpenRequest>,
    /// Requests whose body is to be read once their start is written.
    pub(crate) unread: Vec<RequestId>,
    /// When which answer's joined frames are to be written, earliest first.
    pub(crate) stretches: VecDeque<(Instant, RequestId)>,
    pub(crate) barriers: Vec<Arc<Barrier>>,
}

impl Pen {
    /// Works until the recorder stops; fails when the disk did not take everything by then.
    pub(crate) fn run(&mut self) -> Result<(), Abandoned> {
        let mut entries = Vec::new();
        // What an earlier process left open is ended before anything else.
        self.commit()?;
        self.call_roll();
        self.ledger.sync();
        loop {
            let lazy = !self.stretches.is_empty();
            let oldest = self.shared.queue.take(&mut entries, self.next_look(), lazy);
            let held = self.stretches.front().map(|(due, _)| *due - self.limits.coalesce);
            self.shared.hold_since([oldest, held].into_iter().flatten().min());
            let stopping = self.shared.queue.stop_by().is_some();
            for entry in entries.drain(..) {
                self.take_in(entry)?;
            }
            self.write_due_stretches(Instant::now());
            self.commit()?;
            self.read_bodies()?;
            self.ledger.sync_if_due();
            self.shared.hold_since(self.stretches.front().map(|(due, _)| *due - self.limits.coalesce));
            self.pass_barriers()?;
            self.ledger.keep_house();
            if stopping {
                return self.stop();
            }
        }
    }

    fn next_look(&self) -> Option<Instant> {
        let stretch = self.stretches.front().map(|(due, _)| *due);
        [stretch, self.ledger.sync_due(), self.ledger.house_due()].into_iter().flatten().min()
    }

    fn take_in(&mut self, entry: Entry) -> Result<(), Abandoned> {
        match entry {
            Entry::Flush(barrier) => self.barriers.push(barrier),
            Entry::Note(note) => self.take_note(note),
        }
        if self.outlet.batch.body_bytes >= BATCH_BYTES { self.commit() } else { Ok(()) }
    }

    fn take_note(&mut self, note: Note) {
        let Note { request: id, offset_us, charge, kind } = note;
        let (interpreter, counters) = (Arc::clone(&self.interpreter), &self.shared.counters);
        if let NoteKind::Begin(begin) = kind {
            self.outlet.batch.settle_notes(1, charge);
            return self.begin(*begin);
        }
        let Some(request) = self.open.get_mut(&id) else {
            // Its end was written already, as interrupted.
            add(&counters.gaps, 1);
            self.shared.queue.release(1, charge);
            return;
        };
        request.read_body(interpreter.as_ref(), counters, &mut self.outlet);
        match kind {
            NoteKind::Frame(bytes) => {
                let Some(reply) = &mut request.reply else {
                    // A body without a head cannot be told; the walk always sends the head first.
                    add(&counters.gaps, 1);
                    self.shared.queue.release(1, charge);
                    return;
                };
                let was_empty = reply.waiting_since().is_none();
                reply.frame(counters, bytes, (offset_us, charge), self.limits.text);
                if reply.is_full(self.limits.coalesce_bytes) {
                    request.write_stretch(&mut self.outlet);
                } else if was_empty && let Some(due) = request.stretch_due(self.limits.coalesce) {
                    self.stretches.push_back((due, id));
                }
                return;
            }
            NoteKind::AttemptStarted { provider, model, reason } => {
                request.attempt_started(&mut self.outlet, offset_us, (provider, model, reason));
            }
            NoteKind::AttemptFinished { outcome, discarded } => {
                request.attempt_finished(&mut self.outlet, offset_us, *outcome, discarded);
            }
            NoteKind::ResponseStarted(head) => {
                let readers = (interpreter.as_ref(), counters);
                request.response_started(&mut self.outlet, offset_us, &head, readers);
            }
            NoteKind::Close(close) => self.close(id, offset_us, &close),
            NoteKind::Begin(_) => {}
        }
        self.outlet.batch.settle_notes(1, charge);
    }

    fn begin(&mut self, begin: Begin) {
        let start = &begin.start;
        let reading = SessionTracker::needs_reading(&start.hint)
            .then(|| read(self.interpreter.as_ref(), &self.shared.counters, &start.exchange, &start.body));
        let nothing = RequestReading::default();
        let caller = Caller { headers: &start.exchange.headers, address: start.client_ip };
        let reading_or_nothing = reading.as_ref().unwrap_or(&nothing);
        let placed = self.tracker.place(&start.hint, reading_or_nothing, caller, start.received_at);
        let id = start.id;
        self.outlet.batch.openings.push(Arc::clone(&begin.opening));
        let request = OpenRequest::open(begin, placed, reading, self.limits.body, &mut self.outlet);
        self.unread.push(id);
        self.open.insert(id, request);
        self.ledger.count_open(self.open.len());
        if let Some(observer) = &self.observer {
            contain(&self.shared.counters, || observer.started());
        }
    }

    fn close(&mut self, id: RequestId, offset_us: u64, close: &Close) {
        let Some(mut request) = self.open.remove(&id) else { return };
        request.read_body(self.interpreter.as_ref(), &self.shared.counters, &mut self.outlet);
        let session = request.session.clone();
        let counters = (&self.shared.counters, self.limits.text);
        let outcome: Outcome = request.close(&mut self.outlet, offset_us, close, counters);
        self.tracker.finish(&session, Timestamp::now());
        self.outlet.batch.outcomes.push(outcome);
        self.ledger.count_open(self.open.len());
    }

    /// Reads the bodies of the requests whose start is written by now: a long one delays nobody's start.
    fn read_bodies(&mut self) -> Result<(), Abandoned> {
        for id in std::mem::take(&mut self.unread) {
            if let Some(request) = self.open.get_mut(&id) {
                request.read_body(self.interpreter.as_ref(), &self.shared.counters, &mut self.outlet);
            }
        }
        self.commit()
    }

    fn write_due_stretches(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.stretches.front() {
            if due > now {
                return;
            }
            self.stretches.pop_front();
            if let Some(request) = self.open.get_mut(&id)
                // Written meanwhile because it was full; what it holds now has an entry of its own.
                && request.stretch_due(self.limits.coalesce).is_some_and(|current| current <= now)
            {
                request.write_stretch(&mut self.outlet);
            }
        }
    }

    fn write_all_stretches(&mut self) {
        self.stretches.clear();
        for request in self.open.values_mut() {
            request.write_stretch(&mut self.outlet);
        }
    }

    /// Appends what there is and tells the observer who has ended.
    fn commit(&mut self) -> Result<(), Abandoned> {
        let mut batch = std::mem::take(&mut self.outlet.batch);
        if !batch.events.is_empty() {
            if let Err(abandoned) = self.ledger.append(&mut batch) {
                self.ledger.give_up(&mut batch);
                return Err(abandoned);
            }
            for id in batch.bared.drain() {
                if let Some(request) = self.open.get_mut(&id) {
                    request.lose_body();
                }
            }
            if self.ledger.wants_roll_call() {
                self.call_roll();
            }
        }
        if let Some(observer) = &self.observer {
            for outcome in &batch.outcomes {
                contain(&self.shared.counters, || observer.finished(outcome));
            }
        }
        Ok(())
    }

    fn call_roll(&mut self) {
        let roll_call = RollCall::new(self.open.values(), &self.tracker);
        self.ledger.call_roll(&roll_call.encode());
    }

    fn pass_barriers(&mut self) -> Result<(), Abandoned> {
        if self.barriers.is_empty() {
            return Ok(());
        }
        self.write_all_stretches();
        self.commit()?;
        self.ledger.sync_at_last()?;
        for barrier in self.barriers.drain(..) {
            barrier.reach(self.ledger.end());
        }
        Ok(())
    }

    /// Ends what is still open and makes everything durable.
    fn stop(&mut self) -> Result<(), Abandoned> {
        let close = Close { ending: Ending::Interrupted, failure: None, lost: None };
        let open: Vec<(RequestId, u64)> =
            self.open.values().map(|request| (request.id, request.elapsed_us())).collect();
        for (id, offset_us) in open {
            self.close(id, offset_us, &close);
        }
        self.commit()?;
        self.ledger.sync_at_last()?;
        self.barriers.drain(..).for_each(|barrier| barrier.reach(self.ledger.end()));
        Ok(())
    }
}
