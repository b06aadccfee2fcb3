//! What the configuration says of OpenAI Responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Period, Size};

/// OpenAI Responses beyond request and answer: over WebSocket, and going on from an earlier answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Responses {
    /// Speak WebSocket with clients that ask for it. Otherwise they get 426 and go on with HTTP.
    pub websocket: bool,
    /// How long a WebSocket may be without a request.
    pub websocket_idle: Period,
    /// Answers that are remembered for `previous_response_id` because their provider does not. 0 remembers none.
    pub remembered: usize,
    /// How long.
    pub remembered_for: Period,
    /// Memory for them, and for the last answer of each WebSocket. The oldest answers make room.
    pub memory: Size,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            websocket: true,
            websocket_idle: Period::seconds(30 * 60),
            remembered: 10_000,
            remembered_for: Period::seconds(60 * 60),
            memory: Size::mebibytes(128),
        }
    }
}
