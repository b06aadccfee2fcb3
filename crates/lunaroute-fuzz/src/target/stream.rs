//! The readers of a dialect's streams.

use fastrand::Rng;
use lunaroute_core::Dialect;
use lunaroute_dialect::EndWatch;

use super::answer::{read, told};
use super::{exchange, in_proportion, pieces, same};

/// However the bytes are cut, a stream says the same and ends at the same place.
pub(super) fn check(dialect: Dialect) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, rng| {
        let (whole, cut) = (read(dialect, 200, [input]), pieces(input, rng));
        in_proportion(input.len(), told(&whole))?;
        same("a stream depends on the cuts", &whole, &read(dialect, 200, cut.iter().copied()))?;
        same("the end of a stream depends on the cuts", &watched(dialect, &[input]), &watched(dialect, &cut))
    }
}

/// Whether an end was seen, nothing can follow, and the bytes end between two events.
fn watched(dialect: Dialect, pieces: &[&[u8]]) -> (bool, bool, bool) {
    let mut watch = EndWatch::new(dialect, exchange(dialect).operation);
    pieces.iter().for_each(|piece| watch.push(piece));
    (watch.ended(), watch.is_terminated(), watch.at_boundary())
}
