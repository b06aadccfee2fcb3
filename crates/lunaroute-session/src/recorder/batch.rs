//! Events that go to the journal together, and what has to be told once they are there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use lunaroute_core::{Outcome, RequestId, SessionId};
use lunaroute_storage::journal::{MAX_PAYLOAD_BYTES, Position};

use super::bodies::Bodies;
use super::opening::Opening;
use crate::codec::{self, Compressor, EncodedRun, event_position};
use crate::event::{Body, EventKind, GapCause, SessionEvent, Started};
use crate::writer::JournaledEvent;

/// Bodies of this length together end a run: entries of the journal are read into memory whole.
const RUN_BYTES: usize = 1024 * 1024;

/// What a short request needs after its start.
const EVENTS_OF_A_RUN: usize = 8;

/// So many empty runs wait to be used again, and none that ever held more events than this.
const SPARE_RUNS: usize = 64;
const EVENTS_OF_A_SPARE_RUN: usize = 16;

/// Neighbouring events of one request, which become one entry of the journal.
pub(crate) struct Run {
    pub(crate) events: Vec<SessionEvent>,
    body_bytes: usize,
    /// When the first of them was pushed, and how many events the batch had when the last was.
    since: Instant,
    last: u64,
    /// Something is in it that is to be in the journal at once.
    urgent: bool,
    /// Notes that are settled with it, and their charge.
    notes: u64,
    charge: usize,
}

pub(crate) struct Batch {
    pub(crate) runs: Vec<Run>,
    /// The latest run of each request: an event joins it only when no request of its session has ended in between, so
    /// that what a session says and what follows from it stay in order.
    latest: HashMap<RequestId, usize>,
    /// How many events there were when a request of this session ended.
    ends: HashMap<SessionId, u64>,
    pushed: u64,
    /// What held the events of earlier runs.
    spare: Vec<Vec<SessionEvent>>,
    /// The present moment, for what is pushed.
    now: Instant,
    /// Bytes of bodies in `runs`.
    pub(crate) body_bytes: usize,
    pub(crate) openings: Vec<Arc<Opening>>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Requests whose body was left out, on a full disk or because it was too large; the gap that says so took a seq of
    /// theirs.
    pub(crate) bared: HashSet<RequestId>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            latest: HashMap::new(),
            ends: HashMap::new(),
            pushed: 0,
            spare: Vec::new(),
            now: Instant::now(),
            body_bytes: 0,
            openings: Vec::new(),
            outcomes: Vec::new(),
            bared: HashSet::new(),
        }
    }
}

