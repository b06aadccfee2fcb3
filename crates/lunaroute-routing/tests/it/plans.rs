//! Which target a request gets.

use lunaroute_core::{Dialect, Operation};
use lunaroute_routing::{Head, Table};

use crate::{chat, default, head, line, provider, providers, rule, rule_with_fallbacks, table};

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

/// In which dialect each target is asked.
fn dialects(table: &Table, head: &Head<'_>) -> Vec<(String, Dialect)> {
    let plan = table.plan(head).expect("a route");
    plan.targets.iter().map(|target| (target.provider.to_string(), target.dialect)).collect()
}

#[test]
fn the_callers_dialect_is_spoken_wherever_it_can_be_and_else_the_providers_first() {
    let fallbacks = [("anthropic", Some("claude")), ("local", None)];
    let table = table(vec![rule_with_fallbacks("any", "openai", &fallbacks)]);
    let to = |provider: &str, dialect| (provider.to_owned(), dialect);
    for (dialect, operation, expected) in [
        (
            Dialect::Anthropic,
            Operation::Messages,
            [Dialect::OpenaiChat, Dialect::Anthropic, Dialect::Anthropic],
        ),
        (
            Dialect::OpenaiResponses,
            Operation::Responses,
            [Dialect::OpenaiResponses, Dialect::Anthropic, Dialect::OpenaiChat],
        ),
        (
            Dialect::OpenaiChat,
            Operation::Chat,
            [Dialect::OpenaiChat, Dialect::Anthropic, Dialect::OpenaiChat],
        ),
        (
            Dialect::Anthropic,
            Operation::CountTokens,
            [Dialect::OpenaiChat, Dialect::Anthropic, Dialect::Anthropic],
        ),
    ] {
        let [first, second, third] = expected;
        assert_eq!(
            dialects(&table, &head(dialect, operation, Some("any"))),
            [to("openai", first), to("anthropic", second), to("local", third)]
        );
    }
    let embeddings = dialects(&table, &head(Dialect::OpenaiChat, Operation::Embeddings, Some("any")));
    let expected = [to("openai", Dialect::OpenaiChat), to("local", Dialect::OpenaiChat)];
    assert_eq!(embeddings, expected, "whoever has no such path is passed over");
}

#[test]
fn a_table_knows_whether_anybody_could_be_translated() {
    assert!(!table(vec![]).translates(), "every default speaks its dialect");
    assert!(
        table(vec![rule("a", "openai", None)]).translates(),
        "a caller of another dialect may name the model"
    );
    let foreign = vec![default(Dialect::Anthropic, "openai")];
    assert!(Table::new(providers(), vec![], foreign).expect("a valid table").translates());
}

#[test]
fn a_default_of_another_dialect_is_translated_to_and_other_paths_reach_it_as_they_are() {
    let defaults = vec![default(Dialect::OpenaiResponses, "local")];
    let table = Table::new(providers(), vec![], defaults).expect("a valid table");
    let asked = |operation| dialects(&table, &head(Dialect::OpenaiResponses, operation, Some("m")))[0].1;
    assert_eq!(asked(Operation::Responses), Dialect::OpenaiChat);
    assert_eq!(asked(Operation::Other), Dialect::OpenaiResponses);
}

#[test]
fn a_body_of_another_dialect_is_asked_in_its_own_where_that_is_spoken() {
    use Dialect::{Anthropic, OpenaiChat, OpenaiResponses};
    for (speaks, expected) in [
        (&[OpenaiChat, OpenaiResponses][..], OpenaiResponses),
        (&[Anthropic, OpenaiChat], OpenaiChat),
        (&[Anthropic], Anthropic),
    ] {
        let table = Table::new(vec![provider("p", speaks)], Vec::new(), vec![default(OpenaiChat, "p")]);
        let head = Head { body: OpenaiResponses, ..chat("m") };
        let plan = table.expect("a valid table").plan(&head).expect("the default of the path");
        assert_eq!(plan.targets[0].dialect, expected);
    }
}
