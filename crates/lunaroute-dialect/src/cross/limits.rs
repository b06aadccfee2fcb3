//! What is looked at before a request is translated, so that its caller hears in its own words what is wrong. A request
//! that is passed through is its provider's to judge.

use lunaroute_core::conversation::{Conversation, Part, ToolKind};
use lunaroute_core::{Failure, FailureKind};
use serde_json::Number;

use crate::dispatch::language;

/// Longest name of a model, in characters.
const MODEL: usize = 256;
/// Most turns of a request; Anthropic's own limit.
const TURNS: usize = 100_000;
/// Most bytes of one call's arguments.
const ARGUMENTS: usize = 1 << 20;
/// Most answers to one request.
const CANDIDATES: u64 = 10;
/// The farthest that a penalty may be from nought.
const PENALTY: f64 = 2.0;

/// What a dialect calls the numbers that are looked at, and how warm it gets.
pub(crate) struct Limits {
    /// The temperature, which begins at nought.
    pub(crate) temperature: &'static str,
    /// The highest that the dialect knows.
    pub(crate) hottest: f64,
    /// Nucleus sampling.
    pub(crate) top_p: &'static str,
    /// Only the most likely so many tokens.
    pub(crate) top_k: &'static str,
    /// Penalties: by how often, and at all.
    pub(crate) penalties: [&'static str; 2],
    /// How many answers.
    pub(crate) candidates: &'static str,
    /// Most tokens of the answer.
    pub(crate) max_output: &'static str,
}

/// Judges a request by the limits of its own dialect.
///
/// # Errors
/// `bad_request` when a value is out of its range; the message names the field.
pub(crate) fn check(conversation: &Conversation) -> Result<(), Failure> {
    let language = language(conversation.origin);
    let (limits, sampling) = (language.limits(), &conversation.sampling);
    let [frequency, presence] = limits.penalties;
    within(limits.temperature, sampling.temperature.as_ref(), 0.0, limits.hottest)?;
    within(limits.top_p, sampling.top_p.as_ref(), 0.0, 1.0)?;
    within(frequency, sampling.frequency_penalty.as_ref(), -PENALTY, PENALTY)?;
    within(presence, sampling.presence_penalty.as_ref(), -PENALTY, PENALTY)?;
    if sampling.top_k.as_ref().and_then(Number::as_f64).is_some_and(|most| most < 0.0 && !is_unlimited(most))
    {
        return Err(refused(limits.top_k, "has to be at least 0"));
    }
    if sampling.candidates.is_some_and(|candidates| !(1..=CANDIDATES).contains(&candidates)) {
        return Err(refused(limits.candidates, &format!("has to be from 1 to {CANDIDATES}")));
    }
    if conversation.max_output == Some(0) {
        return Err(refused(limits.max_output, "has to be at least 1"));
    }
    if conversation.model.chars().count() > MODEL {
        return Err(refused("model", &format!("is longer than {MODEL} characters")));
    }
    if conversation.turns.len() > TURNS {
        return Err(refused(language.list_name(), &format!("holds more than {TURNS} turns")));
    }
    tools(conversation)
}

/// Whether a number of the most likely tokens leaves out none: 0, and -1 in vLLM's words.
fn is_unlimited(most: f64) -> bool {
    most == 0.0 || most == -1.0
}

/// Takes out what asks for nothing: a choice among all tokens, which has a number of its own in some dialects only.
pub(crate) fn simplify(conversation: &mut Conversation) {
    let top_k = &mut conversation.sampling.top_k;
    if top_k.as_ref().and_then(Number::as_f64).is_some_and(is_unlimited) {
        *top_k = None;
    }
}

/// Judges schemas and arguments.
fn tools(conversation: &Conversation) -> Result<(), Failure> {
    for tool in &conversation.tools {
        if let ToolKind::Function { schema: Some(schema), .. } = &tool.kind
            && !schema.is_object()
        {
            let what = format!("gives the function '{}' a schema that is no JSON object", tool.name);
            return Err(refused("tools", &what));
        }
    }
    for part in conversation.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::Use(call) = part
            && call.arguments.len() > ARGUMENTS
        {
            let what = format!("holds a call of '{}' whose arguments are longer than 1 MiB", call.name);
            return Err(refused(language(conversation.origin).list_name(), &what));
        }
    }
    Ok(())
}

fn within(name: &str, value: Option<&Number>, least: f64, most: f64) -> Result<(), Failure> {
    match value.and_then(Number::as_f64) {
        Some(value) if !(least..=most).contains(&value) => {
            Err(refused(name, &format!("has to be from {least} to {most}")))
        }
        _ => Ok(()),
    }
}

fn refused(name: &str, what: &str) -> Failure {
    Failure::client(FailureKind::BadRequest, format!("'{name}' {what}"))
}