impl Batch {
    /// From now on events are pushed at this moment.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now = now;
    }

    pub(crate) fn push(&mut self, event: SessionEvent) {
        let bytes = event.body.len();
        self.body_bytes += bytes;
        self.pushed += 1;
        let urgent = !is_patient(&event.kind);
        let ended = self.ends.get(&event.session).copied().unwrap_or(0);
        if matches!(event.kind, EventKind::Completed { .. }) {
            self.ends.insert(event.session.clone(), self.pushed);
        }
        if let Some(run) = self.latest.get(&event.request).and_then(|&index| self.runs.get_mut(index)) {
            if run.last >= ended && run.body_bytes + bytes <= RUN_BYTES {
                run.body_bytes += bytes;
                run.last = self.pushed;
                run.urgent |= urgent;
                run.events.push(event);
                return;
            }
            // Nothing of a request waits while what follows it goes.
            run.urgent = true;
        }
        self.latest.insert(event.request, self.runs.len());
        let mut events = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(EVENTS_OF_A_RUN));
        events.push(event);
        let (since, last) = (self.now, self.pushed);
        self.runs.push(Run { events, body_bytes: bytes, since, last, urgent, notes: 0, charge: 0 });
    }

    /// Notes of the request are settled together with its last event.
    pub(crate) fn settle_notes(&mut self, request: RequestId, notes: u64, charge: usize) {
        if let Some(run) = self.latest.get(&request).and_then(|&index| self.runs.get_mut(index)) {
            run.notes += notes;
            run.charge += charge;
        }
    }

    /// Notes that are settled with all there is, and their charge.
    pub(crate) fn settled(&self) -> (u64, usize) {
        self.runs.iter().fold((0, 0), |(notes, charge), run| (notes + run.notes, charge + run.charge))
    }

    /// When the run that has waited longest was begun.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.runs.iter().map(|run| run.since).min()
    }

    /// Takes out what can wait: runs that were begun after `due` and of which nobody needs to know at once. They make
    /// one entry with what follows, where each on its own would be an entry.
    pub(crate) fn hold_back(&mut self, due: Instant) -> Vec<Run> {
        if self.runs.iter().all(|run| run.urgent || run.since <= due) {
            return Vec::new();
        }
        let (ripe, held) =
            std::mem::take(&mut self.runs).into_iter().partition(|run| run.urgent || run.since <= due);
        self.runs = ripe;
        held
    }

    /// Makes what was held back follow the gaps that took a seq of its requests meanwhile.
    pub(crate) fn move_on(&self, held: &mut [Run]) {
        let behind =
            |run: &&mut Run| run.events.first().is_some_and(|first| self.bared.contains(&first.request));
        held.iter_mut().filter(behind).for_each(|run| run.events.iter_mut().for_each(move_on));
    }

    /// Bytes of the bodies of what is ripe, once the rest was taken out.
    pub(crate) fn ripe_bytes(&self) -> usize {
        self.runs.iter().map(|run| run.body_bytes).sum()
    }

    /// Goes on with what was held back, because the rest was not appended.
    pub(crate) fn take_back(&mut self, held: Vec<Run>) {
        self.runs.extend(held);
        // Of two runs of a request the later one stands later.
        let requests = self.runs.iter().enumerate();
        self.latest =
            requests.filter_map(|(index, run)| Some((run.events.first()?.request, index))).collect();
    }

    /// Empties it, but for what was held back; what it takes to hold events stays for the next ones.
    pub(crate) fn clear(&mut self, held: Vec<Run>) {
        self.latest.clear();
        self.ends.clear();
        self.runs.clear();
        self.openings.clear();
        self.outcomes.clear();
        (self.pushed, self.body_bytes) = (0, held.iter().map(|run| run.body_bytes).sum());
        for mut run in held {
            run.last = 0;
            let Some(first) = run.events.first() else { continue };
            self.latest.insert(first.request, self.runs.len());
            self.runs.push(run);
        }
        self.bared.clear();
    }

    /// The runs in the form of the journal, the first to stand at `start`. An event that is longer than an entry may be
    /// becomes a gap; a start keeps its place and loses its body to the gap that follows it.
    pub(crate) fn encode(
        &mut self,
        start: Position,
        (bodies, compressor): (&mut Bodies, &mut Compressor),
    ) -> Vec<EncodedRun> {
        let mut place = start;
        let mut bared = HashSet::new();
        let mut entries = Vec::with_capacity(self.runs.len());
        for run in &mut self.runs {
            let Some(request) = run.events.first().map(|first| first.request) else { continue };
            if bared.contains(&request) {
                run.events.iter_mut().for_each(move_on);
            }
            let mut lean = run.events.first().and_then(|first| bodies.lean(first, start.segment));
            let mut encoded = codec::encode_leaning(&run.events, lean);
            if encoded.bytes() > MAX_PAYLOAD_BYTES {
                reduce_run(run, &mut bared, GapCause::TooLarge);
                (encoded, lean) = (codec::encode(&run.events), None);
            }
            let encoded = compressor.compress(encoded, run.events.len());
            if bared.contains(&request) {
                // Nothing may lean on what is not there.
                bodies.forget(request);
            } else if let Some(first) = run.events.first() {
                bodies.stands(first, place, lean);
            }
            place.offset += encoded.frame_bytes() as u64;
            entries.push(encoded);
        }
        self.bared.extend(bared);
        entries
    }

    /// Takes the events out as they stand in the journal, the last of `entries` ending at `end`.
    pub(crate) fn take_journaled(
        &mut self,
        entries: &[EncodedRun],
        end: Position,
        bodies: &Bodies,
    ) -> Vec<JournaledEvent> {
        let bytes: usize = entries.iter().map(EncodedRun::frame_bytes).sum();
        let mut frame = Position { offset: end.offset.saturating_sub(bytes as u64), ..end };
        let mut journaled = Vec::with_capacity(self.runs.iter().map(|run| run.events.len()).sum());
        for (mut run, entry) in self.runs.drain(..).zip(entries) {
            let next_frame = Position { offset: frame.offset + entry.frame_bytes() as u64, ..frame };
            let last = run.events.len().saturating_sub(1);
            journaled.extend(run.events.drain(..).enumerate().map(|(number, mut event)| {
                bodies.slim(&mut event);
                JournaledEvent {
                    position: event_position(frame, number),
                    next: if number == last { next_frame } else { event_position(frame, number + 1) },
                    event: Arc::new(event),
                }
            }));
            frame = next_frame;
            if self.spare.len() < SPARE_RUNS && run.events.capacity() <= EVENTS_OF_A_SPARE_RUN {
                self.spare.push(run.events);
            }
        }
        journaled
    }

    /// Leaves only what a full disk has to take: ends, figures and gaps. Returns how many notes are lost by that.
    pub(crate) fn reduce(&mut self) -> u64 {
        let mut bared = HashSet::new();
        let lost = self.runs.iter_mut().map(|run| reduce_run(run, &mut bared, GapCause::DiskFull)).sum();
        self.bared.extend(bared);
        lost
    }
}

