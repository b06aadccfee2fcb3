//! What an answer says, piece by piece.

use serde::{Deserialize, Serialize};

use crate::Usage;
use crate::conversation::Seal;

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said what it wanted to say.
    EndTurn,
    /// The token limit of the request or the context window was reached.
    Length,
    /// A stop sequence of the request was produced.
    StopSequence,
    /// It asks the client to run a tool.
    ToolUse,
    /// The provider's filter or the model itself refused.
    Refusal,
    /// A server-side tool loop paused; the client may resume it.
    Pause,
    /// A reason that this build does not know; the raw word is kept beside it.
    Other,
}

impl StopReason {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::Length => "length",
            Self::StopSequence => "stop_sequence",
            Self::ToolUse => "tool_use",
            Self::Refusal => "refusal",
            Self::Pause => "pause",
            Self::Other => "other",
        }
    }
}

/// One piece of an answer, whole or streamed, in the order in which it came.
///
/// `index` numbers the blocks of one answer from 0 in order of appearance, whatever the vendor's own numbering is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// The answer has begun; what the provider calls it and the model that gives it.
    Start {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that answers, in the provider's spelling.
        model: Option<String>,
    },
    /// Visible text.
    Text {
        /// Block number.
        index: u32,
        /// The text to append.
        text: String,
    },
    /// Reasoning that the provider shows.
    Reasoning {
        /// Block number.
        index: u32,
        /// The text to append.
        text: String,
    },
    /// A refusal in words.
    Refusal {
        /// The text to append.
        text: String,
    },
    /// A tool call begins.
    ToolCallStart {
        /// Block number, distinct for each call of the answer.
        index: u32,
        /// The provider's id of the call; empty when it gave none.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A fragment of a tool call's arguments: text that is JSON once all fragments are joined.
    ToolCallArguments {
        /// Block number of the call.
        index: u32,
        /// The text to append.
        fragment: String,
    },
    /// Token figures so far; cumulative, so a later one replaces an earlier one class by class.
    Usage(Usage),
    /// Why the model stopped.
    Stop {
        /// In our words.
        reason: StopReason,
        /// In the provider's words.
        raw: String,
    },
    /// The provider reported an error inside the answer.
    Error {
        /// The provider's error type; its code when it gives no type.
        kind: String,
        /// The provider's error code, when it gives one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The provider's sentence.
        message: String,
        /// How long the provider asks to wait, in milliseconds, when its body says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The answer is complete: the dialect's own terminal event was seen, or a plain body was whole.
    End,
    /// A call of a tool that takes free text begins; its fragments are that text.
    CustomCallStart {
        /// Block number, distinct for each call of the answer.
        index: u32,
        /// The provider's id of the call; empty when it gave none.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// What the provider needs to take reasoning up again: a signature, or the reasoning itself in encrypted form.
    Seal {
        /// Block number of the reasoning.
        index: u32,
        /// The seal.
        seal: Seal,
        /// Whether it hides words that are not shown.
        is_redacted: bool,
    },
    /// A source of a block's text.
    Cite {
        /// Block number.
        index: u32,
        /// The source.
        citation: Citation,
    },
}

impl Delta {
    /// Whether it is something that the model says: words, or a call. Figures, reasons, seals and sources may also come
    /// when all is said.
    #[must_use]
    pub const fn is_said(&self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::Reasoning { .. }
                | Self::Refusal { .. }
                | Self::ToolCallStart { .. }
                | Self::CustomCallStart { .. }
                | Self::ToolCallArguments { .. }
        )
    }
}

/// A source on the web that an answer names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Its address.
    pub url: String,
    /// Its title.
    pub title: Option<String>,
    /// The cited words of the answer, in code points of the block's text: first and one past the last.
    pub range: Option<(u64, u64)>,
}
