//! The record of one request, as the walk holds it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use lunaroute_core::{AttemptOutcome, AttemptReason, Ending, Failure, FailureKind, RequestId, ResponseHead};
use tokio::time::Sleep;

use crate::event::GapCause;
use crate::recorder::figures::add;
use crate::recorder::note::{
    Begin, Close, Entry, Lost, Note, NoteKind, ProviderForm, RequestStart, Stripped,
};
use crate::recorder::opening::{Opening, Stage};
use crate::recorder::queue::{HEAD_BYTES, NOTE_BYTES, Queued};
use crate::recorder::shared::{Shared, micros};
use crate::recorder::{JournalState, NotRecorded, SyncPolicy};

/// The open record of one request. Exactly one end follows: by [`close`](Self::close), or by being dropped.
///
/// Nothing here blocks and nothing fails; what cannot be kept is counted and told in the record.
pub struct Recording {
    ticket: Arc<Ticket>,
    closed: bool,
    /// Why frames are only counted and hashed, once they are.
    digest_only: Option<GapCause>,
    /// The stream was told that it may read one more frame, so that frame is taken.
    granted: bool,
    waiting: Option<Pin<Box<Sleep>>>,
    lost: Option<Box<Digest>>,
}

/// What the futures of a recording share with it.
struct Ticket {
    shared: Arc<Shared>,
    request: RequestId,
    base: Instant,
    opening: Arc<Opening>,
    /// The recorder never took the request: nothing about it is sent.
    refused: AtomicBool,
    /// It was waited for the start to be written, in vain.
    unwritten: AtomicBool,
    /// One of its bodies is coded: to read a little of it may take long.
    coded: AtomicBool,
}

struct Digest {
    cause: GapCause,
    frames: u64,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Digest {
    fn nothing(cause: GapCause) -> Box<Self> {
        Box::new(Self { cause, frames: 0, bytes: 0, hasher: blake3::Hasher::new() })
    }
}

impl Recording {
    pub(crate) fn open(shared: Arc<Shared>, mut start: RequestStart) -> Self {
        start.body = own(start.body);
        let now = Instant::now();
        let base = now.checked_sub(Duration::from_micros(start.overhead_pre_us)).unwrap_or(now);
        let opening = Arc::new(Opening::new());
        let request = start.id;
        let begin = Box::new(Begin { start, base, opening: Arc::clone(&opening), stripped: 0 });
        let coded = AtomicBool::new(is_coded(&begin.start.exchange.headers));
        let (refused, unwritten) = (AtomicBool::new(false), AtomicBool::new(false));
        let ticket = Arc::new(Ticket { shared, request, base, opening, refused, unwritten, coded });
        add(&ticket.shared.counters.received, 1);
        if ticket.shared.queue.has_room() {
            ticket.send_begin(begin);
        } else {
            ticket.opening.hold(begin);
        }
        Self { ticket, closed: false, digest_only: None, granted: false, waiting: None, lost: None }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.ticket.request
    }

    /// Resolves when the start is in the journal, in [`begin_wait`](crate::RecorderConfig::begin_wait) at the latest: that
    /// is how long it waits for others. Where the recorder's thread sleeps, a task of a runtime with several threads writes
    /// the start itself, and takes as long as the system call does.
    /// The walk awaits it before the first byte goes upstream. Without room for the body in the queue the start is
    /// written without it, together with a gap.
    ///
    /// # Errors
    /// [`NotRecorded`] says why the journal does not have it (yet).
    pub fn written(&self) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let ticket = Arc::clone(&self.ticket);
        async move {
            let wait = ticket.shared.begin_wait;
            let reached = match ticket.write_here() {
                Some(stage) => Ok(stage),
                None => tokio::time::timeout(wait, ticket.until_written()).await,
            };
            if ticket.send_held(false) {
                ticket.shared.see_to_it();
            }
            let written = ticket.judge(reached.ok(), wait);
            ticket.unwritten.store(written.is_err(), Ordering::Relaxed);
            written
        }
    }

