//! Ways to damage a valid input.

mod bytes;
mod events;
mod json;

use fastrand::Rng;

pub(crate) use self::json::Pool;
use crate::target::Shape;

/// Most bytes of one input. What is longer is a matter of limits, which have tests of their own.
const LONGEST: usize = 256 * 1024;

/// One input: a valid one, damaged once or a few times.
pub(crate) fn input(rng: &mut Rng, shape: Shape, corpus: &[Vec<u8>], pool: &Pool) -> Vec<u8> {
    let mut input = rng.choice(corpus).cloned().unwrap_or_default();
    // Most cases have one thing wrong with them: what comes later is not hidden behind what comes first.
    for _ in 0..1 + rng.usize(0..4) * rng.usize(0..2) {
        input = match shape {
            Shape::Json if rng.u8(..) < 230 => json::damaged(rng, &input, pool),
            Shape::Events if rng.u8(..) < 220 => events::damaged(rng, &input, corpus, pool),
            Shape::Json | Shape::Events | Shape::Bytes => bytes::damaged(rng, &input, corpus),
        };
        input.truncate(LONGEST);
    }
    input
}
