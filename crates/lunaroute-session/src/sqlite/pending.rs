//! A request that is not over yet, gathered from its events in memory.
//!
//! What is here can be lost: the writer's checkpoint stays at the oldest of these requests until it is over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{AttemptOutcome, Ending, FailureKind, RequestId, SessionId, Timestamp};
use lunaroute_storage::journal::Position;

use super::answer::AnswerBytes;
use super::bodies::BodyReferences;
use super::samples::Samples;
use crate::event::{
    AttemptStarted, Body, EventKind, GapCause, ProviderRequest, RequestRead, ResponseRead, SessionEvent,
    Started, Stats,
};

/// Shared with the event that told them.
type Headers = Arc<[(String, String)]>;

/// One attempt as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) started: Option<(Timestamp, Arc<AttemptStarted>)>,
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

/// A request as it went to a provider of another dialect, and what came back.
#[derive(Clone)]
pub(crate) struct ProviderForm {
    pub(crate) request: Box<ProviderRequest>,
    pub(crate) body: Body,
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
    pub(crate) started: Option<Arc<Started>>,
    pub(crate) body: Body,
    pub(crate) body_length: u64,
    pub(crate) read: Option<Arc<RequestRead>>,
    pub(crate) attempts: BTreeMap<u32, Attempt>,
    pub(crate) head: Option<(u16, Headers)>,
    /// The last of its attempts at a provider of another dialect.
    pub(crate) provider: Option<Box<ProviderForm>>,
    pub(crate) answer: AnswerBytes,
    pub(crate) samples: Samples,
    pub(crate) tools: Vec<AskedTool>,
    pub(crate) response: Option<Arc<ResponseRead>>,
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
            started: None,
            body: Body::default(),
            body_length: 0,
            read: None,
            attempts: BTreeMap::new(),
            head: None,
            provider: None,
            answer: AnswerBytes::default(),
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
    /// `room` is how many bytes the answer may still grow by; a long one goes to a file in `directory`
    /// when there is one.
    pub(crate) fn absorb(&mut self, event: &SessionEvent, room: usize, directory: Option<&Path>) -> bool {
        if event.seq < self.next_seq || self.completed.is_some() {
            return false;
        }
        self.next_seq = event.seq.saturating_add(1);
        match &event.kind {
            EventKind::Started(started) => {
                self.started = Some(started.clone());
                self.body = event.body.clone();
                self.body_length = event.body.len() as u64;
            }
            EventKind::Request(read) => self.read = Some(read.clone()),
            EventKind::AttemptStarted(started) => {
                self.attempts.entry(started.ordinal).or_default().started = Some((event.at, started.clone()));
            }
            EventKind::AttemptFinished { ordinal, outcome } => {
                let attempt = self.attempts.entry(*ordinal).or_default();
                attempt.finished = Some((event.at, outcome.clone()));
                // Mostly short, and part of a larger piece.
                attempt.body = Bytes::copy_from_slice(&event.body.whole());
            }
            EventKind::ResponseStarted { status, headers } => self.head = Some((*status, headers.clone())),
            EventKind::StreamDelta { first_us, parts, .. } => {
                self.answer.append(&event.body.whole(), room, directory);
                parts.iter().for_each(|part| self.samples.take(*first_us, part));
            }
            EventKind::ProviderRequest(_)
            | EventKind::ProviderResponse { .. }
            | EventKind::ProviderDelta { .. } => self.absorb_provider(event, room, directory),
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
    fn absorb_provider(&mut self, event: &SessionEvent, room: usize, directory: Option<&Path>) {
        match (&event.kind, &mut self.provider) {
            (EventKind::ProviderRequest(request), provider) => {
                *provider = Some(Box::new(ProviderForm {
                    request: request.clone(),
                    body: event.body.clone(),
                    head: None,
                    answer: AnswerBytes::default(),
                }));
            }
            (EventKind::ProviderResponse { status, headers }, Some(provider)) => {
                provider.head = Some((*status, headers.clone()));
            }
            (EventKind::ProviderDelta { .. }, Some(provider)) => {
                provider.answer.append(&event.body.whole(), room, directory);
            }
            _ => {}
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
        self.answers().map(AnswerBytes::held).sum()
    }

    /// Bytes of the answer that are kept, in memory or not, in both of its forms.
    pub(crate) fn kept(&self) -> usize {
        self.answers().map(AnswerBytes::kept).sum()
    }

    /// How many of its answers are in files.
    pub(crate) fn spilled(&self) -> usize {
        self.answers().filter(|answer| answer.is_spilled()).count()
    }

    /// The hash that the recorder told of the answer, when what is kept is all of it.
    pub(crate) fn told_hash(&self) -> Option<blake3::Hash> {
        let stats = self.stats.as_ref()?;
        let is_whole = !self.answer.is_cut() && stats.response_bytes == self.answer.kept() as u64;
        if is_whole { blake3::Hash::from_hex(&stats.response_blake3).ok() } else { None }
    }

    fn answers(&self) -> impl Iterator<Item = &AnswerBytes> {
        std::iter::once(&self.answer).chain(self.provider.iter().map(|form| &form.answer))
    }

    /// Whether an answer had too many bytes, in either of its forms.
    pub(crate) fn is_cut(&self) -> bool {
        self.answers().any(AnswerBytes::is_cut)
    }

    /// The same request without figures that a provider or a clock gave: what is left when they fit no column.
    pub(crate) fn without_figures(&self) -> Self {
        let mut plain = self.clone();
        plain.stats = None;
        plain.lost = None;
        if let Some(response) = &mut plain.response {
            Arc::make_mut(response).usage = lunaroute_core::Usage::default();
        }
        if let Some(started) = &mut plain.started {
            Arc::make_mut(started).overhead_pre_us = 0;
        }
        for (_, outcome) in plain.attempts.values_mut().filter_map(|attempt| attempt.finished.as_mut()) {
            outcome.latency_us = 0;
            outcome.retry_after_ms = None;
        }
        plain
    }
}
