//! Encodes a Responses request.

use std::collections::HashMap;

use lunaroute_core::conversation::{
    AllowedTools, Conversation, Hosted, OutputFormat, Rest, Sent, Summary, Tool, ToolChoice, ToolKind,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::turns;
use crate::cross::{
    Crossing, asks_to_think, client_schema, described, format_held, goes_on_from_nothing, held_strictly,
    leave_behind, lose_hosted, lose_limits, merge, one_answer, parameters, refuse_lost_tools, settled,
    wanted_effort,
};
use crate::openai::{flat_grammar, tier_word};

/// The least limit of an answer that the protocol takes, in tokens.
const LEAST_OUTPUT: u64 = 16;

pub(super) fn encode(conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if conversation.origin == Dialect::OpenaiResponses {
        Ok(same(&conversation, crossing.model))
    } else {
        foreign(conversation, crossing)
    }
}

/// A request that was decoded from this dialect, as it was but for the model's name.
fn same(conversation: &Conversation, model: &str) -> Value {
    let mut body = Rest::new();
    // A stored prompt may name the model.
    if !model.is_empty() {
        body.insert("model".to_owned(), json!(model));
    }
    if !conversation.rest.contains_key("input") {
        let items: Vec<Value> = conversation.turns.iter().filter_map(turns::own_item).collect();
        if !items.is_empty() {
            body.insert("input".to_owned(), Value::Array(items));
        }
    }
    numbers(conversation, &mut body);
    if let Some(parallel) = conversation.parallel_calls {
        body.insert("parallel_tool_calls".to_owned(), json!(parallel));
    }
    if let Some(most) = conversation.max_output {
        body.insert("max_output_tokens".to_owned(), json!(most));
    }
    if let Some(user) = &conversation.end_user
        && !conversation.rest.contains_key("user")
    {
        body.insert("safety_identifier".to_owned(), json!(user));
    }
    if let Some(key) = &conversation.cache_key {
        body.insert("prompt_cache_key".to_owned(), json!(key));
    }
    if let Some(tier) = &conversation.tier {
        body.insert("service_tier".to_owned(), json!(tier_word(tier)));
    }
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    merge(&mut body, &conversation.rest);
    Value::Object(body)
}

fn numbers(conversation: &Conversation, body: &mut Rest) {
    let sampling = &conversation.sampling;
    for (name, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::Number(value.clone()));
        }
    }
}

/// A request of another dialect.
fn foreign(mut conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    leave_behind(&conversation, crossing)?;
    one_answer(&conversation)?;
    let tools = tools(&mut conversation, crossing)?;
    refuse_lost_tools(&conversation, !tools.is_empty(), crossing)?;
    let seed = crossing.asked.seed.clone();
    let mut settled = settled(&mut conversation, &seed, &mut crossing.warnings);
    let turns::Items { instructions, input } = turns::items(&mut settled, crossing)?;
    // From words of its own a model of Chat begins anew, too; others go on.
    let is_prefilled = input.last().is_some_and(|item| item["role"] == "assistant");
    if is_prefilled && conversation.origin != Dialect::OpenaiChat {
        return Err(goes_on_from_nothing());
    }
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(crossing.model));
    if !instructions.is_empty() {
        body.insert("instructions".to_owned(), json!(instructions));
    }
    body.insert("input".to_owned(), Value::Array(input));
    output_limit(&conversation, crossing, &mut body);
    sampling(&conversation, crossing, &mut body);
    reasoning(&conversation, crossing, &mut body);
    if let Some(text) = text(&conversation, crossing) {
        body.insert("text".to_owned(), Value::Object(text));
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
        if let Some(choice) = choice_value(&conversation, crossing) {
            body.insert("tool_choice".to_owned(), choice);
        }
        if let Some(parallel) = conversation.parallel_calls {
            body.insert("parallel_tool_calls".to_owned(), json!(parallel));
        }
    }
    if let Some(tier) = &conversation.tier {
        body.insert("service_tier".to_owned(), json!(tier_word(tier)));
    }
    if let Some(user) = &conversation.end_user {
        body.insert("safety_identifier".to_owned(), json!(user));
    }
    if let Some(key) = crossing.cache_key(&conversation) {
        body.insert("prompt_cache_key".to_owned(), json!(key));
    }
    if conversation.origin == Dialect::OpenaiChat {
        body.extend(conversation.rest.get("metadata").map(|own| ("metadata".to_owned(), own.clone())));
    }
    // The caller sends its history itself, so the provider keeps nothing, and gives reasoning along in its sealed form.
    // Models without reasoning refuse to be asked for it.
    body.insert("store".to_owned(), json!(false));
    if crossing.facts.thinking != Sent::Nothing {
        body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
    }
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    Ok(Value::Object(body))
}

fn output_limit(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let Some(asked) = conversation.max_output else { return };
    if asked < LEAST_OUTPUT {
        crossing.warnings.changed("max_tokens", "fewer tokens than the protocol takes; its least was sent");
    }
    let most = crossing.output_limit(asked).max(LEAST_OUTPUT);
    body.insert("max_output_tokens".to_owned(), json!(most));
}

