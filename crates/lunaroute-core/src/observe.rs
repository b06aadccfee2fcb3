//! The traits that one room implements for another.

use crate::{Delta, Exchange, Outcome, RequestReading, ResponseHead};

/// Reads bodies for the record. Implemented over the dialect crate and handed to the recorder by the server, because
/// the two never name each other. Runs off the client's path and may fail without any effect on what travels.
pub trait Interpreter: Send + Sync {
    /// Reads a request body as it arrived (with its content coding).
    fn request(&self, exchange: &Exchange, body: &[u8]) -> RequestReading;

    /// A reader for the body of an answer to `exchange`.
    fn response(&self, exchange: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader>;
}

/// Reads one answer as its bytes come, whatever the pieces are.
pub trait ResponseReader: Send {
    /// Takes the next bytes of the body (with its content coding) and appends what they say to `deltas`.
    fn read(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>);

    /// The body is over: appends what was still held, and [`Delta::End`] only when the answer was whole.
    fn finish(&mut self, deltas: &mut Vec<Delta>);
}

/// Is told how things go. Implementations return at once and never fail.
pub trait Observer: Send + Sync {
    /// A request has arrived and will be served.
    fn started(&self) {}

    /// A request has ended.
    fn finished(&self, outcome: &Outcome);
}
