//! The traits that one room implements for another.

use crate::{Delta, Exchange, Outcome, RequestReading, ResponseHead};

/// An earlier body, what it says, and how much of it comes again.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// The earlier body.
    pub body: &'a [u8],
    /// What it says.
    pub reading: &'a RequestReading,
    /// Bytes at the start that both bodies share.
    pub prefix: usize,
    /// Bytes at the end that both bodies share; they overlap those at the start in neither body.
    pub suffix: usize,
}

/// Reads bodies for the record. Implemented over the dialect crate and handed to the recorder by the server, because
/// the two never name each other. Runs off the client's path, or where a request would only wait for it, and may fail
/// without any effect on what travels.
pub trait Interpreter: Send + Sync {
    /// Reads a request body as it arrived (with its content coding).
    fn request(&self, exchange: &Exchange, body: &[u8]) -> RequestReading;

    /// Reads a body that repeats most of an earlier one of the same dialect and operation, as the next turn of a
    /// conversation does. The answer is that of [`request`](Self::request); only the way there may be shorter.
    fn request_after(&self, exchange: &Exchange, body: &[u8], earlier: &Earlier<'_>) -> RequestReading {
        let _ = earlier;
        self.request(exchange, body)
    }

    /// A reader for the body of an answer to `exchange`.
    fn response(&self, exchange: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader>;
}

/// Reads one answer as its bytes come, whatever the pieces are.
pub trait ResponseReader: Send {
    /// Takes the next bytes of the body (with its content coding) and appends what they say to `deltas`, which holds nothing
    /// but what this reader said: words that go on with its last one may be added to that. Drain it or keep it whole.
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
