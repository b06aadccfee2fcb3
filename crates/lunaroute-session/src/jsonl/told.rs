//! What the lines of a file that is being written have told, so that later ones need not tell it again.
//!
//! Whoever reads the file knows all of it, too ([`Heard`](super::heard::Heard)): a line refers to nothing but the lines
//! before it in the same file. What is forgotten here is told again, and after some time everything is, so that damage to
//! one line does not reach far.

use std::collections::VecDeque;
use std::sync::Arc;

use lunaroute_core::{RequestId, Timestamp};
use lunaroute_storage::journal::Position;

use super::last::Last;
use super::line::{self, Place, Reference, following};
use crate::event::{Body, EventKind, Repeats, SessionEvent, Started};

/// So many requests of a file are remembered by the time they began.
pub(super) const OPENINGS: usize = 64;

/// The bodies of so many of them may be repeated: the agents of one session that take turns are seldom more.
pub(super) const BASES: usize = 8;

/// After so many requests one is told whole.
const WHOLE_EVERY: u32 = 32;

struct Opening {
    request: RequestId,
    at: Timestamp,
    body_bytes: u64,
}

/// Bodies and pieces of answers up to this length are compared with the last one: larger ones would take memory, and of
/// request bodies the recorder says itself what they repeat.
const SMALL: usize = 4 * 1024;

/// The same for translated requests, of which the recorder does not say it.
const TRANSLATED: usize = 1024 * 1024;

/// What was told.
pub(super) struct Told {
    session: bool,
    position: Option<Position>,
    started: Option<Arc<Started>>,
    openings: VecDeque<Opening>,
    question: Last,
    answer: Last,
    translated: Last,
    since_whole: u32,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            session: false,
            position: None,
            started: None,
            openings: VecDeque::new(),
            question: Last::up_to(SMALL),
            answer: Last::up_to(SMALL),
            translated: Last::up_to(TRANSLATED),
            since_whole: 0,
        }
    }
}

/// What a body has in common with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) repeats: Repeats,
    /// Whether the event tells it itself.
    pub(super) in_event: bool,
}

impl Told {
    /// Appends the line of an event that follows what was told.
    pub(super) fn append(&mut self, event: &SessionEvent, place: Place, output: &mut Vec<u8>) {
        let mut reference = Reference {
            session: self.session,
            journal: self.position.map(following) == Some(place.position),
            opened_at: self.opened_at(event.request),
            shared: None,
        };
        (self.session, self.position) = (true, Some(place.position));
        let body = &event.body;
        match &event.kind {
            EventKind::Started(started) => {
                if self.since_whole == WHOLE_EVERY {
                    self.forget_started();
                }
                self.since_whole += 1;
                reference.shared = self.shared(body, started);
                self.enter(event);
            }
            EventKind::StreamDelta { .. } => {
                reference.shared =
                    self.answer.compare(body).map(|repeats| Shared { repeats, in_event: false });
                self.answer.enter(event.request, body);
            }
            EventKind::ProviderRequest(_) => {
                reference.shared =
                    self.translated.compare(body).map(|repeats| Shared { repeats, in_event: false });
                self.translated.enter(event.request, body);
            }
            _ => {}
        }
        line::append(event, place, &reference, &mut self.started, output);
    }

    fn opened_at(&self, request: RequestId) -> Option<Timestamp> {
        let opening = self.openings.iter().rev().find(|opening| opening.request == request);
        opening.map(|opening| opening.at)
    }

    /// Forgets everything: the next line tells all of it.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn forget_started(&mut self) {
        self.shrink();
        self.openings.clear();
        self.since_whole = 0;
    }

    /// Gives back what takes memory and is soon told again.
    pub(super) fn shrink(&mut self) {
        self.started = None;
        [&mut self.question, &mut self.answer, &mut self.translated].into_iter().for_each(Last::forget);
    }

    /// What a request body has in common with an earlier one.
    fn shared(&self, body: &Body, started: &Started) -> Option<Shared> {
        if let Some(repeats) = started.repeats.filter(|repeats| self.has(repeats, body)) {
            return Some(Shared { repeats, in_event: true });
        }
        self.question.compare(body).map(|repeats| Shared { repeats, in_event: false })
    }

    /// Whether the body can be put together again from an earlier one of the file.
    fn has(&self, repeats: &Repeats, body: &Body) -> bool {
        let mut bases = self.openings.iter().rev().take(BASES);
        let Some(base) = bases.find(|opening| opening.request == repeats.of) else { return false };
        let common = repeats.prefix.saturating_add(repeats.suffix);
        common > 0 && common <= base.body_bytes && common <= body.len() as u64
    }

    fn enter(&mut self, event: &SessionEvent) {
        if self.openings.len() == OPENINGS {
            self.openings.pop_front();
        }
        let (request, at) = (event.request, event.at);
        self.openings.push_back(Opening { request, at, body_bytes: event.body.len() as u64 });
        self.question.enter(request, &event.body);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lunaroute_core::SessionId;

    use super::*;
    use crate::event::Body;

    fn started(number: u8, repeats: Option<Repeats>, body: Body) -> SessionEvent {
        let kind = serde_json::json!({
            "kind": "started", "client": "sdk", "session_source": "generated", "dialect": "openai_chat",
            "operation": "chat", "listener": "default", "method": "POST", "path": "/", "headers": [],
            "overhead_pre_us": 0, "repeats": repeats,
        });
        SessionEvent {
            session: SessionId::parse("s").expect("a session id"),
            request: RequestId::from_bytes([number; 16]),
            seq: 0,
            at: Timestamp::from_micros(i64::from(number)),
            kind: serde_json::from_value(kind).expect("a start"),
            body,
        }
    }

    #[test]
    fn a_body_that_shares_makes_the_lines_of_one_that_does_not() {
        let root = Bytes::from("é".repeat(3_000));
        let (mut sharing, mut alone) = (Told::default(), Told::default());
        let (mut lines, mut expected) = (Vec::new(), Vec::new());
        for number in 1..=70_u8 {
            // Of every third nothing is said, so that it is told whole, and others begin within a character.
            let shared = (4_001, 1_000 + usize::from(number));
            let body = Body::sharing(&root, shared, format!("turn {number}").as_bytes());
            let of = RequestId::from_bytes([number.saturating_sub(1); 16]);
            let repeats = Repeats { of, prefix: shared.0 as u64, suffix: shared.1 as u64 };
            let event = started(number, (!number.is_multiple_of(3)).then_some(repeats), body.clone());
            let place = Place { position: Position { segment: 1, offset: u64::from(number) }, seq: 0 };
            sharing.append(&event, place, &mut lines);
            alone.append(&SessionEvent { body: body.whole().into(), ..event }, place, &mut expected);
        }
        assert!(lines == expected && lines.windows(11).any(|word| word == b"body_middle"));
    }
}
