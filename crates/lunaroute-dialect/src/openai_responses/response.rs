//! Reads a whole response, and the parts that events share with it.

use lunaroute_core::{Delta, StopReason, Usage};

use super::items::Output;
use super::places::Places;
use crate::json::Json;

/// The states of a response that is not over, or was given up before it was.
const UNFINISHED: [&str; 3] = ["queued", "in_progress", "cancelled"];

/// Reads a response; tells whether the body is one in its last state.
pub(super) fn read(body: Json<'_>, deltas: &mut Vec<Delta>) -> bool {
    deltas.push(start(body));
    let mut output = Output::default();
    close(body, &mut output, &mut Places::default(), deltas);
    let [items, status] = body.fields(["output", "status"]);
    let is = |word: &str| status.is_some_and(|status| status.says(word));
    is("failed") || items.is_some_and(|items| items.is_array()) && !UNFINISHED.into_iter().any(is)
}

/// The beginning, from a response in any state.
pub(super) fn start(response: Json<'_>) -> Delta {
    let [id, model] = response.fields(["id", "model"]);
    let text = |value: Option<Json<'_>>| Some(value?.text()?.into_owned());
    Delta::Start { id: text(id), model: text(model) }
}

/// Takes a response in its last state: what of its output has not been told, why it stopped, what it used. Tells
/// whether it is an answer, which one that failed is not.
pub(super) fn close(
    response: Json<'_>,
    output: &mut Output,
    places: &mut Places,
    deltas: &mut Vec<Delta>,
) -> bool {
    let [items, status, details, figures] =
        response.fields(["output", "status", "incomplete_details", "usage"]);
    for (position, item) in (0..).zip(items.into_iter().flat_map(Json::elements)) {
        output.whole(places.told(position, item), item, deltas);
    }
    deltas.extend(figures.map(usage).filter(|usage| !usage.is_unknown()).map(Delta::Usage));
    let reason = details.and_then(|details| details.text_of("reason"));
    match status.and_then(Json::text).as_deref() {
        Some("failed") => {
            if let Some(error) = crate::error::read(response, true) {
                deltas.push(error.into());
            }
            return false;
        }
        Some("incomplete") => {
            let raw = reason.unwrap_or("incomplete".into());
            let reason = match raw.as_ref() {
                "max_output_tokens" => StopReason::Length,
                "content_filter" => StopReason::Refusal,
                _ => StopReason::Other,
            };
            deltas.push(Delta::Stop { reason, raw: raw.into_owned() });
        }
        Some("completed") => {
            let reason = if output.has_calls() { StopReason::ToolUse } else { StopReason::EndTurn };
            deltas.push(Delta::Stop { reason, raw: "completed".to_owned() });
        }
        Some(other) => deltas.push(Delta::Stop { reason: StopReason::Other, raw: other.to_owned() }),
        None => {}
    }
    true
}

/// OpenAI counts cached and written tokens inside `input_tokens`; here the classes are disjoint. Where the writes are
/// split by life, those of 30 minutes go with the short-lived and those of 12 hours with the long-lived.
pub(super) fn usage(usage: Json<'_>) -> Usage {
    let [input, output, input_details, output_details] =
        usage.fields(["input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"]);
    let [cached, written, split] = input_details
        .map(|details| details.fields(["cached_tokens", "cache_write_tokens", "cache_write_tokens_details"]))
        .unwrap_or_default();
    let written = written.and_then(Json::count);
    let long = split.and_then(|split| split.count_of("ttl_12h_tokens"));
    let cache_read = cached.and_then(Json::count);
    let apart = cache_read.unwrap_or_default().saturating_add(written.unwrap_or_default());
    Usage {
        input: input.and_then(Json::count).map(|input| input.saturating_sub(apart)),
        cache_read,
        cache_write_5m: written.map(|written| written.saturating_sub(long.unwrap_or_default())),
        cache_write_1h: long,
        output: output.and_then(Json::count),
        reasoning: output_details.and_then(|details| details.count_of("reasoning_tokens")),
    }
}
