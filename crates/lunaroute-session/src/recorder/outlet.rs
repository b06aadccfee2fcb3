//! The last step before the journal: every event passes the filter here, and only here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::{Batch, without_content};
use super::figures::{Counters, add};
use super::shared::Shared;
use crate::event::{EventKind, SessionEvent};
use crate::filter::Filter;

pub(crate) struct Outlet {
    /// Without one, events are kept as they are.
    filter: Option<Box<dyn Filter>>,
    shared: Arc<Shared>,
    pub(crate) batch: Batch,
}

impl Outlet {
    pub(crate) fn new(filter: Option<Box<dyn Filter>>, shared: Arc<Shared>) -> Self {
        Self { filter, shared, batch: Batch::default() }
    }

    /// Takes an event for the next batch; says whether its body is kept as it is. When the filter fails, what is kept
    /// holds no content.
    pub(crate) fn push(&mut self, event: SessionEvent) -> bool {
        let Some(filter) = &self.filter else {
            self.batch.push(event);
            return true;
        };
        let (bare, body) = (without_content(&event), event.body.clone());
        let filtered = contain(&self.shared.counters, || filter.filter(event));
        let mut kept = match filtered {
            Some(Ok(mut filtered)) => {
                // A filter changes what is said, never what the event is.
                (filtered.request, filtered.seq) = (bare.request, bare.seq);
                filtered.session = bare.session;
                filtered
            }
            refused => {
                if let Some(Err(failure)) = refused {
                    tracing::error!(request = %bare.request, seq = bare.seq, %failure, "event kept without content");
                }
                add(&self.shared.counters.filtered_out, 1);
                bare
            }
        };
        let same = kept.body == body;
        if let EventKind::Started(started) = &mut kept.kind
            && !same
        {
            Arc::make_mut(started).repeats = None;
        }
        self.batch.push(kept);
        same
    }
}

/// Calls code that is not ours; a panic in it is counted and ends there.
pub(crate) fn contain<T>(counters: &Counters, call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        add(&counters.contained_panics, 1);
        tracing::error!("a part that was handed to the recorder panicked; its event is recorded without it");
    }
    result.ok()
}
