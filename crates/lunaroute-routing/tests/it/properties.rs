//! What holds for every table and every model name.

use lunaroute_core::{Dialect, Operation};
use lunaroute_routing::{ModelRule, Rule, Table};
use proptest::prelude::*;

use crate::{chat, defaults, head, providers, rule, table};

/// Rules of distinct patterns over a small alphabet, so that they meet each other; all to a provider of the dialect.
fn rules() -> impl Strategy<Value = Vec<ModelRule>> {
    proptest::collection::btree_set("[ab*?]{1,4}", 0..8)
        .prop_map(|patterns| patterns.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|patterns| patterns.iter().map(|pattern| rule(pattern, "local", Some(pattern))).collect())
}

/// A second opinion on `*` and `?`, written without the library.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, name) => true,
        (Some((b'*', _)), Some((_, name))) => matches(pattern, name),
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((wanted, rest)), Some((found, name))) => wanted == found && matches(rest, name),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_winner_is_the_exact_rule_or_else_the_first_matching_one(rules in rules(), model in "[ab]{0,5}") {
        let patterns: Vec<String> = rules.iter().map(|rule| rule.pattern.clone()).collect();
        let plan = table(rules).plan(&chat(&model)).expect("a default covers the rest");
        let expected = patterns
            .iter()
            .find(|pattern| **pattern == model)
            .or_else(|| patterns.iter().find(|pattern| matches(pattern.as_bytes(), model.as_bytes())));
        prop_assert_eq!(plan.targets.len(), 1);
        let target = &plan.targets[0];
        prop_assert_eq!(target.upstream_model.as_deref(), expected.map(String::as_str));
        prop_assert_eq!(&*target.provider, if expected.is_some() { "local" } else { "openai" });
        prop_assert_eq!(matches!(target.rule, Rule::Exact(_)), expected.is_some_and(|pattern| *pattern == model));
    }

    #[test]
    fn no_pattern_and_no_model_name_panics(pattern in "\\PC{0,12}", model in "\\PC{0,40}") {
        let rules = vec![rule(&pattern, "local", None)];
        if let Ok(table) = Table::new(providers(), rules, defaults()) {
            prop_assert!(table.plan(&chat(&model)).is_ok());
        }
    }

    #[test]
    fn a_target_is_only_ever_asked_in_a_dialect_that_it_speaks(
        rules in rules(),
        model in "[ab]{0,5}",
        dialect in proptest::sample::select(Dialect::ALL.to_vec()),
        operation in proptest::sample::select(vec![Operation::Chat, Operation::Messages, Operation::Other]),
    ) {
        if let Ok(plan) = table(rules).plan(&head(dialect, operation, Some(&model))) {
            for target in plan.targets {
                let speaks = providers()
                    .into_iter()
                    .any(|known| known.name == *target.provider && known.dialects.contains(&target.dialect));
                prop_assert!(speaks, "{} does not speak {}", target.provider, target.dialect);
            }
        }
    }
}
