//! Reads a whole chat completion, or a legacy one, and the parts that chunks share with it.

use std::borrow::Cow;

use lunaroute_core::{Citation, Delta, StopReason, Usage};

use super::calls::Calls;
use crate::blocks::Blocks;
use crate::json::Json;

/// Reasons of an end that is a failure, and what that is called where nothing else is said.
const FAILURES: [(&str, &str); 2] =
    [("error", "api_error"), ("insufficient_system_resource", "overloaded_error")];

/// What a block of a choice holds; calls are numbered through all choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Text(u64),
    Reasoning(u64),
    Call(usize),
    /// What rides on that call: reasoning of which nothing is shown.
    Seal(usize),
}

/// Reads messages, whole or in fragments: the two have the same members.
#[derive(Default)]
pub(super) struct Messages {
    blocks: Blocks<Block>,
    calls: Calls,
}

impl Messages {
    /// A reader of messages that come whole.
    fn whole() -> Self {
        Self { calls: Calls::whole(), ..Self::default() }
    }

    /// Takes a `message` or a `delta` of one choice.
    pub(super) fn take(&mut self, choice: u64, message: Json<'_>, deltas: &mut Vec<Delta>) {
        let [content, refusal, reasoning_content, reasoning, tool_calls, function_call, audio, annotations] =
            message.fields([
                "content",
                "refusal",
                "reasoning_content",
                "reasoning",
                "tool_calls",
                "function_call",
                "audio",
                "annotations",
            ]);
        // Hosts name reasoning in two ways, some in both at once.
        let shown = [reasoning_content, reasoning].into_iter().flatten().find_map(Json::text);
        if let Some(text) = shown.filter(|text| !text.is_empty()) {
            let index = self.blocks.number(Block::Reasoning(choice));
            deltas.push(Delta::Reasoning { index, text: text.into_owned() });
        }
        let parts = content.into_iter().flat_map(Json::elements).filter_map(|part| part.text_of("text"));
        let transcript = audio.and_then(|audio| audio.text_of("transcript"));
        for text in content.and_then(Json::text).into_iter().chain(parts).chain(transcript) {
            self.text(choice, text, deltas);
        }
        for source in
            annotations.into_iter().flat_map(Json::elements).filter_map(|part| part.field("url_citation"))
        {
            let index = self.blocks.number(Block::Text(choice));
            deltas.extend(cite(index, source));
        }
        if let Some(text) = refusal.and_then(Json::text).filter(|text| !text.is_empty()) {
            deltas.push(Delta::Refusal { text: text.into_owned() });
        }
        let (blocks, calls) = (&mut self.blocks, &mut self.calls);
        for (position, fragment) in tool_calls.into_iter().flat_map(Json::elements).enumerate() {
            calls.fragment(choice, position, fragment, |block| blocks.number(block), deltas);
        }
        if let Some(function_call) = function_call {
            calls.legacy(choice, function_call, |block| blocks.number(block), deltas);
        }
    }

    /// Takes text of one choice: all that a choice of the legacy completions says.
    pub(super) fn text(&mut self, choice: u64, text: Cow<'_, str>, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            let index = self.blocks.number(Block::Text(choice));
            deltas.push(Delta::Text { index, text: text.into_owned() });
        }
    }

    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        self.calls.finish(deltas);
    }
}

/// A source on the web, with the words that it stands for.
fn cite(index: u32, source: Json<'_>) -> Option<Delta> {
    let [url, title, start, end] = source.fields(["url", "title", "start_index", "end_index"]);
    let (url, title) = (url?.text()?.into_owned(), title.and_then(Json::text).map(Into::into));
    let range = start.and_then(Json::count).zip(end.and_then(Json::count));
    Some(Delta::Cite { index, citation: Citation { url, title, range } })
}

/// Reads a completion; tells whether the body is one, which has a choice.
pub(super) fn read(body: Json<'_>, deltas: &mut Vec<Delta>) -> bool {
    let [id, model, choices, figures] = body.fields(["id", "model", "choices", "usage"]);
    deltas.push(start(id, model).unwrap_or(Delta::Start { id: None, model: None }));
    let (mut messages, mut has_choice) = (Messages::whole(), false);
    let choices = choices
        .into_iter()
        .flat_map(|choices| choices.objects(["index", "message", "text", "finish_reason"]));
    for (place, (choice, [index, message, text, finish_reason])) in (0..).zip(choices) {
        has_choice = true;
        let index = index.and_then(Json::count).unwrap_or(place);
        if let Some(message) = message {
            messages.take(index, message, deltas);
        } else if let Some(text) = text.and_then(Json::text) {
            messages.text(index, text, deltas);
        }
        deltas.extend(finish_reason.and_then(|raw| stop(choice, raw)));
    }
    messages.finish(deltas);
    deltas.extend(figures.map(usage).filter(|usage| !usage.is_unknown()).map(Delta::Usage));
    has_choice
}

/// The answer's beginning, when its id or its model is known. Azure's first chunk leaves both empty.
pub(super) fn start(id: Option<Json<'_>>, model: Option<Json<'_>>) -> Option<Delta> {
    let word = |value: Option<Json<'_>>| Some(value?.text()?.into_owned()).filter(|text| !text.is_empty());
    let (id, model) = (word(id), word(model));
    (id.is_some() || model.is_some()).then_some(Delta::Start { id, model })
}

/// Why a choice ended; nothing while it goes on, for which some hosts send an empty string in place of `null`. Some ends
/// are failures: OpenRouter's, which may stand in the choice with its cause, and that of DeepSeek when it has no room.
pub(super) fn stop(choice: Json<'_>, raw: Json<'_>) -> Option<Delta> {
    let raw = raw.text().filter(|raw| !raw.is_empty())?;
    if let Some((_, kind)) = FAILURES.iter().find(|(known, _)| *known == raw) {
        return Some(crate::error::read(choice, false).map_or_else(
            || {
                let message = format!("the model failed to answer: {raw}");
                Delta::Error { kind: (*kind).to_owned(), code: None, message, retry_after_ms: None }
            },
            Delta::from,
        ));
    }
    let reason = match raw.as_ref() {
        "stop" => StopReason::EndTurn,
        "length" => StopReason::Length,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "content_filter" => StopReason::Refusal,
        _ => StopReason::Other,
    };
    Some(Delta::Stop { reason, raw: raw.into_owned() })
}

/// OpenAI counts cached and written tokens inside `prompt_tokens`; here the classes are disjoint. Cache writes have the
/// vendor's default life here. DeepSeek names the cached part `prompt_cache_hit_tokens`.
pub(super) fn usage(usage: Json<'_>) -> Usage {
    let [prompt, completion, prompt_details, completion_details, hit] = usage.fields([
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "prompt_cache_hit_tokens",
    ]);
    let cache_read =
        prompt_details.and_then(|details| details.count_of("cached_tokens")).or(hit.and_then(Json::count));
    let written = prompt_details.and_then(|details| details.count_of("cache_write_tokens"));
    let apart = cache_read.unwrap_or_default().saturating_add(written.unwrap_or_default());
    Usage {
        input: prompt.and_then(Json::count).map(|prompt| prompt.saturating_sub(apart)),
        cache_read,
        cache_write_5m: written,
        cache_write_1h: None,
        output: completion.and_then(Json::count),
        reasoning: completion_details.and_then(|details| details.count_of("reasoning_tokens")),
    }
}
