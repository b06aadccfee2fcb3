//! What the two dialects of OpenAI share.

pub(crate) mod error;

use lunaroute_core::conversation::Tier;
use serde_json::{Value, json};

use crate::cross::{LimitHeaders, Limits, Reset};

/// OpenAI's rate limits, on all of its paths.
pub(crate) static LIMIT_HEADERS: LimitHeaders = LimitHeaders {
    requests: ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    tokens: ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    reset: Reset::Wait,
};

/// What both call the numbers of a request; only the most tokens of an answer have a name of their own in each.
pub(crate) const fn limits(max_output: &'static str) -> Limits {
    Limits {
        temperature: "temperature",
        hottest: 2.0,
        top_p: "top_p",
        top_k: "top_k",
        penalties: ["frequency_penalty", "presence_penalty"],
        candidates: "n",
        max_output,
    }
}

/// The class of service of a word.
pub(crate) fn tier(word: &str) -> Tier {
    match word {
        "auto" => Tier::Auto,
        "default" => Tier::Standard,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        word => Tier::Other(word.to_owned()),
    }
}

/// The word of a class of service.
pub(crate) fn tier_word(tier: &Tier) -> &str {
    match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Other(word) => word,
    }
}

/// The form of a custom tool's text as Chat has it: a grammar stands in an object of its own.
pub(crate) fn nested_grammar(format: &Value) -> Value {
    match format.get("type").and_then(Value::as_str) {
        Some("grammar") if format.get("grammar").is_none() => json!({
            "type": "grammar",
            "grammar": {"syntax": format["syntax"], "definition": format["definition"]},
        }),
        _ => format.clone(),
    }
}

/// The same as Responses has it: all members beside the type.
pub(crate) fn flat_grammar(format: &Value) -> Value {
    match format.get("grammar") {
        Some(grammar) => json!({
            "type": "grammar", "syntax": grammar["syntax"], "definition": grammar["definition"],
        }),
        None => format.clone(),
    }
}
