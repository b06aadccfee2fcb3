//! Damaged input for everything that reads bytes from outside: the decoders of requests, the readers of answers and
//! streams, the hub between dialects, and the codec of the journal.
//!
//! It begins with valid bodies, damages them as a hostile or hasty peer would (members gone, doubled or of another type,
//! deep nesting, huge numbers, odd text, torn bytes), and looks for panics, for streams that the target dialect's clients
//! would stumble over, for bodies that do not come back as they were, for answers that depend on how their bytes were cut,
//! for whatever takes longer than a second, and for output out of all proportion. A case is made by its seed and its number
//! alone, so that each run can be had again. It needs the stable toolchain only, reads no network, and writes nothing but
//! its findings.

mod corpus;
mod guard;
mod mutate;
mod reduce;
mod run;
mod target;
mod tree;

pub use corpus::Corpus;
pub use guard::keep_panics;
pub use run::{Amount, Finding, Outcome, Run};
pub use target::{Shape, Target, targets};
