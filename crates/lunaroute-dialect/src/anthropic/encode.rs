//! Encodes a Messages request.

use lunaroute_core::conversation::{
    AllowedTools, Conversation, OutputFormat, Rest, Tier, Tool, ToolChoice, ToolKind, Turn,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::format::{Place, format, format_member, holds_format};
use super::schema::Room;
use super::tools::tools;
use super::turns::{Turns, messages};
use super::{thinking, turns};
use crate::cross::{Crossing, leave_behind, merge, one_answer, refuse_lost_tools, settled};

/// Tokens of an answer where neither the request nor the model says a limit: the protocol has no default.
const DEFAULT_MAX_TOKENS: u64 = 32_000;

pub(super) fn encode(conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if conversation.origin == Dialect::Anthropic {
        Ok(same(&conversation, crossing.model))
    } else {
        foreign(conversation, crossing)
    }
}

/// A request that was decoded from this dialect, as it was but for the model's name.
fn same(conversation: &Conversation, model: &str) -> Value {
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(model));
    let turns = &conversation.turns[..];
    let is_instruction = |turn: &Turn| turn.rest.get("system") == Some(&Value::Bool(true));
    let turns = match turns.split_first() {
        Some((system, rest)) if is_instruction(system) => {
            body.insert("system".to_owned(), turns::own_content(system));
            rest
        }
        _ => turns,
    };
    body.insert("messages".to_owned(), turns.iter().map(turns::own_message).collect());
    let tools: Vec<Value> = conversation.tools.iter().map(own_tool).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    if let Some(choice) = &conversation.tool_choice {
        let mut value = choice_value(choice, |name| name.to_owned());
        if let Some(parallel) = conversation.parallel_calls {
            value.insert("disable_parallel_tool_use".to_owned(), json!(!parallel));
        }
        body.insert("tool_choice".to_owned(), Value::Object(value));
    }
    if let Some(max_tokens) = conversation.max_output {
        body.insert("max_tokens".to_owned(), json!(max_tokens));
    }
    sampling(conversation, &mut body);
    if let Some(reasoning) = &conversation.reasoning {
        thinking::own(reasoning, &mut body);
    }
    if let Some(OutputFormat::JsonSchema { schema, .. }) = &conversation.format {
        merge(&mut body, &format_member(schema.clone()));
    }
    if let Some(tier) = &conversation.tier {
        body.insert(
            "service_tier".to_owned(),
            json!(if *tier == Tier::Auto { "auto" } else { "standard_only" }),
        );
    }
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    merge(&mut body, &conversation.rest);
    Value::Object(body)
}

fn sampling(conversation: &Conversation, body: &mut Rest) {
    let sampling = &conversation.sampling;
    for (name, value) in
        [("temperature", &sampling.temperature), ("top_p", &sampling.top_p), ("top_k", &sampling.top_k)]
    {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::Number(value.clone()));
        }
    }
    if !sampling.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(sampling.stop));
    }
}

fn own_tool(tool: &Tool) -> Value {
    let mut value = Rest::new();
    if !tool.name.is_empty() {
        value.insert("name".to_owned(), json!(tool.name));
    }
    if let Some(description) = &tool.description {
        value.insert("description".to_owned(), json!(description));
    }
    if let ToolKind::Function { schema, strict } = &tool.kind {
        if let Some(schema) = schema {
            value.insert("input_schema".to_owned(), schema.clone());
        }
        if let Some(strict) = strict {
            value.insert("strict".to_owned(), json!(strict));
        }
    }
    merge(&mut value, &tool.rest);
    Value::Object(value)
}

fn choice_value(choice: &ToolChoice, name_of: impl Fn(&str) -> String) -> Rest {
    let value = match choice {
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Tool { name, .. } => json!({"type": "tool", "name": name_of(name)}),
        ToolChoice::Allowed(AllowedTools { is_required: false, .. }) => json!({"type": "auto"}),
        ToolChoice::Allowed(AllowedTools { names, .. }) => match &names[..] {
            [name] => json!({"type": "tool", "name": name_of(name)}),
            _ => json!({"type": "any"}),
        },
        ToolChoice::Other => json!({}),
    };
    match value {
        Value::Object(members) => members,
        _ => Rest::new(),
    }
}

