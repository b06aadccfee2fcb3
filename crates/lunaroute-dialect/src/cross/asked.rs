//! What a translation has to know of its target on the way there, and of the request on the way back.

use std::collections::{BTreeSet, HashSet};

use lunaroute_core::Dialect;
use lunaroute_core::conversation::{ModelFacts, Rest};

use super::names::Names;
use super::warnings::Warnings;

/// In what a host differs from the vendor whose dialect it speaks. [`Profile::default`] is the vendor itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// It knows `max_tokens` and not `max_completion_tokens`.
    pub legacy_max_tokens: bool,
    /// It wants the reasoning of the current tool loop back in `reasoning_content`.
    pub takes_reasoning: bool,
    /// Fragments of parallel calls come mixed: all but the first are held until the answer's end.
    pub interleaved_calls: bool,
    /// It refuses `stream_options`.
    pub no_stream_options: bool,
    /// It goes on from a last turn of the assistant when asked to (vLLM).
    pub continues_final_message: bool,
    /// It knows no tools with free text.
    pub no_custom_tools: bool,
    /// Content of text alone has to be a string.
    pub plain_content: bool,
    /// It refuses a hint to cache a request whose caller gave none (Anthropic's `cache_control` of the whole request).
    pub no_cache_hints: bool,
}

/// A request on its way into another dialect.
#[derive(Debug)]
pub struct Crossing<'a> {
    /// What the target model takes.
    pub facts: &'a ModelFacts,
    /// What the target's host does differently.
    pub profile: &'a Profile,
    /// The model name that the target gets.
    pub model: &'a str,
    /// What could not be carried over.
    pub warnings: Warnings,
    /// What the way back has to know.
    pub asked: Asked,
    /// Names of tools that the target has not.
    pub(crate) lost_tools: HashSet<String>,
}

impl<'a> Crossing<'a> {
    /// A crossing to this model.
    #[must_use]
    pub fn new(facts: &'a ModelFacts, profile: &'a Profile, model: &'a str) -> Self {
        let (warnings, asked) = (Warnings::default(), Asked::default());
        Self { facts, profile, model, warnings, asked, lost_tools: HashSet::new() }
    }
}

/// What was asked, as far as the answer in the caller's dialect depends on it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The model as the caller named it.
    pub model: String,
    /// Whether the caller gets a stream.
    pub stream: bool,
    /// Whether a Chat stream ends with its figures.
    pub include_usage: bool,
    /// Whether the caller's dialect carries reasoning by its seals alone: its words are not shown.
    pub(crate) shows_seals_only: bool,
    /// The dialect of the provider that answers; seals of its making are tagged with it.
    pub maker: Option<Dialect>,
    /// The configured name of that provider, which is in the tag, too: another one would refuse the seal.
    pub provider: String,
    /// Whether fragments of parallel calls may come mixed.
    pub interleaved_calls: bool,
    /// Whether an answer in the caller's form has room for one call only; further ones are not told.
    pub(crate) takes_one_call: bool,
    /// The names that tools have on the provider's side, and on the caller's.
    pub(crate) names: Names,
    /// Tools with free text that the provider got as functions of one `input`, by the provider's name.
    pub(crate) flattened: BTreeSet<String>,
    /// Tools with free text that the provider got as such, by the provider's name.
    pub(crate) echo_custom: BTreeSet<String>,
    /// The forced tool whose arguments are the structured answer, by the provider's name.
    pub(crate) format_tool: Option<String>,
    /// How many calls the request's history has: ids that have to be made differ by it from those of earlier answers.
    pub(crate) earlier_calls: usize,
    /// Members of the request that the caller's dialect repeats in its answers.
    pub(crate) echo: Rest,
    /// About how many tokens the request has, told where the provider tells no figures.
    pub estimated_input: Option<u64>,
    /// What the answer is called where its dialect has an id for it; a prefix goes before it.
    pub answer_id: String,
    /// When the answer was made, in seconds since 1970.
    pub created: u64,
    /// A stable word of the request's conversation: ids that have to be made are made from it.
    pub seed: String,
}

impl Asked {
    /// Notes a member that the caller's dialect repeats in its answers, where the translated request has it no longer.
    pub fn repeat(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.echo.insert(name.to_owned(), value.into());
    }
}