fn sampling(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    if crossing.facts.sampling.is_yes() {
        numbers(conversation, body);
    } else {
        for (name, is_there) in [
            ("temperature", conversation.sampling.temperature.is_some()),
            ("top_p", conversation.sampling.top_p.is_some()),
        ] {
            if is_there {
                crossing.warnings.dropped(name, "the model takes only its own value");
            }
        }
    }
    let sampling = &conversation.sampling;
    crossing.lose_likelihoods(sampling);
    for (name, is_there) in [
        ("top_k", sampling.top_k.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("stop", !sampling.stop.is_empty()),
    ] {
        if is_there {
            crossing.warnings.dropped(name, "the provider that serves this model has no such field");
        }
    }
}

fn reasoning(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let Some(reasoning) = &conversation.reasoning else { return };
    if crossing.facts.thinking == Sent::Nothing {
        if asks_to_think(reasoning) {
            crossing.warnings.dropped("thinking", "the model does not think apart from answering");
        }
        return;
    }
    let mut value = Rest::new();
    if let Some(effort) = wanted_effort(reasoning, crossing) {
        value.insert("effort".to_owned(), json!(effort.as_str()));
    }
    let summary = match reasoning.summary {
        Some(Summary::Auto) => Some("auto"),
        Some(Summary::Concise) => Some("concise"),
        Some(Summary::Detailed) => Some("detailed"),
        Some(Summary::Omitted) | None => None,
    };
    if let Some(summary) = summary {
        value.insert("summary".to_owned(), json!(summary));
    }
    if !value.is_empty() {
        body.insert("reasoning".to_owned(), Value::Object(value));
    }
}

/// The form and the length of the answer.
fn text(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Option<Rest> {
    let mut text = Rest::new();
    if let Some(format) = &conversation.format {
        let strict = format_held(conversation, crossing);
        text.extend(format_value(format, strict).map(|format| ("format".to_owned(), format)));
    }
    text.extend(conversation.verbosity.as_ref().map(|verbosity| ("verbosity".to_owned(), json!(verbosity))));
    (!text.is_empty()).then_some(text)
}

fn format_value(format: &OutputFormat, strict: bool) -> Option<Value> {
    match format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(json!({"type": "json_object"})),
        OutputFormat::JsonSchema { name, description, schema, .. } => {
            let mut value = json!({
                "type": "json_schema", "name": name.as_deref().unwrap_or("output"), "schema": schema,
                "strict": strict,
            });
            if let Some(description) = description {
                value["description"] = json!(description);
            }
            Some(value)
        }
    }
}

fn choice_value(conversation: &Conversation, crossing: &Crossing<'_>) -> Option<Value> {
    let kind_of = |tool: &Tool| match tool.kind {
        ToolKind::Hosted(Hosted::WebSearch(_)) => Some("web_search"),
        ToolKind::Hosted(Hosted::CodeExecution) => Some("code_interpreter"),
        _ => None,
    };
    let tools = conversation.tools.iter();
    let hosted: HashMap<&str, &str> =
        tools.filter_map(|tool| Some((tool.name.as_str(), kind_of(tool)?))).collect();
    let named = |name: &str| {
        if let Some(kind) = hosted.get(name) {
            return json!({"type": kind});
        }
        let given = crossing.asked.names.chosen(name);
        let kind = if crossing.asked.echo_custom.contains(&given) { "custom" } else { "function" };
        json!({"type": kind, "name": given})
    };
    Some(match conversation.tool_choice.as_ref()? {
        ToolChoice::None => json!("none"),
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool { name, .. } => named(name),
        ToolChoice::Allowed(AllowedTools { is_required, names }) => {
            let mode = if *is_required { "required" } else { "auto" };
            let tools: Vec<Value> = crossing.left(names).map(named).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
        ToolChoice::Other => return None,
    })
}

/// The tools of a request, whose descriptions and schemas are taken out of it.
fn tools(conversation: &mut Conversation, crossing: &mut Crossing<'_>) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::new();
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        match &mut tool.kind {
            ToolKind::Function { schema, strict } => {
                // Absent means strict here where the schema allows it, and not strict everywhere else.
                let (schema, strict) = (parameters(schema.take()), *strict);
                let strict = held_strictly(strict, &schema, || format!("tools[{place}].strict"), crossing);
                tools.push(function(tool, schema, strict.unwrap_or_default(), crossing)?);
            }
            ToolKind::Custom { format } => {
                let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
                crossing.asked.echo_custom.insert(name.clone());
                let mut value = json!({"type": "custom", "name": name});
                if let Some(description) = &tool.description {
                    value["description"] = json!(description);
                }
                if let Some(format) = format {
                    value["format"] = flat_grammar(format);
                }
                tools.push(value);
            }
            ToolKind::Hosted(Hosted::WebSearch(search)) => {
                let search = std::mem::take(search);
                lose_limits(tool, place, crossing);
                let mut value = json!({"type": "web_search"});
                if !search.allowed_domains.is_empty() {
                    value["filters"] = json!({"allowed_domains": search.allowed_domains});
                }
                if let Some(location) = search.location {
                    value["user_location"] = Value::Object(location);
                }
                tools.push(value);
            }
            ToolKind::Hosted(Hosted::CodeExecution) => {
                tools.push(json!({"type": "code_interpreter", "container": {"type": "auto"}}));
            }
            ToolKind::Hosted(hosted) => match client_schema(hosted) {
                Some(schema) => tools.push(function(tool, schema, false, crossing)?),
                None => lose_hosted(tool, place, crossing)?,
            },
        }
    }
    Ok(tools)
}

fn function(
    tool: &mut Tool,
    schema: Value,
    strict: bool,
    crossing: &mut Crossing<'_>,
) -> Result<Value, Failure> {
    let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
    let mut value = json!({"type": "function", "name": name});
    if let Some(description) = described(tool) {
        value["description"] = Value::String(description);
    }
    value["parameters"] = schema;
    value["strict"] = json!(strict);
    Ok(value)
}