    /// Resolves when the start survives a loss of power; at once when the policy is an interval. The walk awaits it
    /// before the first byte goes to the client. It fails at once when [`written`](Self::written) has failed or the
    /// journal is down: whoever goes on without a record is not to be held up for it a second time.
    ///
    /// # Errors
    /// [`NotRecorded`] says why it is not durable within [`durable_wait`](crate::RecorderConfig::durable_wait).
    pub fn durable(&self) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let ticket = Arc::clone(&self.ticket);
        async move {
            if ticket.shared.sync != SyncPolicy::Group {
                return Ok(());
            }
            if ticket.is_hopeless() {
                return ticket.judge(None, Duration::ZERO);
            }
            if ticket.opening.stage() >= Stage::Durable {
                // Without a timer, which may have to wake a thread.
                return ticket.judge(Some(ticket.opening.stage()), Duration::ZERO);
            }
            ticket.shared.syncer.hurry();
            let wait = ticket.shared.durable_wait;
            let reached = tokio::time::timeout(wait, ticket.opening.reached(Stage::Durable)).await;
            ticket.judge(reached.ok(), wait)
        }
    }

    /// A try at a provider begins.
    pub fn attempt_started(&self, provider: &str, model: Option<&str>, reason: AttemptReason) {
        let (provider, model) = (provider.to_owned(), model.map(str::to_owned));
        self.ticket.send(NoteKind::AttemptStarted { provider, model, reason }, 0);
    }

    /// The try has its response head or has failed. `discarded` is the start of an answer that the client will not see
    /// because another try follows; else empty. Without room for it in the queue a gap stands for it.
    pub fn attempt_finished(&self, outcome: AttemptOutcome, mut discarded: Bytes) {
        let stripped = self.ticket.strip(&mut discarded);
        let bytes = discarded.len();
        self.ticket
            .send(NoteKind::AttemptFinished { outcome: Box::new(outcome), discarded, stripped }, bytes);
    }

    /// A try at a provider of another dialect is made with this; to be told once the attempt has begun. Without room for
    /// its body in the queue a gap stands for that.
    pub fn provider_request(&self, mut form: ProviderForm) {
        let stripped = self.ticket.strip(&mut form.body);
        let bytes = form.body.len() + HEAD_BYTES;
        self.ticket.send(NoteKind::ProviderRequest { form: Box::new(form), stripped }, bytes);
    }

    /// The head of that provider's answer.
    pub fn provider_response(&self, head: &ResponseHead) {
        self.ticket.look_at(head);
        self.ticket.send(NoteKind::ProviderResponse(head.clone()), HEAD_BYTES);
    }

    /// Pieces of that provider's answer, `count` of them that were there at once and are joined; what the client gets of
    /// them follows as a [`frame`](Self::frame).
    pub fn provider_frames(&mut self, bytes: &Bytes, count: u32) {
        if self.closed || bytes.is_empty() {
            return;
        }
        if self.takes_frame() {
            let length = bytes.len();
            if !self.ticket.send_piece(NoteKind::ProviderFrame(own(bytes.clone())), length, count) {
                self.digest_only = Some(self.ticket.shared.gap_cause());
            }
            return;
        }
        // None of the answer is kept from here on, in neither form, and the gap that follows says so. It tells the length
        // of what the client got.
        self.lose(count);
    }

    /// The head of the answer goes to the client.
    pub fn response_started(&self, head: &ResponseHead) {
        self.ticket.look_at(head);
        self.ticket.send(NoteKind::ResponseStarted(head.clone()), HEAD_BYTES);
    }

    /// A piece of the answer goes to the client. Takes a reference to the bytes, or a copy when they are few.
    pub fn frame(&mut self, bytes: Bytes) {
        self.frames(bytes, 1);
    }

    /// As [`frame`](Self::frame), for `count` frames that were there at once and are joined: a burst costs no more than
    /// one of its frames would.
    pub fn frames(&mut self, bytes: Bytes, count: u32) {
        if self.closed || bytes.is_empty() {
            return;
        }
        // One read of a clock, one addition to a queue; the queue's own lock is the only one.
        if !self.takes_frame() {
            let lost = self.lose(count);
            lost.frames += u64::from(count);
            lost.bytes += bytes.len() as u64;
            lost.hasher.update(&bytes);
            return;
        }
        let length = bytes.len();
        if !self.ticket.send_piece(NoteKind::Frame(own(bytes)), length, count) {
            self.digest_only = Some(self.ticket.shared.gap_cause());
        }
    }

    /// Whether the next frame is kept. A grant is for one frame: whoever brings more has to ask again or find room.
    fn takes_frame(&mut self) -> bool {
        let granted = std::mem::take(&mut self.granted);
        self.digest_only.is_none() && (granted || self.ticket.shared.queue.has_room())
    }

    /// To be asked before the next frame is read from the provider: ready when the record has room for it. When there
    /// is none for [`frame_wait`](crate::RecorderConfig::frame_wait), it is ready all the same, and from then on the
    /// frames of this answer are only counted and hashed, and the record holds a gap that says so.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.digest_only.is_some() || self.granted || self.closed {
            return Poll::Ready(());
        }
        let shared = &self.ticket.shared;
        if self.ticket.poll_room(context).is_ready() {
            if self.waiting.take().is_some() {
                shared.queue.forget_waker(self.ticket.request);
            }
            self.granted = true;
            return Poll::Ready(());
        }
        let wait = shared.frame_wait;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        if waiting.as_mut().poll(context).is_ready() {
            self.waiting = None;
            shared.queue.forget_waker(self.ticket.request);
            self.digest_only = Some(shared.gap_cause());
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The request is over. The first call counts; later ones change nothing.
    pub fn close(&mut self, ending: Ending, failure: Option<&Failure>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if self.waiting.take().is_some() {
            self.ticket.shared.queue.forget_waker(self.ticket.request);
        }
        let lost = self.lost.take().map(|digest| Lost {
            frames: digest.frames,
            bytes: digest.bytes,
            blake3: digest.hasher.finalize(),
            cause: digest.cause,
        });
        let close = Box::new(Close { ending, failure: failure.cloned(), lost });
        self.ticket.send(NoteKind::Close(close), 0);
    }

    /// Counts frames that are not kept, and gives what is known of all that are not. From the first of them on none of
    /// this answer is kept: a record with holes cannot be read. Why is judged then, for the gap is told much later.
    fn lose(&mut self, count: u32) -> &mut Digest {
        let shared = &self.ticket.shared;
        let cause = *self.digest_only.get_or_insert_with(|| shared.gap_cause());
        add(&shared.counters.received, u64::from(count));
        add(&shared.counters.gaps, u64::from(count));
        self.lost.get_or_insert_with(|| Digest::nothing(cause))
    }
}

