//! The guest book: what happened to a request, written down while it happens. With recording off the same calls only
//! feed the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Ending, Exchange, Failure, FailureKind, Observer, Outcome, ResponseHead,
    SessionId, Usage, headers,
};
use lunaroute_ingress::Share;
use lunaroute_observability::Metrics;
use lunaroute_session::event::TranslationWarning;
use lunaroute_session::{NotRecorded, ProviderForm, Recording, RequestStart};

use crate::crossing::Crossed;
use crate::desk::Desk;
use crate::house::House;
use crate::visitor::Visitor;

/// The entry of one request. Dropped while open, it closes itself as cancelled.
pub(crate) struct Entry {
    kind: Kind,
    /// Set when the gateway cuts what is left: whoever is gone then did not hang up.
    cutting: Arc<AtomicBool>,
    /// The request's place among those in flight: free for another once this is gone.
    _place: Share,
}

enum Kind {
    Recorded(Recording),
    Counted(Box<Counted>),
}

impl Entry {
    /// Opens the entry of a request.
    pub(crate) fn open(house: &House, visitor: &Visitor, desk: &Desk, place: Share) -> Self {
        let Some(recorder) = &house.recorder else {
            return Self::new(house, Kind::Counted(Box::new(Counted::new(house, visitor, desk))), place);
        };
        let recording = recorder.begin(RequestStart {
            id: visitor.id,
            received_at: visitor.received_at,
            exchange: visitor.exchange(),
            hint: desk.hint.clone(),
            listener: Arc::clone(&house.listener),
            method: visitor.method.clone(),
            path: headers::path_for_record(visitor.path_and_query()),
            client_ip: Some(visitor.client_ip),
            body: visitor.body.clone(),
            overhead_pre_us: visitor.elapsed_us(),
        });
        Self::new(house, Kind::Recorded(recording), place)
    }

    fn new(house: &House, kind: Kind, place: Share) -> Self {
        Self { kind, cutting: Arc::clone(&house.cutting), _place: place }
    }

