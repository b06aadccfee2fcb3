//! Events that stand in the journal twice.
//!
//! An append that failed half-way leaves whole events behind and is done again, so an event may come twice. Writers
//! must bear that; most of it is kept from them here.

use std::collections::{HashMap, VecDeque};

use lunaroute_core::RequestId;

use crate::event::{EventKind, SessionEvent};

/// Requests that are remembered. Forgetting one only means that a writer has to notice the repetition itself.
const OPEN_LIMIT: usize = 100_000;
const ENDED_LIMIT: usize = 4_096;

#[derive(Default)]
pub(crate) struct Repeats {
    /// The next seq of each request.
    next: HashMap<RequestId, u32>,
    /// Requests that are over, oldest first.
    ended: VecDeque<RequestId>,
}

impl Repeats {
    /// Takes note of the event; `false` when it came before.
    pub(crate) fn is_new(&mut self, event: &SessionEvent) -> bool {
        if self.next.len() >= OPEN_LIMIT {
            self.next.clear();
            self.ended.clear();
        }
        let next = self.next.entry(event.request).or_insert(0);
        if event.seq < *next {
            return false;
        }
        *next = event.seq.saturating_add(1);
        if matches!(event.kind, EventKind::Completed { .. }) {
            self.ended.push_back(event.request);
            if self.ended.len() > ENDED_LIMIT
                && let Some(oldest) = self.ended.pop_front()
            {
                self.next.remove(&oldest);
            }
        }
        true
    }
}
