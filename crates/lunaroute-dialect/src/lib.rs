//! What travels on the wires of the vendors, and the gateway's own words for it: the first look at a request, the few
//! edits that one gets, event streams, content codings, errors and model lists in the caller's dialect, and the readers
//! that tell the record what a body says.
//!
//! Pure: it never does I/O, never waits and never asks the clock. It never parses what only passes through, never
//! validates what the provider will validate, and never panics on bytes, whatever they are.

mod alike;
mod anthropic;
mod blocks;
pub mod cross;
mod dispatch;
mod earlier;
mod elements;
mod gemini;
mod json;
mod lines;
mod openai;
mod openai_chat;
mod openai_responses;
mod outline;
mod reading;
mod stretch;

mod peek;
mod splice;
mod tagged;

pub mod client;
pub mod coding;
pub mod error;
pub mod models;
pub mod responses;
pub mod sse;

mod end_watch;
mod interpret;

pub use end_watch::EndWatch;
pub use interpret::Dialects;
pub use peek::{BodyHints, ChatTurns, Located, ObjectStart, Peek, peek};
pub use splice::{include_usage, rename_model, repair, splice};
pub use tagged::without_tagged;