/// A request of another dialect.
fn foreign(mut conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    leave_behind(&conversation, crossing)?;
    one_answer(&conversation)?;
    let mut room = Room::default();
    let is_held = holds_format(&conversation, crossing, &mut room);
    let mut tools = tools(&mut conversation, room, crossing)?;
    refuse_lost_tools(&conversation, !tools.is_empty(), crossing)?;
    let seed = crossing.asked.seed.clone();
    let mut settled = settled(&mut conversation, &seed, &mut crossing.warnings);
    let Turns { mut system, messages, has_breakpoints } = messages(&mut settled, crossing)?;
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(crossing.model));
    let max_tokens = max_tokens(&conversation, crossing);
    body.insert("max_tokens".to_owned(), json!(max_tokens));
    let mut choice = conversation.tool_choice.clone().filter(|_| !tools.is_empty());
    if is_forced(choice.as_ref()) && !crossing.facts.forced_tools.is_yes() {
        crossing
            .warnings
            .changed("tool_choice", "the model refuses a forced choice of tools; it chooses by itself");
        choice = Some(ToolChoice::Auto);
    }
    let is_prefilled = messages.last().is_some_and(|message| message["role"] == "assistant");
    let place = Place { body: &mut body, system: &mut system, tools: &mut tools, choice: &mut choice };
    format(&conversation, (is_held, is_prefilled), place, crossing)?;
    let limits = thinking::Limits {
        max_tokens,
        forced: is_forced(choice.as_ref()),
        is_mid_step: thinking::is_mid_step(&messages),
        is_prefilled,
    };
    let thinks = thinking::foreign(conversation.reasoning.as_ref(), limits, crossing, &mut body);
    foreign_sampling(&conversation, thinks, crossing, &mut body);
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::Array(system));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    foreign_choice(&conversation, choice, &tools, crossing, &mut body);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    // An agent sends its history again and again; without a hint nothing of it is cached here.
    let is_agent = body.contains_key("tools");
    if is_agent && !has_breakpoints && !crossing.profile.no_cache_hints {
        body.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
    }
    if let Some(user) = &conversation.end_user {
        body.insert("metadata".to_owned(), json!({"user_id": user_id(user)}));
    }
    if conversation.verbosity.is_some() {
        crossing.warnings.dropped("verbosity", "the provider that serves this model has no such field");
    }
    tier(&conversation, crossing, &mut body);
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    Ok(Value::Object(body))
}

/// Whether a tool has to be called.
pub(super) const fn is_forced(choice: Option<&ToolChoice>) -> bool {
    matches!(
        choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Tool { .. }
                | ToolChoice::Allowed(AllowedTools { is_required: true, .. })
        )
    )
}

fn max_tokens(conversation: &Conversation, crossing: &mut Crossing<'_>) -> u64 {
    match conversation.max_output {
        Some(asked) => crossing.output_limit(asked),
        None => crossing.facts.max_output.map_or(DEFAULT_MAX_TOKENS, |most| most.min(DEFAULT_MAX_TOKENS)),
    }
}

/// The end user under a name that does not tell who it is: the provider asks for no addresses and telephone numbers.
fn user_id(user: &str) -> String {
    let is_number = |letter: char| letter.is_ascii_digit() || "+-() ".contains(letter);
    let is_telephone = user.len() > 6 && user.chars().all(is_number) && user.starts_with(['+', '0', '(']);
    if user.contains('@') || is_telephone {
        return blake3::hash(user.as_bytes()).to_hex()[..32].to_owned();
    }
    user.to_owned()
}

fn foreign_sampling(conversation: &Conversation, thinks: bool, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let sampling = &conversation.sampling;
    let takes = crossing.facts.sampling.is_yes() && !thinks;
    if takes {
        if let Some(temperature) = &sampling.temperature {
            let above = temperature.as_f64().is_some_and(|value| value > 1.0);
            if above {
                crossing.warnings.changed("temperature", "above 1; 1 was sent");
            }
            body.insert(
                "temperature".to_owned(),
                if above { json!(1.0) } else { Value::Number(temperature.clone()) },
            );
        }
        let both = sampling.temperature.is_some() && !crossing.facts.temperature_with_top_p.is_yes();
        if let Some(top_p) = &sampling.top_p {
            if both {
                crossing.warnings.dropped("top_p", "the model takes it only without temperature");
            } else {
                body.insert("top_p".to_owned(), Value::Number(top_p.clone()));
            }
        }
        if let Some(top_k) = &sampling.top_k {
            body.insert("top_k".to_owned(), Value::Number(top_k.clone()));
        }
    }
    let stop: Vec<&String> = sampling.stop.iter().filter(|word| !word.trim().is_empty()).collect();
    if stop.len() < sampling.stop.len() {
        crossing.warnings.dropped("stop", "a stop sequence of white space only is not taken");
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    let unknown = [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
    ];
    crossing.lose_likelihoods(sampling);
    for (name, _) in unknown.into_iter().filter(|(_, is_there)| *is_there) {
        crossing.warnings.dropped(name, "the provider that serves this model has no such field");
    }
}

fn foreign_choice(
    conversation: &Conversation,
    choice: Option<ToolChoice>,
    tools: &[Value],
    crossing: &mut Crossing<'_>,
    body: &mut Rest,
) {
    if tools.is_empty() {
        return;
    }
    if matches!(choice, Some(ToolChoice::Allowed(_))) {
        crossing.warnings.changed("tool_choice", "only the allowed tools were sent");
    }
    let serial = conversation.parallel_calls == Some(false) && choice != Some(ToolChoice::None);
    let choice = choice.or(serial.then_some(ToolChoice::Auto));
    let Some(choice) = choice.filter(|choice| *choice != ToolChoice::Other) else { return };
    let names = &crossing.asked.names;
    let mut value = choice_value(&choice, |name| names.chosen(name));
    if serial {
        value.insert("disable_parallel_tool_use".to_owned(), json!(true));
    }
    body.insert("tool_choice".to_owned(), Value::Object(value));
}

fn tier(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let word = match &conversation.tier {
        None => return,
        Some(Tier::Auto) => "auto",
        Some(Tier::Standard) => "standard_only",
        Some(_) => {
            crossing.warnings.changed("service_tier", "the provider has no such class; it decides");
            "auto"
        }
    };
    body.insert("service_tier".to_owned(), json!(word));
}
