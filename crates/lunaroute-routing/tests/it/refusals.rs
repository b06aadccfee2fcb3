//! What is refused, with which sentence.

use lunaroute_core::{Dialect, Failure, Operation, Side};
use lunaroute_routing::{Table, TableError};

use crate::{chat, default, defaults, head, provider, providers, rule, rule_with_fallbacks, table};

#[test]
fn what_cannot_be_translated_is_never_guessed_around() {
    let table = table(vec![rule("claude-*", "anthropic", None), rule("*", "local", None)]);
    let reason = table
        .plan(&head(Dialect::OpenaiChat, Operation::Embeddings, Some("claude-x")))
        .expect_err("anthropic has no embeddings, and the later rule must not be taken instead");
    let failure = Failure::from(reason);
    assert_eq!((failure.side, failure.kind.status().as_u16()), (Side::Client, 400));
    assert_eq!(
        failure.message,
        "the rule 'claude-*' sends this model to 'anthropic', which speaks anthropic and not openai_chat; only answers of \
         a model are translated, and this path has no counterpart there: route the model to a provider of openai_chat"
    );
}

#[test]
fn without_rule_and_default_the_sentence_says_what_to_configure() {
    let table = Table::new(providers(), vec![rule("known", "openai", None)], vec![]).expect("a valid table");
    assert!(table.plan(&chat("known")).is_ok());
    let failure = Failure::from(table.plan(&chat("unknown")).expect_err("nothing covers it"));
    assert_eq!((failure.side, failure.kind.status().as_u16()), (Side::Gateway, 404));
    assert!(failure.message.contains("configure a provider that speaks openai_chat"), "{failure}");
}

#[test]
fn a_table_that_cannot_mean_what_it_says_is_refused() {
    let models = |rules| Table::new(providers(), rules, defaults()).expect_err("refused");
    let cases: Vec<(TableError, &str)> = vec![
        (models(vec![rule("a", "nobody", None)]), "known are: anthropic, local, openai"),
        (models(vec![rule("", "openai", None)]), "empty pattern"),
        (models(vec![rule("a", "openai", Some(""))]), "empty upstream name"),
        (models(vec![rule("a*", "openai", None), rule("a*", "local", None)]), "could never win"),
        (models(vec![rule("a", "openai", None), rule(r"\a", "local", None)]), "could never win"),
        (models(vec![rule("a[", "openai", None)]), "no valid glob"),
        (models(vec![rule("a\\", "openai", None)]), "no valid glob"),
        (
            Table::new(vec![provider("x", &[])], vec![], vec![]).expect_err("speaks nothing"),
            "speaks no dialect",
        ),
        (
            Table::new([providers(), providers()].concat(), vec![], vec![]).expect_err("twice"),
            "two providers are called 'openai'",
        ),
        (models(vec![rule_with_fallbacks("a", "openai", &[("nobody", None)])]), "known are: anthropic"),
        (models(vec![rule_with_fallbacks("a", "openai", &[("local", Some(""))])]), "empty upstream name"),
        (
            Table::new(providers(), vec![], vec![default(Dialect::Anthropic, "no")]).expect_err("unknown"),
            "the default of anthropic names the provider 'no'",
        ),
        (
            Table::new(providers(), vec![], [defaults(), defaults()].concat()).expect_err("twice"),
            "two default providers",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.to_string().contains(expected), "{error}");
    }
}
