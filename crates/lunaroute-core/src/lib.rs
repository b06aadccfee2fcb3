//! The words that every room of LunaRoute shares: identifiers, dialects, what a request asks, what an answer says,
//! token usage, failures and outcomes, the few traits that one room implements for another, and the waker that the connections
//! of both sides use.
//!
//! This crate never does I/O, never spawns, knows no runtime and no vendor's JSON. A vendor's field names live in
//! `lunaroute-dialect`; bytes at rest live in `lunaroute-storage`.

mod answer;
mod bell;
pub mod conversation;
mod delta;
mod dialect;
mod failure;
pub mod headers;
mod id;
mod observe;
mod outcome;
mod reading;
mod secret;
mod time;
mod usage;

pub use answer::{Answer, ToolCall};
pub use bell::Bell;
pub use delta::{Citation, Delta, StopReason};
pub use dialect::{Dialect, Operation, UnknownDialect};
pub use failure::{Failure, FailureKind, Retry, Side};
pub use id::{InvalidSessionId, RequestId, SessionId};
pub use observe::{Earlier, Interpreter, Observer, ResponseReader};
pub use outcome::{AttemptOutcome, AttemptReason, Ending, Outcome};
pub use reading::{
    Addressed, Exchange, MessageSpan, RequestReading, ResponseHead, Role, SessionHint, ToolResultSpan,
};
pub use secret::Secret;
pub use time::Timestamp;
pub use usage::Usage;
