//! A model provider that is simulated: it speaks OpenAI Chat Completions, OpenAI Responses, Anthropic Messages and Gemini,
//! plain and streamed, and says, delays, breaks and cuts what a [`Script`] asks for. Answers depend on the request and a seed
//! alone (besides the request's number in `x-sim-request` and the request id); what happened is in the [`Ledger`].
//!
//! It never reaches a network beyond the address it listens on, never checks a credential or a price, never keeps one in
//! the ledger, and is no replacement for a provider's own validation of requests.

mod bounded;
mod compose;
mod config;
mod fit;
mod ledger;
mod provider;
mod raw;
mod request;
mod script;
mod serve;
mod speech;
mod wire;

pub use config::{BodyPolicy, Config};
pub use ledger::{Entry, Ledger, Outcome, credential_mark};
pub use provider::{Provider, ProviderError};
pub use raw::RawResponse;
pub use script::{
    Delivery, Encoding, Fault, Finish, InlineResponse, Point, SCRIPT_HEADER, Script, ScriptError,
    ScriptedError, Source,
};
