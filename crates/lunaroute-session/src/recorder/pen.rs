//! The one that writes: it takes everything that is queued, turns notes into events, appends them in one go, makes them
//! durable when it is due, and tells whoever waits. Its thread does so, or a [guest](super::seat) while that sleeps.

mod turns;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_core::{
    Ending, Exchange, Interpreter, Observer, Outcome, RequestId, RequestReading, Timestamp,
};

pub(crate) use self::turns::Look;
use super::barrier::Barrier;
use super::batch::{Batch, Run};
use super::bodies::Bodies;
use super::coalesce::Piece;
use super::figures::add;
use super::ledger::{Abandoned, Ledger};
use super::note::{Begin, Close, Entry, Note, NoteKind};
use super::outlet::{Outlet, contain};
use super::request::{OpenRequest, Unread};
use super::roll_call::RollCall;
use super::shared::Shared;
use crate::event::Repeats;
use crate::identity::{Caller, SessionTracker};

/// Whose form of an answer a piece is of.
#[derive(Clone, Copy)]
enum Form {
    /// What the client gets.
    Client,
    /// What a provider of another dialect sent.
    Provider,
}

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
    pub(crate) bodies: Bodies,
    /// Requests whose body is to be read once their start is written.
    pub(crate) unread: Vec<RequestId>,
    /// When which answer's joined frames are to be written, earliest first.
    pub(crate) stretches: VecDeque<(Instant, RequestId)>,
    pub(crate) barriers: Vec<Arc<Barrier>>,
    /// What holds the entries of a turn.
    pub(crate) entries: Vec<Entry>,
    /// When there was something to do last.
    pub(crate) busy_at: Instant,
}

impl Pen {
    /// Since when there is something that waits to be joined or to go with what follows it.
    fn oldest_held(&self) -> Option<Instant> {
        let stretch = self.stretches.front().map(|(due, _)| *due - self.limits.coalesce);
        [stretch, self.outlet.batch.oldest()].into_iter().flatten().min()
    }

    fn take_in(&mut self, entry: Entry) -> Result<(), Abandoned> {
        match entry {
            Entry::Flush(barrier) => self.barriers.push(barrier),
            Entry::Note(note) => self.take_note(note),
        }
        if self.outlet.batch.body_bytes >= BATCH_BYTES { self.commit() } else { Ok(()) }
    }

    fn take_note(&mut self, note: Note) {
        let Note { request: id, offset_us, charge, count, kind, .. } = note;
        if let NoteKind::Begin(begin) = kind {
            self.begin(*begin);
            return self.outlet.batch.settle_notes(id, u64::from(count), charge);
        }
        self.read_body(id);
        let counters = &self.shared.counters;
        let Some(request) = self.open.get_mut(&id) else {
            // Its end was written already, as interrupted.
            add(&counters.gaps, u64::from(count));
            self.shared.queue.release(u64::from(count), charge);
            return;
        };
        match kind {
            NoteKind::Frame(bytes) => {
                return self.frame(id, Form::Client, Piece { bytes, count, offset_us, charge });
            }
            NoteKind::ProviderFrame(bytes) => {
                return self.frame(id, Form::Provider, Piece { bytes, count, offset_us, charge });
            }
            NoteKind::ProviderRequest { form, stripped } => {
                let interpreter = self.interpreter.as_ref();
                request.provider_request(
                    &mut self.outlet,
                    offset_us,
                    (*form, stripped),
                    (interpreter, counters),
                );
            }
            NoteKind::ProviderResponse(head) => {
                let readers = (self.interpreter.as_ref(), counters, &self.limits);
                request.provider_response(&mut self.outlet, offset_us, &head, readers);
            }
            NoteKind::AttemptStarted { provider, model, reason } => {
                request.attempt_started(&mut self.outlet, offset_us, (provider, model, reason));
            }
            NoteKind::AttemptFinished { outcome, discarded, stripped } => {
                request.attempt_finished(&mut self.outlet, offset_us, *outcome, (discarded, stripped));
            }
            NoteKind::ResponseStarted(head) => {
                let readers = (self.interpreter.as_ref(), counters, &self.limits);
                request.response_started(&mut self.outlet, offset_us, &head, readers);
            }
            NoteKind::Close(close) => self.close(id, offset_us, &close),
            NoteKind::Begin(_) => {}
        }
        self.outlet.batch.settle_notes(id, u64::from(count), charge);
    }

