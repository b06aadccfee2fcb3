//! The steps of an answer: what every grammar is written from.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, StopReason, Usage};

use crate::error::ProviderError;

/// What a block of an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// Visible text.
    Text,
    /// A refusal in words.
    Refusal,
    /// Reasoning.
    Thought,
    /// A call of one of the client's tools, under the caller's own name.
    Call {
        /// The call's id: the provider's, or one that was made where it gave none that every dialect takes.
        id: String,
        /// The group of the tool's name.
        namespace: Option<String>,
        /// The tool's name.
        name: String,
        /// Whether its argument is free text.
        is_custom: bool,
    },
}

/// One step of an answer. [`Step::Begin`] comes first and once; [`Step::Append`], [`Step::Seal`] and [`Step::Cite`] stand
/// between an [`Step::Open`] and its [`Step::Close`], and no two blocks are open at once; [`Step::Finish`] or
/// [`Step::Fail`] comes last and once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// The answer begins.
    Begin {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that answers.
        model: Option<String>,
        /// What is known of the figures by now.
        usage: Usage,
    },
    /// A block begins.
    Open(Block),
    /// The open block goes on. Never empty.
    Append(String),
    /// The seal of the open block, which is reasoning, and whether it hides words.
    Seal(Seal, bool),
    /// A source of the open block's text.
    Cite(Citation),
    /// The open block is over.
    Close,
    /// The answer is whole.
    Finish {
        /// Why the model stopped.
        reason: StopReason,
        /// The provider's word for it; empty when it gave none.
        raw: String,
        /// The figures.
        usage: Usage,
    },
    /// The answer broke.
    Fail(ProviderError),
}
