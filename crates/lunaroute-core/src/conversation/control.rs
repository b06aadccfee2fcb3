//! How an answer is to be made.

use serde_json::{Number, Value};

/// How the next token is chosen, and what ends the answer. Numbers are those of the request as far as 64 bits hold them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// Temperature.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// Only the most likely so many tokens.
    pub top_k: Option<Number>,
    /// Penalty for tokens by how often they came.
    pub frequency_penalty: Option<Number>,
    /// Penalty for tokens that came at all.
    pub presence_penalty: Option<Number>,
    /// Seed.
    pub seed: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers; `None` is one.
    pub candidates: Option<u64>,
    /// How many alternatives to tell for each token: `Some(0)` tells the chosen one's likelihood alone.
    pub alternatives: Option<u64>,
}

/// How hard a model thinks, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// Little.
    Low,
    /// The middle.
    Medium,
    /// Much.
    High,
    /// Very much.
    ExtraHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    /// Every effort, from least to most.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::ExtraHigh, Self::Max];

    /// The word that OpenAI and Anthropic share.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of this word; `None` for an unknown one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }
}

/// Whether a model thinks apart from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// It does not.
    Disabled,
    /// As much as it finds right.
    Adaptive,
    /// At most so many tokens.
    Budget(u64),
}

/// How much of the reasoning is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summary {
    /// Nothing.
    Omitted,
    /// As the provider sees fit.
    Auto,
    /// In short.
    Concise,
    /// At length.
    Detailed,
}

/// How much the model reasons, and how much of that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasoning {
    /// By word.
    pub effort: Option<Effort>,
    /// By switch or tokens.
    pub thinking: Option<Thinking>,
    /// What is shown.
    pub summary: Option<Summary>,
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputFormat {
    /// Free text, said outright.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema's name, where the dialect wants one.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether the answer is held to it.
        strict: Option<bool>,
    },
}

/// A class of service, in the words that vendors share; any other word stays what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tier {
    /// The provider decides.
    Auto,
    /// The ordinary one only.
    Standard,
    /// Cheaper and later.
    Flex,
    /// Dearer and sooner.
    Priority,
    /// A word of one vendor.
    Other(String),
}

/// A place where a prompt cache may be cut, and how long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakpoint {
    /// The vendor's ordinary time: minutes.
    Short,
    /// The vendor's long time: hours.
    Long,
}
