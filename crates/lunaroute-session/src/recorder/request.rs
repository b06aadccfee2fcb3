//! One open request in the pen's hands: notes come in, events go out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Exchange, Interpreter, RequestId, RequestReading, ResponseHead, SessionId,
    Timestamp, headers,
};

use super::figures::Counters;
use super::note::{Begin, ProviderForm, RequestStart, Stripped};
use super::opening::Opening;
use super::outlet::{Outlet, contain};
use super::pen::Limits;
use super::reply::Reply;
use super::shared::micros;
use crate::event::{
    AttemptStarted, EventKind, GapCause, ProviderRequest, Repeats, RequestRead, SessionEvent, Started,
};
use crate::identity::Placed;

/// What is still to be read of a request body.
pub(crate) enum Unread {
    Body(Bytes),
    /// It was read already, because the session hung on it.
    Reading(Box<RequestReading>),
}

pub(crate) struct OpenRequest {
    pub(crate) id: RequestId,
    pub(crate) session: SessionId,
    pub(crate) received_at: Timestamp,
    base: Instant,
    /// Shared with whoever sends the answer's pieces.
    pub(crate) opening: Arc<Opening>,
    pub(crate) exchange: Exchange,
    next_seq: u32,
    /// Microseconds from the arrival to the last event.
    last_us: u64,
    unread: Option<Unread>,
    /// The earlier body that most of this one repeats.
    pub(crate) repeats: Option<Repeats>,
    /// The body is not in the record, so its spans would point nowhere.
    body_lost: bool,
    pub(crate) model: Option<String>,
    pub(crate) asked_for_stream: bool,
    pub(crate) request_bytes: u64,
    pub(crate) overhead_pre_us: u64,
    pub(crate) attempts: u32,
    pub(crate) provider: Option<String>,
    pub(crate) status: Option<u16>,
    /// Boxed: it is long, and a request is moved about.
    pub(crate) reply: Option<Box<Reply>>,
    /// What is asked of a provider of another dialect, and its answer as it comes.
    provider_exchange: Option<Box<Exchange>>,
    pub(crate) provider_reply: Option<Box<Reply>>,
}

impl OpenRequest {
    /// Opens the request and writes its first event; says as well whether the body is in it as it came.
    pub(crate) fn open(
        begin: Begin,
        (placed, reading, repeats): (Placed, Option<RequestReading>, Option<Repeats>),
        body_limit: usize,
        outlet: &mut Outlet,
    ) -> (Self, bool) {
        let Begin { start, base, opening, stripped } = begin;
        let RequestStart { id, received_at, exchange, hint, body, overhead_pre_us, .. } = start;
        let source_bytes = body.len() as u64 + stripped;
        let (body, gap) = if body.len() > body_limit {
            (Bytes::new(), Some(GapCause::TooLarge))
        } else {
            (body, (stripped > 0).then_some(GapCause::QueueFull))
        };
        let started = Started {
            client: hint.client,
            external_id: hint.external_id,
            session_source: placed.source,
            dialect: exchange.dialect,
            operation: exchange.operation,
            listener: start.listener.to_string(),
            method: start.method.to_string(),
            path: start.path,
            headers: headers::for_record(&exchange.headers),
            client_ip: start.client_ip.map(|address| address.to_string()),
            user_agent: text_header(&exchange, http::header::USER_AGENT),
            overhead_pre_us,
            repeats: repeats.filter(|_| gap.is_none()),
        };
        let unread = match (reading, gap) {
            (Some(reading), None) => Some(Unread::Reading(Box::new(reading))),
            (None, None) => Some(Unread::Body(body.clone())),
            (_, Some(_)) => None,
        };
        let mut request = Self {
            id,
            session: placed.session,
            received_at,
            base,
            opening,
            exchange,
            next_seq: 0,
            last_us: 0,
            unread,
            repeats,
            body_lost: false,
            model: None,
            asked_for_stream: false,
            request_bytes: source_bytes,
            overhead_pre_us,
            attempts: 0,
            provider: None,
            status: None,
            reply: None,
            provider_exchange: None,
            provider_reply: None,
        };
        let kept = request.emit_with(outlet, 0, EventKind::Started(Arc::new(started)), body);
        if let Some(cause) = gap {
            let gap = EventKind::Gap { lost_frames: 0, lost_bytes: source_bytes, cause };
            request.emit(outlet, overhead_pre_us, gap);
        }
        (request, kept && gap.is_none())
    }

