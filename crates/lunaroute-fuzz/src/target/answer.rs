//! The readers of a dialect's whole answers.

use std::sync::Arc;

use fastrand::Rng;
use http::HeaderMap;
use lunaroute_core::{Answer, Delta, Dialect, Interpreter as _, ResponseHead};
use lunaroute_dialect::Dialects;

use super::{exchange, in_proportion, pieces, same};

/// However the bytes are cut, an answer says the same.
pub(super) fn check(dialect: Dialect) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, rng| {
        let status = rng.choice([200, 400, 429, 500]).unwrap_or(200);
        let whole = read(dialect, status, [input]);
        in_proportion(input.len(), told(&whole))?;
        same("an answer depends on the cuts", &whole, &read(dialect, status, pieces(input, rng)))
    }
}

/// What a body says, read in these pieces.
pub(super) fn read<'a>(
    dialect: Dialect,
    status: u16,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Delta> {
    let head = ResponseHead { status, headers: Arc::new(HeaderMap::new()) };
    let (mut reader, mut deltas) = (Dialects.response(&exchange(dialect), &head), Vec::new());
    pieces.into_iter().for_each(|piece| reader.read(piece, &mut deltas));
    reader.finish(&mut deltas);
    deltas
}

/// What the pieces say together.
pub(super) fn assembled(deltas: &[Delta]) -> Answer {
    let mut answer = Answer::default();
    deltas.iter().for_each(|delta| answer.absorb(delta, usize::MAX));
    answer
}

/// Bytes of what the pieces say.
pub(super) fn told(deltas: &[Delta]) -> usize {
    let Answer { text, reasoning, refusal, tool_calls, .. } = assembled(deltas);
    let calls = tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
    text.len() + reasoning.len() + refusal.len() + calls.sum::<usize>()
}
