//! What the lines of a file that is being written have told, so that later ones need not tell it again.
//!
//! Whoever reads the file knows all of it, too ([`Heard`](super::heard::Heard)): a line refers to nothing but the lines
//! before it in the same file. What is forgotten here is told again, and after some time everything is, so that damage to
//! one line does not reach far.

use std::collections::VecDeque;

use lunaroute_core::{RequestId, Timestamp};
use lunaroute_storage::journal::Position;

use super::line::{self, Place, Reference};
use crate::event::{EventKind, Repeats, SessionEvent, Started};

/// So many requests of a file are remembered by the time they began.
pub(super) const OPENINGS: usize = 64;

/// The bodies of so many of them may be repeated: the agents of one session that take turns are seldom more.
pub(super) const BASES: usize = 8;

/// After so many requests one is told whole.
const WHOLE_EVERY: u32 = 32;

/// Bodies that the recorder did not compare, because they are small, are compared here.
const SMALL_BYTES: std::ops::RangeInclusive<usize> = 256..=4 * 1024;

struct Opening {
    request: RequestId,
    at: Timestamp,
    body_bytes: u64,
}

/// What was told.
#[derive(Default)]
pub(super) struct Told {
    session: bool,
    position: Option<Position>,
    started: Option<Box<Started>>,
    openings: VecDeque<Opening>,
    /// The body of the last request, when it is small.
    small: Option<(RequestId, Vec<u8>)>,
    since_whole: u32,
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
            journal: self.position == Some(place.position),
            opened_at: self.opened_at(event.request),
            shared: None,
        };
        (self.session, self.position) = (true, Some(place.position));
        if let EventKind::Started(started) = &event.kind {
            if self.since_whole == WHOLE_EVERY {
                self.forget_started();
            }
            self.since_whole += 1;
            reference.shared = self.shared(event, started);
        }
        line::append(event, place, &reference, &mut self.started, output);
        if let EventKind::Started(_) = &event.kind {
            self.enter(event);
        }
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
        self.small = None;
    }

    /// What the event's body has in common with an earlier one.
    fn shared(&self, event: &SessionEvent, started: &Started) -> Option<Shared> {
        let told = started.repeats.filter(|repeats| self.has(repeats, &event.body));
        told.map(|repeats| Shared { repeats, in_event: true }).or_else(|| self.compare(&event.body))
    }

    /// Whether the body can be put together again from an earlier one of the file.
    fn has(&self, repeats: &Repeats, body: &[u8]) -> bool {
        let mut bases = self.openings.iter().rev().take(BASES);
        let Some(base) = bases.find(|opening| opening.request == repeats.of) else { return false };
        let common = repeats.prefix.saturating_add(repeats.suffix);
        common > 0 && common <= base.body_bytes && common <= body.len() as u64
    }

    /// Compares a small body with the last one.
    fn compare(&self, body: &[u8]) -> Option<Shared> {
        let (of, base) = self.small.as_ref()?;
        if !SMALL_BYTES.contains(&body.len()) {
            return None;
        }
        let same = |(ours, theirs): &(&u8, &u8)| ours == theirs;
        let mut prefix = body.iter().zip(base).take_while(same).count();
        let room = body.len().min(base.len()) - prefix;
        let mut suffix = body.iter().rev().zip(base.iter().rev()).take(room).take_while(same).count();
        // Between characters, so that what is new stays text.
        let cuts_character = |at: usize| body.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        while prefix > 0 && cuts_character(prefix) {
            prefix -= 1;
        }
        while suffix > 0 && cuts_character(body.len() - suffix) {
            suffix -= 1;
        }
        let repeats = Repeats { of: *of, prefix: prefix as u64, suffix: suffix as u64 };
        ((prefix + suffix) * 2 >= body.len()).then_some(Shared { repeats, in_event: false })
    }

    fn enter(&mut self, event: &SessionEvent) {
        if self.openings.len() == OPENINGS {
            self.openings.pop_front();
        }
        let (request, at) = (event.request, event.at);
        self.openings.push_back(Opening { request, at, body_bytes: event.body.len() as u64 });
        if SMALL_BYTES.contains(&event.body.len()) {
            let (of, body) = self.small.get_or_insert_with(|| (request, Vec::new()));
            *of = request;
            body.clear();
            body.extend_from_slice(&event.body);
        } else {
            self.small = None;
        }
    }
}
