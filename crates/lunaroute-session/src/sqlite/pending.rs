//! A request that is not over yet, gathered from its events in memory.
//!
//! What is here can be lost: the writer's checkpoint stays at the oldest of these requests until it is over.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{AttemptOutcome, Ending, FailureKind, RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::Position;

use super::bodies::BodyReferences;
use super::samples::Samples;
use crate::event::{
    AttemptStarted, EventKind, GapCause, ProviderRequest, RequestRead, ResponseRead, SessionEvent, Started,
    Stats,
};

/// One attempt as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) started: Option<(Timestamp, AttemptStarted)>,
    pub(crate) finished: Option<(Timestamp, AttemptOutcome)>,
    pub(crate) body: Bytes,
}

/// A tool call that the model asked for.
#[derive(Debug, Clone)]
pub(crate) struct AskedTool {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// How it ended.
#[derive(Debug, Clone)]
pub(crate) struct Completed {
    pub(crate) seq: u32,
    pub(crate) at: Timestamp,
    pub(crate) ending: Ending,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<FailureKind>,
    pub(crate) message: Option<String>,
}

/// A failure on the way.
#[derive(Debug, Clone)]
pub(crate) struct Mishap {
    pub(crate) seq: u32,
    pub(crate) at: Timestamp,
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// What the record lacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) cause: GapCause,
}

/// The answer's bytes as far as they came.
#[derive(Clone)]
pub(crate) struct AnswerBytes {
    /// The bytes, or the start of them when there were too many to hold.
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: u64,
    /// Hash of what came, from the moment on that not all bytes are held.
    hasher: Option<Box<blake3::Hasher>>,
}

/// So much is kept of the start of an answer that has too many bytes to hold.
const PREFIX: usize = 1 << 20;

/// A request as it went to a provider of another dialect, and what came back.
#[derive(Clone)]
pub(crate) struct ProviderForm {
    pub(crate) request: Box<ProviderRequest>,
    pub(crate) body: Bytes,
    pub(crate) head: Option<(u16, Vec<(String, String)>)>,
    pub(crate) answer: AnswerBytes,
}

/// What the row of a request that still runs holds on to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) content: Option<i64>,
    /// What is kept of the body; `None` when the body had not been read yet.
    pub(crate) references: Option<BodyReferences>,
}

/// A request that is not over, or is over and not committed yet.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) request: RequestId,
    pub(crate) session: SessionId,
    /// Where its first event stands in the journal; `None` while it is known from elsewhere only.
    pub(crate) position: Option<Position>,
    pub(crate) first_at: Timestamp,
    /// When this process met it.
    pub(crate) met: Instant,
    next_seq: u32,
    /// Its row as running, once that is committed.
    pub(crate) shown: Option<Shown>,
    /// Whether `body` is memory of its own and not a slice of a batch.
    is_own: bool,
    pub(crate) started: Option<Box<Started>>,
    pub(crate) body: Bytes,
    pub(crate) body_length: u64,
    pub(crate) read: Option<Box<RequestRead>>,
    pub(crate) attempts: BTreeMap<u32, Attempt>,
    pub(crate) head: Option<(u16, Vec<(String, String)>)>,
    /// The last of its attempts at a provider of another dialect.
    pub(crate) provider: Option<Box<ProviderForm>>,
    pub(crate) answer: AnswerBytes,
    pub(crate) samples: Samples,
    pub(crate) tools: Vec<AskedTool>,
    pub(crate) response: Option<Box<ResponseRead>>,
    pub(crate) stats: Option<Stats>,
    pub(crate) mishaps: Vec<Mishap>,
    pub(crate) lost: Option<Lost>,
    pub(crate) completed: Option<Completed>,
}

impl Pending {
    /// A request whose first known event is `event`.
    pub(crate) fn new(event: &SessionEvent, position: Option<Position>) -> Self {
        Self {
            request: event.request,
            session: event.session.clone(),
            position,
            first_at: event.at,
            met: Instant::now(),
            next_seq: 0,
            shown: None,
            is_own: false,
            started: None,
            body: Bytes::new(),
            body_length: 0,
            read: None,
            attempts: BTreeMap::new(),
            head: None,
            provider: None,
            answer: AnswerBytes::new(),
            samples: Samples::default(),
            tools: Vec::new(),
            response: None,
            stats: None,
            mishaps: Vec::new(),
            lost: None,
            completed: None,
        }
    }