/// Up to this length bytes are copied. They are mostly part of what was read from a connection at once, which takes 8 KiB
/// at least: a record that holds on to them holds all of that, and the connection needs new memory for what it reads next.
const COPIED: usize = 4 * 1024;

/// The same bytes, in memory of their own when they are few.
fn own(bytes: Bytes) -> Bytes {
    if bytes.len() > COPIED { bytes } else { Bytes::copy_from_slice(&bytes) }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        if std::thread::panicking() {
            let failure =
                Failure::gateway(FailureKind::Internal, "the gateway failed while it served this request");
            self.close(Ending::GatewayError, Some(&failure));
        } else {
            self.close(Ending::Cancelled, None);
        }
    }
}

fn is_coded(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_ENCODING)
}

impl Ticket {
    fn look_at(&self, head: &ResponseHead) {
        if is_coded(&head.headers) {
            self.coded.store(true, Ordering::Relaxed);
        }
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.shared.queue.poll_room(self.request, &self.opening, context)
    }

    /// Sends a piece of the answer; says whether the recorder took it.
    fn send_piece(&self, kind: NoteKind, bytes: usize, count: u32) -> bool {
        // Before the pen can have taken it.
        self.opening.sent(bytes);
        self.send_counted(kind, bytes, count)
    }

    /// Sends a note; says whether the recorder took it.
    fn send(&self, kind: NoteKind, bytes: usize) -> bool {
        self.send_counted(kind, bytes, 1)
    }

