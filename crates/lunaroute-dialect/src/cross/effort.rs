//! Efforts and budgets of thinking tokens, each in terms of the other.

use lunaroute_core::conversation::{Effort, Reasoning, Thinking};

use super::asked::Crossing;

/// Thinking tokens for an effort, where a model is told by tokens. The figures are this project's choice.
pub(crate) const fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => 1_024,
        Effort::Low => 2_048,
        Effort::Medium => 8_192,
        Effort::High => 16_384,
        Effort::ExtraHigh => 24_576,
        Effort::Max => 31_999,
    }
}

/// The effort that a budget of thinking tokens stands for.
pub(crate) const fn effort_of(budget: u64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=1_024 => Effort::Minimal,
        1_025..=4_096 => Effort::Low,
        4_097..=12_288 => Effort::Medium,
        12_289..=20_000 => Effort::High,
        _ => Effort::ExtraHigh,
    }
}

/// Whether a request asks for thinking, and not only says what of it is to be shown, or that there be none.
pub(crate) fn asks_to_think(reasoning: &Reasoning) -> bool {
    match (reasoning.thinking, reasoning.effort) {
        (Some(Thinking::Disabled), _) | (_, Some(Effort::None)) | (None, None) => false,
        (Some(_), _) | (None, Some(_)) => true,
    }
}

/// The effort that another dialect asks for, as a word that the model knows; `None` leaves it to the model.
pub(crate) fn wanted_effort(reasoning: &Reasoning, crossing: &Crossing<'_>) -> Option<Effort> {
    let (least, most) = crossing.facts.effort;
    let effort = match (reasoning.effort, reasoning.thinking) {
        (_, Some(Thinking::Disabled)) => Effort::None,
        (Some(effort), _) => effort,
        (None, Some(Thinking::Budget(budget))) => effort_of(budget),
        (None, Some(Thinking::Adaptive) | None) => return None,
    };
    let least =
        if effort == Effort::None && crossing.facts.thinking_off.is_yes() { Effort::None } else { least };
    Some(effort.clamp(least.min(most), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_and_its_budget_mean_the_same() {
        for effort in Effort::ALL.into_iter().filter(|effort| *effort != Effort::Max) {
            assert_eq!(effort_of(budget_of(effort)), effort);
        }
    }
}
