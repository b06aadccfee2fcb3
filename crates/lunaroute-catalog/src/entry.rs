//! An entry of a catalog, as its file has it.

use lunaroute_core::conversation::{Allowed, Effort, ModelFacts, Sent};
use serde::Deserialize;

use crate::CatalogError;
use crate::pattern;

/// A catalog's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    models: Vec<Entry>,
}

impl File {
    /// Reads and checks a file.
    pub(crate) fn parse(json: &str) -> Result<Vec<Entry>, CatalogError> {
        let Self { models } = serde_json::from_str(json)?;
        for (number, entry) in models.iter().enumerate() {
            entry.check(number)?;
        }
        Ok(models)
    }
}

/// What is said of the models that an entry names. What it leaves out it does not speak of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Entry {
    /// Names, and patterns with `*`. The first entry that names a model counts.
    r#match: Vec<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    sampling: Option<bool>,
    temperature_with_top_p: Option<bool>,
    stop: Option<bool>,
    thinking: Option<Thinking>,
    thinking_off: Option<bool>,
    effort: Option<(Word, Word)>,
    budget: Option<(u64, u64)>,
    forced_tools: Option<bool>,
    prefill: Option<bool>,
    system_turns: Option<bool>,
    json_schema: Option<bool>,
    json_with_tools: Option<bool>,
    images: Option<bool>,
    documents: Option<bool>,
    audio: Option<bool>,
    chat_tools_with_effort: Option<bool>,
    needs_call_seals: Option<bool>,
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thinking {
    Effort,
    Adaptive,
    Budget,
    Level,
    Nothing,
}

/// An effort by its word.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Word(Effort);

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        let known = Effort::ALL.map(Effort::as_str).join(", ");
        Effort::parse(&word).map(Self).ok_or_else(|| format!("'{word}' is no effort; known are {known}"))
    }
}

impl Entry {
    /// Whether it speaks of this model.
    pub(crate) fn names(&self, model: &str) -> bool {
        self.r#match.iter().any(|pattern| pattern::matches(pattern, model))
    }

    fn check(&self, number: usize) -> Result<(), CatalogError> {
        if self.r#match.is_empty() || self.r#match.iter().any(String::is_empty) {
            return Err(CatalogError::Nameless { number });
        }
        for (field, limit) in [("context", self.context), ("max_output", self.max_output)] {
            if limit == Some(0) {
                return Err(CatalogError::Nothing { number, field });
            }
        }
        let efforts = self.effort.is_some_and(|(least, most)| least.0 > most.0);
        let budgets = self.budget.is_some_and(|(least, most)| least > most);
        match (efforts, budgets) {
            (true, _) => Err(CatalogError::Reversed { number, field: "effort" }),
            (_, true) => Err(CatalogError::Reversed { number, field: "budget" }),
            _ => Ok(()),
        }
    }

    /// Lays what it says over what is known.
    pub(crate) fn lay_over(&self, facts: &mut ModelFacts) {
        facts.context = self.context.or(facts.context);
        facts.max_output = self.max_output.or(facts.max_output);
        for (fact, said) in [
            (&mut facts.sampling, self.sampling),
            (&mut facts.temperature_with_top_p, self.temperature_with_top_p),
            (&mut facts.stop, self.stop),
            (&mut facts.thinking_off, self.thinking_off),
            (&mut facts.forced_tools, self.forced_tools),
            (&mut facts.prefill, self.prefill),
            (&mut facts.system_turns, self.system_turns),
            (&mut facts.json_schema, self.json_schema),
            (&mut facts.json_with_tools, self.json_with_tools),
            (&mut facts.images, self.images),
            (&mut facts.documents, self.documents),
            (&mut facts.audio, self.audio),
            (&mut facts.chat_tools_with_effort, self.chat_tools_with_effort),
        ] {
            if let Some(said) = said {
                *fact = if said { Allowed::Yes } else { Allowed::No };
            }
        }
        if let Some(thinking) = self.thinking {
            facts.thinking = match thinking {
                Thinking::Effort => Sent::Effort,
                Thinking::Adaptive => Sent::Adaptive,
                Thinking::Budget => Sent::Budget,
                Thinking::Level => Sent::Level,
                Thinking::Nothing => Sent::Nothing,
            };
        }
        facts.effort = self.effort.map_or(facts.effort, |(least, most)| (least.0, most.0));
        facts.budget = self.budget.unwrap_or(facts.budget);
        facts.needs_call_seals = self.needs_call_seals.unwrap_or(facts.needs_call_seals);
    }
}
