//! Events that are in the journal and not durable yet, kept so that the projectors need not read them.

use lunaroute_storage::journal::Position;

use crate::projector::{Chunk, RING_BYTES, bytes_of};
use crate::writer::JournaledEvent;

pub(crate) struct Unpublished {
    /// Up to here everything was taken.
    taken: Position,
    events: Vec<JournaledEvent>,
    bytes: usize,
    /// Something is missing, or does not stand where it was said to: the projectors have to read what is in it.
    given_up: bool,
}

impl Unpublished {
    /// Nothing, at the end of the journal.
    pub(crate) fn from(end: Position) -> Self {
        Self { taken: end, events: Vec::new(), bytes: 0, given_up: true }
    }

    pub(crate) fn add(&mut self, events: Vec<JournaledEvent>) {
        if self.given_up {
            return;
        }
        self.bytes += events.iter().map(bytes_of).sum::<usize>();
        self.events.extend(events);
        if self.bytes > RING_BYTES {
            self.give_up();
        }
    }

    /// What was added since the last call is not to be had here.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
        (self.events, self.bytes) = (Vec::new(), 0);
    }

    /// Everything up to `end`, where the journal ends now, unless some of it is missing.
    pub(crate) fn take(&mut self, end: Position) -> Option<Chunk> {
        let start = std::mem::replace(&mut self.taken, end);
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        let whole = !std::mem::take(&mut self.given_up);
        whole.then(|| Chunk::new(start, end, events))
    }
}