    /// Takes in a piece of an answer.
    fn frame(&mut self, id: RequestId, form: Form, piece: Piece) {
        let counters = &self.shared.counters;
        let Some(request) = self.open.get_mut(&id) else { return };
        let reply = match form {
            Form::Client => &mut request.reply,
            Form::Provider => &mut request.provider_reply,
        };
        let room = reply.as_ref().map_or(0, |reply| reply.room());
        if piece.count > 1 && (1..piece.bytes.len()).contains(&room) {
            // Of a burst as much is kept as of an answer that comes in small frames.
            let (first, rest) = piece.split(room);
            self.frame(id, form, first);
            return self.frame(id, form, rest);
        }
        if request.opening.took(piece.bytes.len()) {
            self.shared.queue.wake(id);
        }
        // A body without a head cannot be told; the walk always sends the head first.
        let was_empty = reply.as_ref().is_some_and(|reply| reply.waiting_since().is_none());
        let (count, charge) = (u64::from(piece.count), piece.charge);
        let kept = reply.as_mut().map(|reply| reply.frame(counters, piece));
        let is_full = reply.as_ref().is_some_and(|reply| reply.is_full(self.limits.coalesce_bytes));
        if kept != Some(true) {
            add(if kept.is_some() { &counters.left_out } else { &counters.gaps }, count);
            self.shared.queue.release(count, charge);
        } else if is_full {
            request.write_stretch(&self.shared.counters, &mut self.outlet);
        } else if was_empty && let Some(due) = request.stretch_due(self.limits.coalesce) {
            self.stretches.push_back((due, id));
        }
    }

    fn begin(&mut self, begin: Begin) {
        let start = &begin.start;
        let (id, body) = (start.id, start.body.clone());
        let conversation = Bodies::conversation(start).filter(|_| body.len() <= self.limits.body);
        let repeats = conversation.as_ref().and_then(|conversation| self.bodies.find(conversation, &body));
        let reading = SessionTracker::needs_reading(&start.hint)
            .then(|| self.read(&start.exchange, &body, repeats.as_ref()));
        let nothing = RequestReading::default();
        let caller = Caller { headers: &start.exchange.headers, address: start.client_ip };
        let reading_or_nothing = reading.as_ref().unwrap_or(&nothing);
        let placed = self.tracker.place(&start.hint, reading_or_nothing, caller, start.received_at);
        let repeats = repeats.filter(|repeats| self.bodies.is_of(repeats, &placed.session));
        self.outlet.batch.openings.push(Arc::clone(&begin.opening));
        let opened = (placed, reading, repeats);
        let (request, kept) = OpenRequest::open(begin, opened, self.limits.body, &mut self.outlet);
        if let Some(conversation) = conversation.filter(|_| kept) {
            self.bodies.keep(conversation, id, request.session.clone(), (body, repeats.as_ref()));
            if let Some(reading) = request.reading() {
                // At once: the next turn may be in the same batch.
                self.bodies.keep_reading(id, reading);
            }
        }
        self.unread.push(id);
        self.open.insert(id, request);
        self.ledger.count_open(self.open.len());
        if let Some(observer) = &self.observer {
            contain(&self.shared.counters, || observer.started());
        }
    }

    /// Reads a request body, by way of the earlier one that it repeats when that was read; a panic gives the empty
    /// reading with the problem named.
    fn read(&self, exchange: &Exchange, body: &[u8], repeats: Option<&Repeats>) -> RequestReading {
        let earlier = repeats.and_then(|repeats| self.bodies.earlier(repeats));
        let read = || match &earlier {
            Some(earlier) => self.interpreter.request_after(exchange, body, earlier),
            None => self.interpreter.request(exchange, body),
        };
        contain(&self.shared.counters, read).unwrap_or_else(|| RequestReading {
            problem: Some("the reader of request bodies panicked".to_owned()),
            ..RequestReading::default()
        })
    }

    /// Reads the body of a request, if that is still to be done, and writes what it says.
    fn read_body(&mut self, id: RequestId) {
        let Some(unread) = self.open.get_mut(&id).and_then(OpenRequest::take_unread) else { return };
        let Some(request) = self.open.get(&id) else { return };
        let reading = match unread {
            Unread::Reading(reading) => *reading,
            Unread::Body(body) => {
                let reading = self.read(&request.exchange, &body, request.repeats.as_ref());
                self.bodies.keep_reading(id, &reading);
                reading
            }
        };
        if let Some(request) = self.open.get_mut(&id) {
            request.tell_reading(reading, &mut self.outlet);
        }
    }

