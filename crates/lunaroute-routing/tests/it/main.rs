//! Routing at its wall: tables and heads in, plans and refusals out.

mod plans;
mod properties;
mod refusals;

use lunaroute_core::{Dialect, Operation};
use lunaroute_routing::{DefaultProvider, Fallback, Head, ModelRule, Plan, Provider, Table};

fn provider(name: &str, dialects: &[Dialect]) -> Provider {
    Provider { name: name.to_owned(), dialects: dialects.to_vec() }
}

fn rule(pattern: &str, provider: &str, upstream_model: Option<&str>) -> ModelRule {
    ModelRule {
        pattern: pattern.to_owned(),
        provider: provider.to_owned(),
        upstream_model: upstream_model.map(str::to_owned),
        fallbacks: Vec::new(),
        repair: false,
    }
}

/// The same with those who take over.
fn rule_with_fallbacks(pattern: &str, provider: &str, fallbacks: &[(&str, Option<&str>)]) -> ModelRule {
    let fallback = |(provider, upstream): &(&str, Option<&str>)| Fallback {
        provider: (*provider).to_owned(),
        upstream_model: upstream.map(str::to_owned),
    };
    ModelRule { fallbacks: fallbacks.iter().map(fallback).collect(), ..rule(pattern, provider, None) }
}

fn default(dialect: Dialect, provider: &str) -> DefaultProvider {
    DefaultProvider { dialect, provider: provider.to_owned() }
}

/// Three providers: `openai` for both OpenAI dialects, `anthropic` for its own, `local` for chat and Anthropic.
fn providers() -> Vec<Provider> {
    vec![
        provider("openai", &[Dialect::OpenaiChat, Dialect::OpenaiResponses]),
        provider("anthropic", &[Dialect::Anthropic]),
        provider("local", &[Dialect::OpenaiChat, Dialect::Anthropic]),
    ]
}

fn defaults() -> Vec<DefaultProvider> {
    vec![
        default(Dialect::OpenaiChat, "openai"),
        default(Dialect::OpenaiResponses, "openai"),
        default(Dialect::Anthropic, "anthropic"),
    ]
}

fn table(models: Vec<ModelRule>) -> Table {
    Table::new(providers(), models, defaults()).expect("a valid table")
}

fn head(dialect: Dialect, operation: Operation, model: Option<&str>) -> Head<'_> {
    Head { dialect, body: dialect, operation, model }
}

fn chat(model: &str) -> Head<'_> {
    head(Dialect::OpenaiChat, Operation::Chat, Some(model))
}

/// The plan in one line: `provider>upstream model (why)`.
fn line(plan: &Plan) -> String {
    plan.targets
        .iter()
        .map(|target| {
            format!(
                "{}>{} ({})",
                target.provider,
                target.upstream_model.as_deref().unwrap_or("-"),
                target.rule
            )
        })
        .collect::<Vec<_>>()
        .join(", ")
}
