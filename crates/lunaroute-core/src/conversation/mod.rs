//! What a generation request asks, in words that no vendor owns.
//!
//! A dialect decodes its request into a [`Conversation`] and encodes one into its request; no dialect knows another. What
//! has a word here can cross; what has none stays in a `rest` and goes back only to the dialect that it came from.

mod control;
mod facts;
mod part;
mod tool;

pub use control::{Breakpoint, Effort, OutputFormat, Reasoning, Sampling, Summary, Thinking, Tier};
pub use facts::{Allowed, ModelFacts, Sent};
pub use part::{CallResult, Custom, Media, MediaKind, MediaSource, Opaque, Part, Seal, Text, Thought, Use};
pub use tool::{AllowedTools, Hosted, Search, Tool, ToolChoice, ToolKind};

use crate::Dialect;

/// Members of a vendor's object that have no word here, under the vendor's own names.
pub type Rest = serde_json::Map<String, serde_json::Value>;

/// A generation request.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The dialect that it was decoded from. Every `rest` and every [`Opaque`] in it is that dialect's.
    pub origin: Dialect,
    /// The model that is asked.
    pub model: String,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
    /// What was said so far, instructions included, in the order of the request.
    pub turns: Vec<Turn>,
    /// How the only turn stood in a request that has no turns but a prompt: OpenAI's legacy completions.
    pub prompt: Option<Prompt>,
    /// Tools that the model may call, and those that the provider runs itself.
    pub tools: Vec<Tool>,
    /// Which of them it has to call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; `None` leaves that to the provider.
    pub parallel_calls: Option<bool>,
    /// Most tokens of the answer, reasoning included.
    pub max_output: Option<u64>,
    /// How the next token is chosen, and what ends the answer.
    pub sampling: Sampling,
    /// How much the model reasons, and how much of that is shown.
    pub reasoning: Option<Reasoning>,
    /// The form of the answer; `None` is free text.
    pub format: Option<OutputFormat>,
    /// How long the answer shall be, in the vendors' word: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// The class of service.
    pub tier: Option<Tier>,
    /// Who the end user is, as the application names them.
    pub end_user: Option<String>,
    /// Requests with the same key share a prompt cache.
    pub cache_key: Option<String>,
    /// Everything else in the request.
    pub rest: Rest,
}

impl Conversation {
    /// An empty request of this dialect.
    #[must_use]
    pub fn new(origin: Dialect, model: impl Into<String>) -> Self {
        Self {
            origin,
            model: model.into(),
            stream: false,
            turns: Vec::new(),
            prompt: None,
            tools: Vec::new(),
            tool_choice: None,
            parallel_calls: None,
            max_output: None,
            sampling: Sampling::default(),
            reasoning: None,
            format: None,
            verbosity: None,
            tier: None,
            end_user: None,
            cache_key: None,
            rest: Rest::new(),
        }
    }
}

/// The form of a prompt that is all that a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// A string.
    Text,
    /// An array of one string.
    List,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// The provider's highest level of instruction below its own rules: `system`.
    System,
    /// The application's instructions where a dialect tells them from `system`.
    Developer,
    /// The person, or the program in their place.
    User,
    /// The model.
    Assistant,
    /// A tool that gives back what it found.
    Tool,
}

/// One contribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Whether the dialect held the content as one plain string instead of a list of parts.
    pub is_plain: bool,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

impl Turn {
    /// A turn of these parts.
    #[must_use]
    pub fn new(speaker: Speaker, parts: Vec<Part>) -> Self {
        Self { speaker, parts, is_plain: false, rest: Rest::new() }
    }
}