    fn send_counted(&self, kind: NoteKind, bytes: usize, count: u32) -> bool {
        self.send_held(false);
        add(&self.shared.counters.received, u64::from(count));
        let now = Instant::now();
        let offset_us = micros(now.saturating_duration_since(self.base));
        let is_heavy = self.coded.load(Ordering::Relaxed);
        let note =
            Note { request: self.request, offset_us, charge: bytes + NOTE_BYTES, count, is_heavy, kind };
        let queued =
            (!self.refused.load(Ordering::Relaxed)).then(|| self.shared.queue.push(Entry::Note(note), now));
        match queued {
            Some(Ok(Queued::Settled)) => {}
            Some(Ok(Queued::Sleeping)) => self.shared.see_to_it_soon(),
            Some(Err(_)) | None => {
                add(&self.shared.counters.gaps, u64::from(count));
                return false;
            }
        }
        true
    }

    /// Has the start written by whoever waits for it, without waiting for a thread; gives how far it is when it is written,
    /// or cannot be.
    fn write_here(&self) -> Option<Stage> {
        if self.opening.is_held() {
            return None;
        }
        if self.opening.stage() == Stage::Waiting {
            self.shared.see_to_it();
        }
        Some(self.opening.stage()).filter(|&stage| stage > Stage::Waiting)
    }

    async fn until_written(&self) -> Stage {
        if self.opening.is_held() {
            std::future::poll_fn(|context| self.poll_room(context)).await;
            if self.send_held(true) {
                self.shared.see_to_it();
            }
        }
        self.opening.reached(Stage::Written).await
    }

    /// Takes the bytes out of a note when there is no room for them, and says what is missing then. The note itself is
    /// small and goes in any case.
    fn strip(&self, body: &mut Bytes) -> Option<Stripped> {
        if body.is_empty() || self.shared.queue.has_room() {
            return None;
        }
        let bytes = std::mem::take(body).len() as u64;
        Some(Stripped { bytes, cause: self.shared.gap_cause() })
    }

    fn send_begin(&self, begin: Box<Begin>) {
        let charge = begin.start.body.len() + NOTE_BYTES + HEAD_BYTES;
        let offset_us = begin.start.overhead_pre_us;
        let (is_heavy, kind) = (self.coded.load(Ordering::Relaxed), NoteKind::Begin(begin));
        let note = Note { request: self.request, offset_us, charge, count: 1, is_heavy, kind };
        if let Err(refused) = self.shared.queue.push(Entry::Note(note), Instant::now()) {
            self.refused.store(true, Ordering::Relaxed);
            add(&self.shared.counters.gaps, 1);
            add(&self.shared.counters.refused, 1);
            self.opening.advance(Stage::Failed);
            tracing::debug!(request = %self.request, ?refused, "request not recorded");
        }
    }

    /// Sends the start that waited for room, with its body or without; says whether it had waited.
    fn send_held(&self, with_body: bool) -> bool {
        let Some(mut begin) = self.opening.take_held() else { return false };
        self.shared.queue.forget_waker(self.request);
        if !with_body {
            begin.stripped = begin.start.body.len() as u64;
            begin.start.body = Bytes::new();
        }
        self.send_begin(begin);
        true
    }

    /// Whether waiting for the start to be durable most likely takes until the disk is mended.
    fn is_hopeless(&self) -> bool {
        match self.opening.stage() {
            Stage::Waiting if self.unwritten.load(Ordering::Relaxed) => true,
            Stage::Waiting | Stage::Written => {
                !matches!(self.shared.journal_state(), JournalState::Healthy | JournalState::Full)
            }
            Stage::Durable | Stage::Bare | Stage::Failed => false,
        }
    }

    fn judge(&self, reached: Option<Stage>, waited: Duration) -> Result<(), NotRecorded> {
        match reached {
            Some(Stage::Written | Stage::Durable) => Ok(()),
            Some(Stage::Bare) => {
                Err(NotRecorded::DiskFull { directory: self.shared.journal_directory.clone() })
            }
            Some(Stage::Waiting | Stage::Failed) | None => {
                let refused = self.refused.load(Ordering::Relaxed);
                if refused && self.shared.journal_state() == JournalState::Healthy {
                    return Err(NotRecorded::QueueFull);
                }
                Err(self.shared.not_recorded(waited))
            }
        }
    }
}
