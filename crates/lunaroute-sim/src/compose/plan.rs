//! What the simulated model says, before a dialect puts it on the wire.

use std::borrow::Cow;

use lunaroute_core::{Dialect, StopReason, Usage};

use super::Recipe;
use crate::fit::fit;
use crate::request::OfferedTool;
use crate::script::Finish;
use crate::speech::Voice;

const REFUSAL: &str = "I cannot help with that request.";

/// A tool call that is going to be made.
#[derive(Debug, Clone)]
pub(crate) struct PlannedCall {
    pub(crate) name: String,
    /// JSON text, or free text for a custom tool.
    pub(crate) arguments: String,
    /// A tool that takes free text.
    pub(crate) custom: bool,
}

/// So many calls of the offered tools, in turn.
pub(crate) fn calls(voice: &Voice, tools: &[OfferedTool], count: u32) -> Vec<PlannedCall> {
    tools
        .iter()
        .cycle()
        .take(if tools.is_empty() { 0 } else { count as usize })
        .enumerate()
        .map(|(number, tool)| {
            let words = voice.words(&format!("arguments {number}"), 32);
            let arguments = match &tool.schema {
                Some(schema) => {
                    fit(schema, &mut words.iter().map(|word| word.trim_start().to_owned()).cycle())
                        .to_string()
                }
                None => words[..8].concat(),
            };
            PlannedCall { name: tool.name.clone(), arguments, custom: tool.schema.is_none() }
        })
        .collect()
}

/// The answer in pieces of one token each.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) reasoning: Vec<Cow<'static, str>>,
    /// Visible text, or the words of the refusal.
    pub(crate) text: Vec<Cow<'static, str>>,
    pub(crate) refused: bool,
    pub(crate) calls: Vec<PlannedCall>,
    pub(crate) stop: StopReason,
    pub(crate) usage: Usage,
}

impl Plan {
    pub(crate) fn of(recipe: &Recipe) -> Self {
        let script = &recipe.script;
        let refused = script.finish == Finish::Refusal;
        let reasoning = recipe.voice.words("reasoning", script.reasoning_tokens as usize);
        let mut text = match (&script.text, refused) {
            (_, true) => pieces(REFUSAL),
            (Some(text), false) => pieces(text),
            (None, false) if recipe.calls.is_empty() => recipe.voice.words("text", script.tokens as usize),
            (None, false) => Vec::new(),
        };
        let limit =
            recipe.token_limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let cut = !refused && recipe.calls.is_empty() && text.len() > limit;
        if cut {
            text.truncate(limit);
        }
        let stop = match script.finish {
            Finish::Refusal => StopReason::Refusal,
            Finish::Length => StopReason::Length,
            Finish::Natural if cut => StopReason::Length,
            Finish::Natural if recipe.calls.is_empty() => StopReason::EndTurn,
            Finish::Natural => StopReason::ToolUse,
        };
        let usage = usage(recipe, reasoning.len(), text.len());
        Self { reasoning, text, refused, calls: recipe.calls.clone(), stop, usage }
    }
}

/// One token for each word, eight for a call and one for four bytes of its arguments.
fn usage(recipe: &Recipe, reasoning: usize, text: usize) -> Usage {
    let called: usize = recipe.calls.iter().map(|call| 8 + call.arguments.len().div_ceil(4)).sum();
    let (cached, reasoned) = (recipe.script.cached_tokens, reasoning as u64);
    let anthropic = recipe.dialect == Dialect::Anthropic;
    // Gemini tells no cache writes, and leaves out what is zero.
    let gemini = recipe.dialect == Dialect::Gemini;
    Usage {
        input: Some(recipe.input_tokens),
        cache_read: (!gemini || cached > 0).then_some(cached),
        cache_write_5m: (!gemini).then_some(recipe.script.cache_write_tokens),
        cache_write_1h: anthropic.then_some(0),
        output: Some((reasoning + text + called) as u64),
        reasoning: (!gemini || reasoned > 0).then_some(reasoned),
    }
}

/// The text cut after each white space, so that joined pieces are the text.
pub(crate) fn pieces(text: &str) -> Vec<Cow<'static, str>> {
    text.split_inclusive(char::is_whitespace).map(|piece| Cow::Owned(piece.to_owned())).collect()
}