    /// Takes an event in and tells whether the request is over with it; an event that was taken before changes nothing.
    /// `room` is how many bytes the answer may still grow by.
    pub(crate) fn absorb(&mut self, event: &SessionEvent, room: usize) -> bool {
        if event.seq < self.next_seq || self.completed.is_some() {
            return false;
        }
        self.next_seq = event.seq.saturating_add(1);
        match &event.kind {
            EventKind::Started(started) => {
                self.started = Some(started.clone());
                self.body = event.body.clone();
                self.body_length = event.body.len() as u64;
                self.is_own = false;
            }
            EventKind::Request(read) => self.read = Some(read.clone()),
            EventKind::AttemptStarted(started) => {
                self.attempts.entry(started.ordinal).or_default().started = Some((event.at, started.clone()));
            }
            EventKind::AttemptFinished { ordinal, outcome } => {
                let attempt = self.attempts.entry(*ordinal).or_default();
                attempt.finished = Some((event.at, outcome.clone()));
                attempt.body = Bytes::copy_from_slice(&event.body);
            }
            EventKind::ResponseStarted { status, headers } => self.head = Some((*status, headers.clone())),
            EventKind::StreamDelta { first_us, parts, .. } => {
                self.answer.append(&event.body, room);
                parts.iter().for_each(|part| self.samples.take(*first_us, part));
            }
            EventKind::ProviderRequest(_)
            | EventKind::ProviderResponse { .. }
            | EventKind::ProviderDelta { .. } => self.absorb_provider(event, room),
            EventKind::ToolCall { id, name, arguments } => self.tools.push(AskedTool {
                at: event.at,
                id: id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
            EventKind::Response(response) => self.response = Some(response.clone()),
            EventKind::Stats(stats) => self.stats = Some(stats.clone()),
            EventKind::Error { error, message } => self.mishaps.push(Mishap {
                seq: event.seq,
                at: event.at,
                kind: *error,
                message: message.clone(),
            }),
            EventKind::Gap { lost_frames, lost_bytes, cause } => self.lose(*lost_frames, *lost_bytes, *cause),
            EventKind::Completed { ending, status, error, message } => {
                self.completed = Some(Completed {
                    seq: event.seq,
                    at: event.at,
                    ending: *ending,
                    status: *status,
                    error: *error,
                    message: message.clone(),
                });
                return true;
            }
        }
        false
    }

    /// Takes in what is told of the provider's form.
    fn absorb_provider(&mut self, event: &SessionEvent, room: usize) {
        match (&event.kind, &mut self.provider) {
            (EventKind::ProviderRequest(request), provider) => {
                *provider = Some(Box::new(ProviderForm {
                    request: request.clone(),
                    body: Bytes::copy_from_slice(&event.body),
                    head: None,
                    answer: AnswerBytes::new(),
                }));
            }
            (EventKind::ProviderResponse { status, headers }, Some(provider)) => {
                provider.head = Some((*status, headers.clone()));
            }
            (EventKind::ProviderDelta { .. }, Some(provider)) => provider.answer.append(&event.body, room),
            _ => {}
        }
    }

    /// Takes its body out of the batch that brought it: the event's bytes are a slice of a much larger chunk.
    pub(crate) fn own_body(&mut self) {
        if !self.is_own {
            self.body = Bytes::copy_from_slice(&self.body);
            self.is_own = true;
        }
    }

    /// Several gaps count together; the first cause stands for all.
    fn lose(&mut self, frames: u64, bytes: u64, cause: GapCause) {
        let lost = self.lost.get_or_insert(Lost { frames: 0, bytes: 0, cause });
        lost.frames = lost.frames.saturating_add(frames);
        lost.bytes = lost.bytes.saturating_add(bytes);
    }

    /// Bytes of the answer that are held in memory, in both of its forms.
    pub(crate) fn held(&self) -> usize {
        let answers = std::iter::once(&self.answer).chain(self.provider.iter().map(|form| &form.answer));
        answers.map(|answer| answer.bytes.len()).sum()
    }

    /// Whether an answer had too many bytes, in either of its forms.
    pub(crate) fn is_cut(&self) -> bool {
        self.answer.is_cut() || self.provider.as_ref().is_some_and(|form| form.answer.is_cut())
    }

    /// The same request without figures that a provider or a clock gave: what is left when they fit no column.
    pub(crate) fn without_figures(&self) -> Self {
        let mut plain = self.clone();
        plain.stats = None;
        plain.lost = None;
        if let Some(response) = &mut plain.response {
            response.usage = lunaroute_core::Usage::default();
        }
        if let Some(started) = &mut plain.started {
            started.overhead_pre_us = 0;
        }
        for (_, outcome) in plain.attempts.values_mut().filter_map(|attempt| attempt.finished.as_mut()) {
            outcome.latency_us = 0;
            outcome.retry_after_ms = None;
        }
        plain
    }
}

impl AnswerBytes {
    fn new() -> Self {
        Self { bytes: Vec::new(), length: 0, hasher: None }
    }

    fn is_cut(&self) -> bool {
        self.hasher.is_some()
    }

    fn append(&mut self, addition: &[u8], room: usize) {
        self.length += addition.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(addition);
            return;
        }
        if addition.len() <= room {
            self.bytes.extend_from_slice(addition);
            return;
        }
        let mut hasher = Box::new(blake3::Hasher::new());
        hasher.update(&self.bytes).update(addition);
        self.hasher = Some(hasher);
        let missing = PREFIX.saturating_sub(self.bytes.len()).min(room).min(addition.len());
        self.bytes.extend_from_slice(&addition[..missing]);
        self.bytes.truncate(PREFIX);
        self.bytes.shrink_to_fit();
    }

    /// BLAKE3 of all that came.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hasher.as_ref().map_or_else(|| blake3::hash(&self.bytes), |hasher| hasher.finalize())
    }
}
