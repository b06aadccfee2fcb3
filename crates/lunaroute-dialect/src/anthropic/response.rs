//! Reads a whole message, and the parts that events share with it.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, Delta, Dialect, StopReason, Usage};

use crate::json::Json;

/// Reads a message; tells whether the body is one.
pub(super) fn read(body: Json<'_>, deltas: &mut Vec<Delta>) -> bool {
    deltas.push(start(body));
    let [kind, content] = body.fields(["type", "content"]);
    let mut blocks = 0..;
    for block in content.into_iter().flat_map(Json::elements) {
        let [kind, text, thinking, id, name, input, citations] =
            block.fields(["type", "text", "thinking", "id", "name", "input", "citations"]);
        let word = |value: Option<Json<'_>>| value.and_then(Json::text).unwrap_or_default().into_owned();
        let mut number = || blocks.next().unwrap_or(u32::MAX);
        match kind.and_then(Json::text).as_deref() {
            Some("text") => {
                let index = number();
                deltas.push(Delta::Text { index, text: word(text) });
                let sources = citations.into_iter().flat_map(Json::elements);
                deltas.extend(sources.filter_map(|source| cite(index, source)));
            }
            Some("thinking") => {
                let index = number();
                deltas.push(Delta::Reasoning { index, text: word(thinking) });
                deltas.extend(seal(index, block.field("signature"), false));
            }
            Some("redacted_thinking") => deltas.extend(seal(number(), block.field("data"), true)),
            Some("tool_use") => {
                let index = number();
                deltas.push(Delta::ToolCallStart { index, id: word(id), name: word(name) });
                let fragment = input.map_or("{}".into(), |input| String::from_utf8_lossy(input.bytes()));
                deltas.push(Delta::ToolCallArguments { index, fragment: fragment.into_owned() });
            }
            // What the provider runs itself (`server_tool_use` and its results) asks nothing of the client.
            _ => {}
        }
    }
    let [stop_reason, figures, details] = body.fields(["stop_reason", "usage", "stop_details"]);
    deltas.extend(details.and_then(explanation));
    deltas.extend(stop_reason.and_then(Json::text).map(|raw| stop(&raw)));
    deltas.extend(figures.map(usage).filter(|usage| !usage.is_unknown()).map(Delta::Usage));
    content.is_some_and(|content| content.is_array()) || kind.is_some_and(|kind| kind.says("message"))
}

/// The beginning, from a message or the skeleton of one.
pub(super) fn start(message: Json<'_>) -> Delta {
    let [id, model] = message.fields(["id", "model"]);
    let word = |value: Option<Json<'_>>| Some(value?.text()?.into_owned());
    Delta::Start { id: word(id), model: word(model) }
}

/// The seal of a reasoning block: its signature, or all of one whose words are hidden.
pub(super) fn seal(index: u32, data: Option<Json<'_>>, is_redacted: bool) -> Option<Delta> {
    let data = data?.text().filter(|data| !data.is_empty())?.into_owned();
    Some(Delta::Seal {
        index,
        seal: Seal { maker: Dialect::Anthropic, provider: None, data, id: None },
        is_redacted,
    })
}

/// A source on the web of a text block. Every cited stretch is a block of its own here, so it has no range; sources inside
/// of the request's documents mean nothing elsewhere.
pub(super) fn cite(index: u32, source: Json<'_>) -> Option<Delta> {
    let [url, title] = source.fields(["url", "title"]);
    let (url, title) = (url?.text()?.into_owned(), title.and_then(Json::text).map(Into::into));
    Some(Delta::Cite { index, citation: Citation { url, title, range: None } })
}

/// Why the model refused, in words.
pub(super) fn explanation(details: Json<'_>) -> Option<Delta> {
    let text = details.text_of("explanation").filter(|text| !text.is_empty())?;
    Some(Delta::Refusal { text: text.into_owned() })
}

pub(super) fn stop(raw: &str) -> Delta {
    let reason = match raw {
        "end_turn" => StopReason::EndTurn,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "refusal" => StopReason::Refusal,
        "pause_turn" | "compaction" => StopReason::Pause,
        _ => StopReason::Other,
    };
    Delta::Stop { reason, raw: raw.to_owned() }
}

/// Anthropic's classes are disjoint already. Where it lists iterations their sum counts: the figures beside them leave
/// compaction out.
pub(super) fn usage(figures: Json<'_>) -> Usage {
    let mut usage = one(figures);
    let iterations = figures.field("iterations").into_iter().flat_map(Json::elements).map(one);
    if let Some(mut summed) = iterations.reduce(sum) {
        if summed.cache_write_1h.is_none() {
            without_hour(&mut summed, usage.cache_write_1h);
        }
        // A class that the iterations do not tell keeps the figure beside them.
        usage.overlay(&summed);
    }
    usage
}

/// Figures that follow `earlier` ones in a stream. Later events give the sum of the cache writes without the split, so
/// what is known to be of an hour is taken out of it and not counted twice.
pub(super) fn usage_after(figures: Json<'_>, earlier: &Usage) -> Usage {
    let mut later = usage(figures);
    if figures.field("cache_creation").is_none() {
        without_hour(&mut later, earlier.cache_write_1h);
    }
    later
}

/// Takes what is known to be of an hour out of cache writes that came without their split.
fn without_hour(usage: &mut Usage, hour: Option<u64>) {
    if let (Some(written), Some(hour)) = (usage.cache_write_5m, hour) {
        usage.cache_write_5m = Some(written.saturating_sub(hour));
    }
}

fn one(figures: Json<'_>) -> Usage {
    let [input, output, cache_read, written, split, output_details] = figures.fields([
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
    ]);
    let part = |name| split.and_then(|split| split.count_of(name));
    let hour = part("ephemeral_1h_input_tokens");
    // Without the split all of it is of five minutes, and so is what the split does not explain.
    let five = match (written.and_then(Json::count), part("ephemeral_5m_input_tokens")) {
        (Some(written), five) => {
            Some(written.saturating_sub(hour.unwrap_or_default()).max(five.unwrap_or_default()))
        }
        (None, five) => five,
    };
    Usage {
        input: input.and_then(Json::count),
        cache_read: cache_read.and_then(Json::count),
        cache_write_5m: five,
        cache_write_1h: hour,
        output: output.and_then(Json::count),
        reasoning: output_details.and_then(|details| details.count_of("thinking_tokens")),
    }
}

fn sum(one: Usage, other: Usage) -> Usage {
    let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    };
    Usage {
        input: add(one.input, other.input),
        cache_read: add(one.cache_read, other.cache_read),
        cache_write_5m: add(one.cache_write_5m, other.cache_write_5m),
        cache_write_1h: add(one.cache_write_1h, other.cache_write_1h),
        output: add(one.output, other.output),
        reasoning: add(one.reasoning, other.reasoning),
    }
}
