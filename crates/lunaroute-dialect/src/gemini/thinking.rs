//! How a model of this dialect is told to think.

use lunaroute_core::conversation::{Effort, Reasoning, Rest, Sent, Summary, Thinking};
use serde_json::json;

use crate::cross::{Crossing, asks_to_think, effort_of};

/// The least budget of models that cannot leave thinking: what Gemini 2.5 Pro takes.
const LEAST_BUDGET: u64 = 128;

/// The effort of a level (Gemini 3); `None` for a word that is none.
pub(super) fn effort_of_level(level: &str) -> Option<Effort> {
    Effort::parse(&level.to_ascii_lowercase()).filter(|effort| *effort != Effort::None)
}

fn level_of(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::ExtraHigh | Effort::Max => "XHIGH",
    }
}

/// Thinking tokens for an effort (Gemini 2.5). The figures are this project's choice.
const fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => 512,
        Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::ExtraHigh => 24_576,
        Effort::Max => 32_768,
    }
}

/// Reasoning that was decoded from this dialect, as it was.
pub(super) fn own(reasoning: &Reasoning) -> Rest {
    let mut config = Rest::new();
    if let Some(summary) = reasoning.summary {
        config.insert("includeThoughts".to_owned(), json!(summary != Summary::Omitted));
    }
    if let Some(effort) = reasoning.effort {
        config.insert("thinkingLevel".to_owned(), json!(level_of(effort)));
    }
    match reasoning.thinking {
        Some(Thinking::Disabled) => _ = config.insert("thinkingBudget".to_owned(), json!(0)),
        Some(Thinking::Adaptive) => _ = config.insert("thinkingBudget".to_owned(), json!(-1)),
        Some(Thinking::Budget(budget)) => _ = config.insert("thinkingBudget".to_owned(), json!(budget)),
        None => {}
    }
    config
}

/// What a model is told of another dialect's wish; empty when nothing is to be told.
pub(super) fn foreign(reasoning: &Reasoning, crossing: &mut Crossing<'_>) -> Rest {
    let mut config = Rest::new();
    let wants_switch = matches!(reasoning.thinking, Some(Thinking::Budget(_) | Thinking::Adaptive));
    let off = reasoning.thinking == Some(Thinking::Disabled) || reasoning.effort == Some(Effort::None);
    if crossing.facts.thinking == Sent::Nothing {
        if asks_to_think(reasoning) {
            crossing.warnings.dropped("reasoning_effort", "the model does not think apart from answering");
        }
        return config;
    }
    let shown = match reasoning.summary {
        Some(summary) => summary != Summary::Omitted,
        None => wants_switch,
    };
    if shown && !off {
        config.insert("includeThoughts".to_owned(), json!(true));
    }
    let budget = match reasoning.thinking {
        Some(Thinking::Budget(budget)) => Some(budget),
        _ => None,
    };
    let (least, most) = crossing.facts.effort;
    let effort = reasoning.effort.or(budget.map(effort_of)).map(|effort| effort.clamp(least.min(most), most));
    if crossing.facts.thinking == Sent::Level {
        if off {
            crossing
                .warnings
                .changed("reasoning_effort", "the model always thinks; the least level was sent");
            config.insert("thinkingLevel".to_owned(), json!(level_of(least.max(Effort::Minimal))));
        } else if let Some(effort) = effort {
            config.insert("thinkingLevel".to_owned(), json!(level_of(effort)));
        }
        return config;
    }
    let (fewest, most) = crossing.facts.budget;
    if off && !crossing.facts.thinking_off.is_yes() {
        crossing.warnings.changed("reasoning_effort", "the model always thinks; the least budget was sent");
        config.insert("thinkingBudget".to_owned(), json!(fewest.max(LEAST_BUDGET)));
    } else if off {
        config.insert("thinkingBudget".to_owned(), json!(0));
    } else if let Some(budget) = budget.filter(|_| reasoning.effort.is_none()).or(effort.map(budget_of)) {
        config.insert("thinkingBudget".to_owned(), json!(budget.clamp(fewest.min(most), most)));
    } else if reasoning.thinking == Some(Thinking::Adaptive) {
        config.insert("thinkingBudget".to_owned(), json!(-1));
    }
    config
}
