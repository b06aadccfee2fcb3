//! Whether a stream is one that the clients of its dialect take.

use lunaroute_core::Dialect;

use crate::dispatch::language;
use crate::sse::Framer;

/// Checks a whole stream against the order of events that its dialect's clients rely on: one beginning, blocks opened and
/// closed in turn, numbers without gaps, one end. What is inside of a text is not looked at.
///
/// # Errors
/// What is wrong with the first event that a client would stumble over, or what is missing at the end.
pub fn check_stream(dialect: Dialect, stream: &[u8]) -> Result<(), String> {
    let (mut grammar, mut framer, mut outcome) = (language(dialect).grammar(), Framer::new(), Ok(()));
    framer.push(stream, |event| {
        if outcome.is_ok() {
            outcome = grammar.event(event.name, event.data);
        }
    });
    outcome?;
    grammar.end()
}
