//! How a model of this dialect is told to think.

use lunaroute_core::conversation::{Effort, Reasoning, Rest, Sent, Summary, Thinking};
use serde_json::{Value, json};

use crate::cross::{Crossing, asks_to_think, budget_of, merge};

/// The least budget that the protocol takes.
const LEAST_BUDGET: u64 = 1_024;

/// Reasoning that was decoded from this dialect, as it was.
pub(super) fn own(reasoning: &Reasoning, body: &mut Rest) {
    let mut members = Rest::new();
    match reasoning.thinking {
        Some(Thinking::Disabled) => _ = members.insert("type".to_owned(), json!("disabled")),
        Some(Thinking::Adaptive) => _ = members.insert("type".to_owned(), json!("adaptive")),
        Some(Thinking::Budget(budget)) => {
            members.insert("type".to_owned(), json!("enabled"));
            members.insert("budget_tokens".to_owned(), json!(budget));
        }
        None => {}
    }
    if let Some(summary) = reasoning.summary {
        members.insert("display".to_owned(), json!(display(summary)));
    }
    if !members.is_empty() {
        body.insert("thinking".to_owned(), Value::Object(members));
    }
    if let Some(effort) = reasoning.effort {
        merge(body, &effort_member(effort));
    }
}

const fn display(summary: Summary) -> &'static str {
    match summary {
        Summary::Omitted => "omitted",
        Summary::Auto | Summary::Concise | Summary::Detailed => "summarized",
    }
}

fn effort_member(effort: Effort) -> Rest {
    let mut member = Rest::new();
    member.insert("output_config".to_owned(), json!({"effort": effort.as_str()}));
    member
}

/// What of a request limits thinking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of the whole answer.
    pub(super) max_tokens: u64,
    /// A tool has to be called.
    pub(super) forced: bool,
    /// The answer goes on from calls that were made without the thinking that led to them.
    pub(super) is_mid_step: bool,
    /// The answer goes on from words of the assistant.
    pub(super) is_prefilled: bool,
}

/// Whether the messages end with results of calls whose turn does not begin with thinking: a caller whose dialect cannot
/// carry signatures sends such. A model that thinks by a budget refuses them.
pub(super) fn is_mid_step(messages: &[Value]) -> bool {
    let Some([turn, results]) = messages.last_chunk::<2>() else { return false };
    let kind = |message: &Value| message["content"][0]["type"].as_str().unwrap_or_default().to_owned();
    kind(results) == "tool_result"
        && turn["role"] == "assistant"
        && !matches!(kind(turn).as_str(), "thinking" | "redacted_thinking")
}

/// Tells a model to think as another dialect asks; says whether it does so apart from its answer.
pub(super) fn foreign(
    reasoning: Option<&Reasoning>,
    limits: Limits,
    crossing: &mut Crossing<'_>,
    body: &mut Rest,
) -> bool {
    let Some(reasoning) = reasoning else { return false };
    let budget = match reasoning.thinking {
        Some(Thinking::Budget(budget)) => Some(budget),
        _ => None,
    };
    let off = reasoning.thinking == Some(Thinking::Disabled) || reasoning.effort == Some(Effort::None);
    let effort = reasoning.effort.or(budget.map(crate::cross::effort_of));
    match crossing.facts.thinking {
        Sent::Nothing => {
            if asks_to_think(reasoning) {
                crossing
                    .warnings
                    .dropped("reasoning_effort", "the model does not think apart from answering");
            }
            false
        }
        _ if off && crossing.facts.thinking_off.is_yes() => {
            body.insert("thinking".to_owned(), json!({"type": "disabled"}));
            false
        }
        _ if off => {
            crossing
                .warnings
                .changed("reasoning_effort", "the model always thinks; the least effort was sent");
            merge(body, &effort_member(Effort::Low));
            true
        }
        _ if limits.is_prefilled => {
            if asks_to_think(reasoning) {
                let what = "an answer that goes on from words of the assistant does not begin with thinking";
                crossing.warnings.dropped("reasoning_effort", what);
            }
            false
        }
        // What is to be shown is said of thinking that is there anyway; to say it would switch on other thinking.
        _ if !asks_to_think(reasoning) && crossing.facts.thinking_off.is_yes() => false,
        Sent::Budget => by_budget(budget.or(effort.map(budget_of)), limits, crossing, body),
        Sent::Adaptive | Sent::Effort | Sent::Level => {
            let mut thinking = json!({"type": "adaptive"});
            if let Some(summary) = reasoning.summary {
                thinking["display"] = json!(display(summary));
            }
            body.insert("thinking".to_owned(), thinking);
            if let Some(effort) = effort {
                // `minimal` is no word of this dialect.
                let effort = effort.max(Effort::Low).min(crossing.facts.effort.1);
                merge(body, &effort_member(effort));
            }
            true
        }
    }
}

fn by_budget(
    budget: Option<u64>,
    Limits { max_tokens, forced, is_mid_step, .. }: Limits,
    crossing: &mut Crossing<'_>,
    body: &mut Rest,
) -> bool {
    let Some(budget) = budget else { return false };
    if forced {
        crossing
            .warnings
            .dropped("reasoning_effort", "a forced choice of tools excludes thinking by a budget");
        return false;
    }
    if is_mid_step {
        crossing.warnings.dropped(
            "reasoning_effort",
            "the calls before came without their thinking; it pauses for this step",
        );
        return false;
    }
    let budget = budget.max(LEAST_BUDGET).min(max_tokens.saturating_sub(1)).min(crossing.facts.budget.1);
    if budget < LEAST_BUDGET {
        crossing.warnings.dropped("reasoning_effort", "the answer is too short for thinking");
        return false;
    }
    body.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
    true
}