/// Makes the events of a run small; returns how many notes are lost by that. `bared` are requests that lost their body in
/// the same breath: those of earlier runs, to which this one adds.
///
/// A start that loses its body is followed by the gap that says so, in the same append: there is no moment at which the
/// record lacks a body and does not tell. What comes after moves on by one.
fn reduce_run(run: &mut Run, bared: &mut HashSet<RequestId>, cause: GapCause) -> u64 {
    let mut lost_notes = 0;
    for mut event in std::mem::take(&mut run.events) {
        let is_start = matches!(event.kind, EventKind::Started(_));
        let gap = is_start.then(|| gap_after(&event, cause)).flatten();
        if bared.contains(&event.request) {
            move_on(&mut event);
        }
        lost_notes += reduce(&mut event, cause);
        run.events.push(event);
        if let Some(gap) = gap {
            bared.insert(gap.request);
            run.events.push(gap);
        }
    }
    lost_notes
}

/// Whether an event may wait a little for those that follow it.
fn is_patient(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Request(_)
            | EventKind::AttemptStarted(_)
            | EventKind::AttemptFinished { .. }
            | EventKind::ResponseStarted { .. }
            | EventKind::ProviderRequest(_)
            | EventKind::ProviderResponse { .. }
    )
}

/// Makes room for the gap that follows the start of a request, before this event of it.
fn move_on(event: &mut SessionEvent) {
    event.seq += 1;
    // Its spans would point nowhere.
    if let EventKind::Request(read) = &mut event.kind {
        let read = Arc::make_mut(read);
        (read.messages, read.tool_results) = (Vec::new(), Vec::new());
    }
}

/// The gap of a start's body that is not kept; `None` when it has none.
fn gap_after(start: &SessionEvent, cause: GapCause) -> Option<SessionEvent> {
    let lost_bytes = start.body.len() as u64;
    let kind = EventKind::Gap { lost_frames: 0, lost_bytes, cause };
    let (session, seq) = (start.session.clone(), start.seq + 1);
    (lost_bytes > 0).then(|| SessionEvent {
        session,
        request: start.request,
        seq,
        at: start.at,
        kind,
        body: Body::default(),
    })
}

/// Makes an event small without losing that it happened; its seq stays, so that the record has no hole. Returns how
/// many notes of the client's path are lost by that.
fn reduce(event: &mut SessionEvent, cause: GapCause) -> u64 {
    let lost_bytes = event.body.len() as u64;
    match &mut event.kind {
        EventKind::StreamDelta { frames, .. } => {
            let lost_frames = u64::from(*frames);
            let hash = blake3::hash(&event.body.whole());
            event.kind = EventKind::Gap { lost_frames, lost_bytes, cause };
            event.body = hash.as_bytes().to_vec().into();
            lost_frames
        }
        EventKind::Started(started) => {
            (Arc::make_mut(started).repeats, event.body) = (None, Body::default());
            0
        }
        EventKind::AttemptFinished { .. } => {
            event.body = Body::default();
            0
        }
        // The client's form of it is what counts as lost or kept.
        EventKind::ProviderRequest(_) | EventKind::ProviderDelta { .. } => {
            event.kind = EventKind::Gap { lost_frames: 0, lost_bytes, cause };
            event.body = Body::default();
            0
        }
        EventKind::Request(read) if cause == GapCause::TooLarge => {
            let read = Arc::make_mut(read);
            (read.messages, read.tool_results) = (Vec::new(), Vec::new());
            0
        }
        EventKind::ToolCall { arguments, .. } => {
            let lost_bytes = arguments.len() as u64;
            event.kind = EventKind::Gap { lost_frames: 0, lost_bytes, cause };
            0
        }
        EventKind::Response(read) => {
            Arc::make_mut(read).text_preview = None;
            0
        }
        _ => 0,
    }
}

/// The event with everything gone that a client or a provider wrote: what is kept when the filter fails. Copies nothing
/// of what it leaves out.
pub(crate) fn without_content(event: &SessionEvent) -> SessionEvent {
    let lost_bytes = event.body.len() as u64;
    let gap = |lost_frames, cause| EventKind::Gap { lost_frames, lost_bytes, cause };
    let kind = match &event.kind {
        EventKind::Started(started) => EventKind::Started(Arc::new(Started {
            client: started.client.clone(),
            external_id: None,
            session_source: started.session_source.clone(),
            dialect: started.dialect,
            operation: started.operation,
            listener: started.listener.clone(),
            method: started.method.clone(),
            path: String::new(),
            headers: Vec::new(),
            client_ip: None,
            user_agent: None,
            overhead_pre_us: started.overhead_pre_us,
            repeats: None,
        })),
        EventKind::Completed { ending, status, error, .. } => {
            EventKind::Completed { ending: *ending, status: *status, error: *error, message: None }
        }
        EventKind::Stats(stats) => EventKind::Stats(stats.clone()),
        EventKind::StreamDelta { frames, .. } => gap(u64::from(*frames), GapCause::FilterFailed),
        EventKind::Gap { lost_frames, lost_bytes, cause } => {
            EventKind::Gap { lost_frames: *lost_frames, lost_bytes: *lost_bytes, cause: *cause }
        }
        _ => gap(0, GapCause::FilterFailed),
    };
    let session = event.session.clone();
    SessionEvent {
        session,
        request: event.request,
        seq: event.seq,
        at: event.at,
        kind,
        body: Body::default(),
    }
}

#[cfg(test)]
mod tests;