    /// Waits until the request is in the journal.
    ///
    /// # Errors
    /// `overloaded` when it cannot be and has to be.
    pub(crate) async fn written(&mut self, required: bool) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Recorded(recording) => insist(recording.written().await, required),
            Kind::Counted(_) => Ok(()),
        }
    }

    /// Waits until the request is on the disk, where the configuration asks for that.
    ///
    /// # Errors
    /// `overloaded` when it cannot be and has to be.
    pub(crate) async fn durable(&mut self, required: bool) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Recorded(recording) => insist(recording.durable().await, required),
            Kind::Counted(_) => Ok(()),
        }
    }

    pub(crate) fn attempt_started(&mut self, provider: &str, model: Option<&str>, reason: AttemptReason) {
        match &mut self.kind {
            Kind::Recorded(recording) => recording.attempt_started(provider, model, reason),
            Kind::Counted(counted) => {
                counted.outcome.provider = Some(provider.to_owned());
                counted.outcome.attempts += 1;
            }
        }
    }

    pub(crate) fn attempt_finished(&mut self, outcome: AttemptOutcome, discarded: Bytes) {
        if let Kind::Recorded(recording) = &mut self.kind {
            recording.attempt_finished(outcome, discarded);
        }
    }

    /// The attempt that has begun is made in another dialect.
    pub(crate) fn provider_request(&mut self, crossed: &Crossed) {
        let Kind::Recorded(recording) = &mut self.kind else { return };
        let warnings = crossed.back.warnings.iter().map(|warning| TranslationWarning {
            path: warning.path.clone(),
            what: warning.what.to_owned(),
            loses_meaning: warning.loses_meaning,
        });
        recording.provider_request(ProviderForm {
            exchange: Exchange {
                dialect: crossed.back.from,
                operation: crossed.endpoint.operation,
                headers: Arc::new(crossed.headers.clone()),
                addressed: crossed.addressed(),
            },
            path: crossed.endpoint.path.to_string(),
            body: crossed.body.clone(),
            warnings: warnings.collect(),
        });
    }

    /// The head of an answer that is translated.
    pub(crate) fn provider_response(&mut self, head: &ResponseHead) {
        if let Kind::Recorded(recording) = &mut self.kind {
            recording.provider_response(head);
        }
    }

    /// Pieces of an answer that is translated, as the provider sent them: so many, joined.
    pub(crate) fn provider_frames(&mut self, joined: &Bytes, count: u32) {
        if let Kind::Recorded(recording) = &mut self.kind {
            recording.provider_frames(joined, count);
        }
    }

    pub(crate) fn response_started(&mut self, head: &ResponseHead) {
        match &mut self.kind {
            Kind::Recorded(recording) => recording.response_started(head),
            Kind::Counted(counted) => {
                counted.outcome.status = Some(head.status);
                counted.outcome.streamed = head.is_event_stream();
            }
        }
    }

    /// Ready when the next frame can be kept, or is known not to be.
    pub(crate) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Kind::Recorded(recording) => recording.poll_room(context),
            Kind::Counted(_) => Poll::Ready(()),
        }
    }

    /// Takes a reference to a frame on its way to the client.
    pub(crate) fn frame(&mut self, frame: &Bytes) {
        self.frames(frame, 1);
    }

    /// Takes a reference to frames that were there at once and are joined.
    pub(crate) fn frames(&mut self, joined: &Bytes, count: u32) {
        match &mut self.kind {
            Kind::Recorded(recording) => recording.frames(joined.clone(), count),
            Kind::Counted(counted) => counted.first_frame(),
        }
    }

    /// Closes the entry, once; what comes later changes nothing.
    pub(crate) fn close(&mut self, ending: Ending, failure: Option<&Failure>) {
        match &mut self.kind {
            Kind::Recorded(recording) => recording.close(ending, failure),
            Kind::Counted(counted) => counted.close(ending, failure.map(|failure| failure.kind)),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.cutting.load(Ordering::Relaxed) && !std::thread::panicking() {
            self.close(Ending::Interrupted, None);
        }
    }
}

fn insist(result: Result<(), NotRecorded>, required: bool) -> Result<(), Failure> {
    match result {
        Err(reason) if required => Err(Failure::gateway(
            FailureKind::Overloaded,
            format!("this request cannot be recorded, and recording.required is set: {reason}"),
        )),
        _ => Ok(()),
    }
}

/// What the metrics get when nothing is recorded: everything that needs no reading of bodies.
struct Counted {
    outcome: Outcome,
    started: std::time::Instant,
    metrics: Arc<Metrics>,
    open: bool,
}

impl Counted {
    fn new(house: &House, visitor: &Visitor, desk: &Desk) -> Self {
        house.metrics.started();
        Self {
            outcome: Outcome {
                request: visitor.id,
                session: SessionId::generate(),
                dialect: visitor.dialect,
                operation: visitor.operation,
                provider: None,
                model: desk.model().map(str::to_owned),
                streamed: false,
                ending: Ending::Cancelled,
                status: None,
                failure: None,
                usage: Usage::default(),
                stop: None,
                tool_calls: 0,
                attempts: 0,
                total_us: 0,
                first_token_us: None,
            },
            started: visitor.started,
            metrics: Arc::clone(&house.metrics),
            open: true,
        }
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn first_frame(&mut self) {
        if self.outcome.first_token_us.is_none() {
            self.outcome.first_token_us = Some(self.elapsed_us());
        }
    }

    fn close(&mut self, ending: Ending, failure: Option<FailureKind>) {
        if std::mem::take(&mut self.open) {
            self.outcome.ending = ending;
            self.outcome.failure = failure;
            self.outcome.total_us = self.elapsed_us();
            self.metrics.finished(&self.outcome);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.close(Ending::Cancelled, Some(FailureKind::Cancelled));
    }
}
