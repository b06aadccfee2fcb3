//! The catalog at its wall: names in, facts out; what is no catalog is refused.

use std::collections::HashSet;

use lunaroute_catalog::Catalog;
use lunaroute_core::conversation::{Effort, ModelFacts, Sent};
use serde_json::Value;

const FILE: &str = include_str!("../../data/models.json");

/// What a row of a table says of a model: context, output, thinking, sampling.
fn line(model: &str) -> String {
    let facts = Catalog::bundled().facts(model);
    let limit = |limit: Option<u64>| limit.map_or_else(|| "?".to_owned(), |limit| limit.to_string());
    let sampling = if facts.sampling.is_yes() { "sampling" } else { "no sampling" };
    format!("{}/{} {:?} {sampling}", limit(facts.context), limit(facts.max_output), facts.thinking)
}

#[test]
fn well_known_models_are_known_under_all_their_names() {
    for (model, expected) in [
        ("claude-opus-5", "?/? Adaptive no sampling"),
        ("claude-opus-4-8-20260601", "1000000/128000 Adaptive no sampling"),
        ("claude-sonnet-4-6", "1000000/64000 Adaptive sampling"),
        ("claude-haiku-4-5-20251001", "200000/64000 Budget sampling"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "200000/64000 Budget sampling"),
        ("anthropic/claude-sonnet-4-20250514", "200000/64000 Budget sampling"),
        ("claude-opus-4-1-20250805", "200000/32000 Budget sampling"),
        ("claude-3-5-haiku-latest", "200000/8192 Nothing sampling"),
        ("claude-3-opus-20240229", "200000/4096 Nothing sampling"),
        ("gpt-5-mini", "400000/128000 Effort no sampling"),
        ("openai/gpt-5.4", "?/128000 Effort no sampling"),
        ("gpt-4o-mini-2024-07-18", "128000/16384 Nothing sampling"),
        ("gpt-4.1", "1047576/32768 Nothing sampling"),
        ("o3-mini", "200000/100000 Effort no sampling"),
        ("gemini-2.5-pro", "1048576/65536 Budget sampling"),
        ("gemini-3-flash-preview", "1048576/65536 Level sampling"),
    ] {
        assert_eq!(line(model), expected, "{model}");
    }
}

#[test]
fn instructions_between_turns_are_sent_to_models_that_take_them() {
    for (model, takes) in [
        ("claude-opus-5", true),
        ("claude-opus-4-8", true),
        ("claude-fable-5", true),
        ("claude-mythos-5", true),
        ("claude-sonnet-5", false),
        ("claude-opus-4-7", false),
        ("gpt-5.6", true),
        ("gpt-4o", true),
        ("o3-mini", true),
        ("qwen3-coder", false),
    ] {
        assert_eq!(Catalog::bundled().facts(model).system_turns.is_yes(), takes, "{model}");
    }
}

#[test]
fn a_form_of_the_answer_beside_tools_is_asked_of_models_that_take_both() {
    for (model, takes) in [
        ("gemini-2.0-flash", false),
        ("gemini-2.5-pro", false),
        ("gemini-2.5-flash", false),
        ("gemini-2.5-flash-lite", false),
        ("gemini-3-pro-preview", true),
        ("gpt-4o", true),
    ] {
        assert_eq!(Catalog::bundled().facts(model).json_with_tools.is_yes(), takes, "{model}");
    }
}

#[test]
fn an_unknown_model_gets_the_mildest_assumptions() {
    for model in ["llama3.2", "qwen3-coder:30b", "", "gpt", "my/own/model"] {
        assert_eq!(Catalog::bundled().facts(model), ModelFacts::default(), "{model}");
    }
}

#[test]
fn every_bundled_pattern_wins_for_some_name_and_every_figure_makes_sense() {
    let file: Value = serde_json::from_str(FILE).expect("JSON");
    let entries = file["models"].as_array().expect("a list");
    let catalog = Catalog::bundled();
    let (mut seen, mut winners) = (HashSet::new(), 0);
    for entry in entries {
        for pattern in entry["match"].as_array().expect("patterns") {
            let pattern = pattern.as_str().expect("a pattern");
            assert!(seen.insert(pattern.to_owned()), "{pattern} stands twice");
            // The shortest name of the pattern is told as its own entry says, so no earlier one hides it.
            let facts = catalog.facts(&pattern.replace('*', ""));
            if let Some(most) = entry["max_output"].as_u64() {
                assert_eq!(facts.max_output, Some(most), "{pattern} is hidden by an earlier entry");
            }
            assert!(
                facts.max_output.is_none_or(|most| facts.context.is_none_or(|all| most <= all)),
                "{pattern}"
            );
            assert!(facts.thinking != Sent::Adaptive || facts.effort.0 >= Effort::Low, "{pattern}");
            winners += 1;
        }
    }
    assert!(winners > 40, "{winners} patterns were looked at");
}

#[test]
fn an_overlay_corrects_what_it_names_and_leaves_the_rest() {
    let overlay = r#"{"models": [
        {"match": ["claude-haiku-4-5*"], "max_output": 1000, "images": false},
        {"match": ["llama*"], "context": 8192, "thinking": "nothing", "effort": ["low", "high"]}
    ]}"#;
    let catalog = Catalog::bundled().with_overlay(overlay).expect("a catalog");
    let haiku = catalog.facts("claude-haiku-4-5");
    assert_eq!((haiku.max_output, haiku.context, haiku.thinking), (Some(1_000), Some(200_000), Sent::Budget));
    assert!(!haiku.images.is_yes() && haiku.documents.is_yes());
    let llama = catalog.facts("llama-4");
    assert_eq!(
        (llama.context, llama.thinking, llama.effort),
        (Some(8_192), Sent::Nothing, (Effort::Low, Effort::High))
    );
    assert_eq!(catalog.facts("gpt-5"), Catalog::bundled().facts("gpt-5"));
}

#[test]
fn what_is_no_catalog_is_refused_with_its_place() {
    for (json, expected) in [
        ("[]", "no catalog of models"),
        (r#"{"models": [{"match": ["a"], "contxt": 5}]}"#, "unknown field `contxt`"),
        (r#"{"models": [{"context": 5}]}"#, "models[0].match is empty"),
        (r#"{"models": [{"match": ["a"]}, {"match": [""]}]}"#, "models[1].match is empty"),
        (r#"{"models": [{"match": ["a"], "effort": ["high", "low"]}]}"#, "models[0].effort begins above"),
        (r#"{"models": [{"match": ["a"], "budget": [9, 1]}]}"#, "models[0].budget begins above"),
        (r#"{"models": [{"match": ["a"], "effort": ["some", "low"]}]}"#, "'some' is no effort"),
        (r#"{"models": [{"match": ["a"], "max_output": 0}]}"#, "models[0].max_output is 0"),
    ] {
        let error = Catalog::bundled().with_overlay(json).expect_err(json).to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}