    pub(crate) fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// When the last event happened.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.moment(self.last_us)
    }

    pub(crate) fn elapsed_us(&self) -> u64 {
        micros(self.base.elapsed())
    }

    /// When the frames that wait to be joined have to be written.
    pub(crate) fn stretch_due(&self, coalesce: Duration) -> Option<Instant> {
        let since = |reply: &Option<Box<Reply>>| reply.as_ref().and_then(|reply| reply.waiting_since());
        let first_us = [since(&self.reply), since(&self.provider_reply)].into_iter().flatten().min()?;
        Some(self.base + Duration::from_micros(first_us) + coalesce)
    }

    fn moment(&self, offset_us: u64) -> Timestamp {
        let micros = self.received_at.as_micros();
        Timestamp::from_micros(micros.saturating_add(i64::try_from(offset_us).unwrap_or(i64::MAX)))
    }

    pub(crate) fn emit(&mut self, outlet: &mut Outlet, offset_us: u64, kind: EventKind) {
        self.emit_with(outlet, offset_us, kind, Bytes::new());
    }

    /// Says whether the body is kept as it is.
    pub(crate) fn emit_with(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        kind: EventKind,
        body: Bytes,
    ) -> bool {
        self.last_us = self.last_us.max(offset_us);
        let event = SessionEvent {
            session: self.session.clone(),
            request: self.id,
            seq: self.next_seq,
            at: self.moment(self.last_us),
            kind,
            body: body.into(),
        };
        self.next_seq += 1;
        outlet.push(event)
    }

    /// What the body says, when it had to be read before the request could be opened.
    pub(crate) fn reading(&self) -> Option<&RequestReading> {
        match &self.unread {
            Some(Unread::Reading(reading)) => Some(reading),
            Some(Unread::Body(_)) | None => None,
        }
    }

    /// What is still to be read of the body.
    pub(crate) fn take_unread(&mut self) -> Option<Unread> {
        self.unread.take()
    }

    /// Writes what the body says.
    pub(crate) fn tell_reading(&mut self, reading: RequestReading, outlet: &mut Outlet) {
        self.model.clone_from(&reading.model);
        self.asked_for_stream = reading.stream;
        let read = RequestRead {
            model: reading.model,
            stream: reading.stream,
            content_encoding: text_header(&self.exchange, http::header::CONTENT_ENCODING),
            messages: if self.body_lost { Vec::new() } else { reading.messages },
            tool_results: if self.body_lost { Vec::new() } else { reading.tool_results },
            preview: reading.preview,
            problem: reading.problem,
        };
        self.emit(outlet, self.overhead_pre_us, EventKind::Request(Arc::new(read)));
    }

    /// The body could not be kept although the request was taken; the gap that says so is written and took a seq.
    pub(crate) fn lose_body(&mut self) {
        self.body_lost = true;
        self.next_seq += 1;
    }

    pub(crate) fn attempt_started(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        (provider, model, reason): (String, Option<String>, AttemptReason),
    ) {
        if self.attempts == 0 {
            self.overhead_pre_us = offset_us;
        }
        self.provider = Some(provider.clone());
        let attempt = AttemptStarted { ordinal: self.attempts, provider, model, reason };
        self.attempts += 1;
        self.emit(outlet, offset_us, EventKind::AttemptStarted(Arc::new(attempt)));
    }

    pub(crate) fn attempt_finished(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        outcome: AttemptOutcome,
        (discarded, stripped): (Bytes, Option<Stripped>),
    ) {
        let ordinal = self.attempts.saturating_sub(1);
        self.emit_with(outlet, offset_us, EventKind::AttemptFinished { ordinal, outcome }, discarded);
        self.tell_stripped(outlet, offset_us, stripped);
    }

    /// Says that the body of the event before is missing.
    fn tell_stripped(&mut self, outlet: &mut Outlet, offset_us: u64, stripped: Option<Stripped>) {
        if let Some(Stripped { bytes, cause }) = stripped {
            self.emit(outlet, offset_us, EventKind::Gap { lost_frames: 0, lost_bytes: bytes, cause });
        }
    }

    pub(crate) fn response_started(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        head: &ResponseHead,
        (interpreter, counters, limits): (&dyn Interpreter, &Counters, &Limits),
    ) {
        let reader = contain(counters, || interpreter.response(&self.exchange, head));
        self.status = Some(head.status);
        self.reply = Some(Box::new(Reply::new(head, reader, limits)));
        let headers = headers::for_record(&head.headers);
        self.emit(
            outlet,
            offset_us,
            EventKind::ResponseStarted { status: head.status, headers: headers.into() },
        );
    }

    /// The request goes to a provider of another dialect in this form.
    pub(crate) fn provider_request(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        (form, stripped): (ProviderForm, Option<Stripped>),
        (interpreter, counters): (&dyn Interpreter, &Counters),
    ) {
        let ProviderForm { exchange, path, body, warnings } = form;
        let reading = stripped.is_none().then(|| contain(counters, || interpreter.request(&exchange, &body)));
        let reading = reading.flatten().unwrap_or_default();
        let request = ProviderRequest {
            ordinal: self.attempts.saturating_sub(1),
            dialect: exchange.dialect,
            path,
            headers: headers::for_record(&exchange.headers),
            messages: reading.messages,
            warnings,
        };
        self.provider_exchange = Some(Box::new(exchange));
        self.provider_reply = None;
        self.emit_with(outlet, offset_us, EventKind::ProviderRequest(Box::new(request)), body);
        self.tell_stripped(outlet, offset_us, stripped);
    }

    /// That provider answers.
    pub(crate) fn provider_response(
        &mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        head: &ResponseHead,
        (interpreter, counters, limits): (&dyn Interpreter, &Counters, &Limits),
    ) {
        let exchange = self.provider_exchange.as_deref().unwrap_or(&self.exchange);
        let reader = contain(counters, || interpreter.response(exchange, head));
        self.provider_reply = Some(Box::new(Reply::new(head, reader, limits)));
        let headers = headers::for_record(&head.headers);
        self.emit(outlet, offset_us, EventKind::ProviderResponse { status: head.status, headers });
    }

    /// Writes the frames that were joined so far, those of a foreign provider before what was made of them.
    pub(crate) fn write_stretch(&mut self, counters: &Counters, outlet: &mut Outlet) {
        if let Some(stretch) = self.provider_reply.as_mut().and_then(|reply| reply.take_stretch(counters)) {
            let kind = EventKind::ProviderDelta { frames: stretch.frames };
            self.emit_with(outlet, stretch.last_us, kind, stretch.body);
            outlet.batch.settle_notes(self.id, u64::from(stretch.frames), stretch.charge);
        }
        let Some(stretch) = self.reply.as_mut().and_then(|reply| reply.take_stretch(counters)) else {
            return;
        };
        self.emit_with(outlet, stretch.last_us, stretch.kind, stretch.body);
        outlet.batch.settle_notes(self.id, u64::from(stretch.frames), stretch.charge);
    }
}

fn text_header(exchange: &Exchange, name: http::HeaderName) -> Option<String> {
    exchange.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
