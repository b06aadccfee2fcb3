//! Which target a request gets.

use lunaroute_core::{Dialect, Operation};
use lunaroute_routing::Head;

use crate::{chat, head, line, rule, table};

#[track_caller]
fn check(head: &Head<'_>, expected: &str) {
    let table = table(vec![
        rule("gpt-*", "local", Some("llama")),
        rule("gpt-5*", "openai", None),
        rule("gpt-5-mini", "openai", Some("gpt-5-mini-2026")),
        rule("org/*/large", "local", None),
        rule("{alpha,beta}-?", "local", None),
        rule(r"claude\[1m\]", "anthropic", Some("claude")),
        rule("claude-[0-9]", "anthropic", None),
    ]);
    assert_eq!(line(&table.plan(head).expect("a route")), expected, "{head:?}");
}

#[test]
fn an_exact_name_beats_every_glob_and_the_first_glob_beats_later_ones() {
    check(&chat("gpt-5-mini"), "openai>gpt-5-mini-2026 (model gpt-5-mini)");
    check(&chat("gpt-5"), "local>llama (models gpt-*)");
    check(&chat("gpt-4o"), "local>llama (models gpt-*)");
    check(&chat("o3"), "openai>- (default of openai_chat)");
    check(&chat("GPT-5-mini"), "openai>- (default of openai_chat)");
    check(&chat(""), "openai>- (default of openai_chat)");
}

#[test]
fn globs_cross_slashes_and_know_classes_choices_and_escapes() {
    check(&chat("org/a/b/large"), "local>- (models org/*/large)");
    check(&chat("beta-1"), "local>- (models {alpha,beta}-?)");
    check(&chat("beta-12"), "openai>- (default of openai_chat)");
    let messages = |model| head(Dialect::Anthropic, Operation::Messages, Some(model));
    check(&messages("claude[1m]"), r"anthropic>claude (model claude\[1m\])");
    check(&messages("claude-4"), "anthropic>- (models claude-[0-9])");
    check(&messages("claude1"), "anthropic>- (default of anthropic)");
}

#[test]
fn only_operations_that_name_a_model_meet_the_rules() {
    let by_model = "local>llama (models gpt-*)";
    let by_default = "openai>- (default of openai_chat)";
    for (operation, expected) in [
        (Operation::Chat, by_model),
        (Operation::Embeddings, by_model),
        (Operation::CountTokens, by_model),
        (Operation::Models, by_default),
        (Operation::Other, by_default),
    ] {
        check(&head(Dialect::OpenaiChat, operation, Some("gpt-4")), expected);
    }
    check(&head(Dialect::OpenaiChat, Operation::Chat, None), by_default);
    check(
        &head(Dialect::OpenaiResponses, Operation::Responses, Some("o3")),
        "openai>- (default of openai_responses)",
    );
}
