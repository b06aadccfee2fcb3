//! Gemini's token figures.

use lunaroute_core::Usage;

use crate::json::Json;

/// Reads `usageMetadata`. Gemini counts cached tokens inside of `promptTokenCount`, and neither what server-side tools
/// read (`toolUsePromptTokenCount`) nor thoughts inside of anything; here the classes are disjoint, and thoughts are a
/// part of the output. Its caches are written by calls of their own, so no class is for that.
pub(super) fn read(figures: Json<'_>) -> Usage {
    let [prompt, cached, candidates, thoughts, tools] = figures
        .fields([
            "promptTokenCount",
            "cachedContentTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "toolUsePromptTokenCount",
        ])
        .map(|figure| figure.and_then(Json::count));
    let input = sum(prompt, tools).map(|input| input.saturating_sub(cached.unwrap_or_default()));
    Usage {
        input,
        cache_read: cached,
        cache_write_5m: None,
        cache_write_1h: None,
        output: sum(candidates, thoughts),
        reasoning: thoughts,
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    }
}