    fn close(&mut self, id: RequestId, offset_us: u64, close: &Close) {
        self.read_body(id);
        let Some(request) = self.open.remove(&id) else { return };
        let session = request.session.clone();
        let outcome: Outcome = request.close(&mut self.outlet, offset_us, close, &self.shared.counters);
        self.tracker.finish(&session, Timestamp::now());
        self.outlet.batch.outcomes.push(outcome);
        self.ledger.count_open(self.open.len());
    }

    /// Reads the bodies of the requests whose start is written by now: a long one delays nobody's start.
    fn read_bodies(&mut self) {
        for id in std::mem::take(&mut self.unread) {
            self.read_body(id);
        }
        self.bodies.let_outdated_go();
    }

    fn write_due_stretches(&mut self, now: Instant) {
        if self.stretches.front().is_none_or(|(due, _)| *due > now) {
            return;
        }
        // Those that have waited for half of the time go along: an append costs far more than an entry.
        let horizon = now + self.limits.coalesce / 2;
        while let Some(&(due, id)) = self.stretches.front() {
            if due > horizon {
                return;
            }
            self.stretches.pop_front();
            if let Some(request) = self.open.get_mut(&id)
                // Written meanwhile because it was full; what it holds now has an entry of its own.
                && request.stretch_due(self.limits.coalesce).is_some_and(|current| current <= horizon)
            {
                request.write_stretch(&self.shared.counters, &mut self.outlet);
            }
        }
    }

    fn write_all_stretches(&mut self) {
        self.stretches.clear();
        for request in self.open.values_mut() {
            request.write_stretch(&self.shared.counters, &mut self.outlet);
        }
    }

    /// Appends what there is.
    fn commit(&mut self) -> Result<(), Abandoned> {
        self.append(Vec::new())
    }

    /// Appends what is to be in the journal at once, and what has waited for long enough.
    fn commit_ripe(&mut self) -> Result<(), Abandoned> {
        let now = Instant::now();
        let held = self.outlet.batch.hold_back(now.checked_sub(self.limits.coalesce).unwrap_or(now));
        self.append(held)
    }

    /// The same, without waiting for a disk that does not take it; says whether it did.
    fn try_commit_ripe(&mut self) -> bool {
        let now = Instant::now();
        let held = self.outlet.batch.hold_back(now.checked_sub(self.limits.coalesce).unwrap_or(now));
        let mut batch = std::mem::take(&mut self.outlet.batch);
        let written = if batch.runs.is_empty() {
            batch.clear(held);
            true
        } else if self.ledger.has_room(batch.ripe_bytes())
            && self.ledger.append_quickly(&mut batch, &mut self.bodies)
        {
            self.appended(&mut batch, held);
            true
        } else {
            batch.take_back(held);
            false
        };
        self.outlet.batch = batch;
        written
    }

    /// Appends the batch, from which `held` was taken out, and tells the observer who has ended.
    fn append(&mut self, held: Vec<Run>) -> Result<(), Abandoned> {
        let mut batch = std::mem::take(&mut self.outlet.batch);
        if batch.runs.is_empty() {
            batch.clear(held);
        } else {
            if let Err(abandoned) = self.ledger.append(&mut batch, &mut self.bodies) {
                self.ledger.give_up(&mut batch);
                return Err(abandoned);
            }
            self.appended(&mut batch, held);
        }
        self.outlet.batch = batch;
        Ok(())
    }

    /// The batch is in the journal: what was held back moves up.
    fn appended(&mut self, batch: &mut Batch, mut held: Vec<Run>) {
        for &id in &batch.bared {
            self.bodies.forget(id);
            if let Some(request) = self.open.get_mut(&id) {
                request.lose_body();
            }
        }
        batch.move_on(&mut held);
        if self.ledger.wants_roll_call() {
            self.call_roll(&held);
        }
        if let Some(observer) = &self.observer {
            for outcome in &batch.outcomes {
                contain(&self.shared.counters, || observer.finished(outcome));
            }
        }
        batch.clear(held);
    }

    /// Lets the journal's segment go when nothing has happened for a while.
    fn rest_if_idle(&mut self) {
        if self.open.is_empty() && self.outlet.batch.runs.is_empty() && self.ledger.may_rest() {
            self.ledger.begin_segment();
            self.call_roll(&[]);
            self.ledger.sync();
        }
    }

    /// Lists who is there, `held` being what is not in the journal yet.
    fn call_roll(&mut self, held: &[Run]) {
        let mut roll_call = RollCall::new(self.open.values(), &self.tracker);
        for first in held.iter().filter_map(|run| run.events.first()) {
            roll_call.reached(first.request, first.seq);
        }
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
