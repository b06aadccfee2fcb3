//! What is known about a model, as far as a translation needs it.

use super::Effort;

/// Whether a model takes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allowed {
    /// It does, or nobody knows better: the mildest assumption.
    #[default]
    Yes,
    /// It refuses requests that have it.
    No,
}

impl Allowed {
    /// Whether it is taken.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sent {
    /// By an effort word (OpenAI's models).
    #[default]
    Effort,
    /// By `adaptive` and an effort word (Anthropic from 4.6).
    Adaptive,
    /// By a budget of tokens (Anthropic before 4.6, Gemini 2.5).
    Budget,
    /// By a level (Gemini 3).
    Level,
    /// Not at all: the model does not think, or its host has no switch.
    Nothing,
}

/// What a model takes. [`ModelFacts::default`] is what is assumed of an unknown one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// Most tokens that it reads and writes together.
    pub context: Option<u64>,
    /// Most tokens that it writes.
    pub max_output: Option<u64>,
    /// Temperature, top-p and top-k.
    pub sampling: Allowed,
    /// Temperature and top-p in one request.
    pub temperature_with_top_p: Allowed,
    /// Stop sequences.
    pub stop: Allowed,
    /// How it is told to think.
    pub thinking: Sent,
    /// Whether thinking can be switched off.
    pub thinking_off: Allowed,
    /// The least and the most effort that it knows.
    pub effort: (Effort, Effort),
    /// The least and the most thinking tokens.
    pub budget: (u64, u64),
    /// A forced tool choice.
    pub forced_tools: Allowed,
    /// A last turn of the assistant that the model is to go on from.
    pub prefill: Allowed,
    /// A `system` turn between others.
    pub system_turns: Allowed,
    /// Output held to a JSON schema.
    pub json_schema: Allowed,
    /// JSON as the form of an answer, held to a schema or not, in a request that has tools (Gemini 2 refuses it).
    pub json_with_tools: Allowed,
    /// Images as input.
    pub images: Allowed,
    /// PDF documents as input.
    pub documents: Allowed,
    /// Sound as input.
    pub audio: Allowed,
    /// Function tools together with an effort above none in Chat Completions.
    pub chat_tools_with_effort: Allowed,
    /// Signatures on calls that come back have to be there (Gemini 3).
    pub needs_call_seals: bool,
}

impl Default for ModelFacts {
    fn default() -> Self {
        Self {
            context: None,
            max_output: None,
            sampling: Allowed::Yes,
            temperature_with_top_p: Allowed::Yes,
            stop: Allowed::Yes,
            thinking: Sent::Effort,
            thinking_off: Allowed::Yes,
            effort: (Effort::None, Effort::Max),
            budget: (0, 32_768),
            forced_tools: Allowed::Yes,
            prefill: Allowed::Yes,
            system_turns: Allowed::No,
            json_schema: Allowed::Yes,
            json_with_tools: Allowed::Yes,
            images: Allowed::Yes,
            documents: Allowed::Yes,
            audio: Allowed::Yes,
            chat_tools_with_effort: Allowed::Yes,
            needs_call_seals: false,
        }
    }
}
