//! The seam before the journal: nothing reaches a disk or a writer that did not pass here.

use crate::event::SessionEvent;

/// A filter could not do its work. The event is not kept; a gap is.
#[derive(Debug, thiserror::Error)]
#[error("the filter before the journal failed: {reason}")]
pub struct FilterError {
    /// Why, without any of the event's content.
    pub reason: String,
}

/// Changes events before they are kept, such as by redaction. Fails closed. What an event shares is changed by
/// [`Arc::make_mut`](std::sync::Arc::make_mut); nobody else has it yet, so nothing is copied.
pub trait Filter: Send + Sync {
    /// Gives the event as it may be kept.
    ///
    /// # Errors
    /// [`FilterError`] when it cannot be made safe to keep.
    fn filter(&self, event: SessionEvent) -> Result<SessionEvent, FilterError>;
}
