//! Encodes a Responses request.

use lunaroute_core::conversation::{
    AllowedTools, Conversation, Hosted, OutputFormat, Rest, Sent, Summary, Tier, Tool, ToolChoice, ToolKind,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::{Value, json};

use super::turns;
use crate::cross::{Crossing, leave_behind, merge, settled};
use crate::openai_chat::encode::{client_schema, wanted_effort};

/// The least limit of an answer that the protocol takes, in tokens.
const LEAST_OUTPUT: u64 = 16;

pub(super) fn encode(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if conversation.origin == Dialect::OpenaiResponses {
        Ok(same(conversation))
    } else {
        foreign(conversation, crossing)
    }
}

/// A request that was decoded from this dialect, as it was.
fn same(conversation: &Conversation) -> Value {
    let mut body = Rest::new();
    if !conversation.model.is_empty() {
        body.insert("model".to_owned(), json!(conversation.model));
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
        && conversation.rest.get("user").and_then(Value::as_str) != Some(user)
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

fn tier_word(tier: &Tier) -> &str {
    match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Other(word) => word,
    }
}

/// A request of another dialect.
fn foreign(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    leave_behind(conversation, crossing)?;
    if conversation.sampling.candidates.is_some_and(|candidates| candidates > 1) {
        let what = "'n' cannot be above 1: the provider that serves this model gives one answer only; ask once for each";
        return Err(Failure::client(FailureKind::BadRequest, what));
    }
    let tools = tools(conversation, crossing)?;
    let seed = crossing.asked.seed.clone();
    let settled = settled(conversation, &seed, &mut crossing.warnings);
    let turns::Items { instructions, input } = turns::items(&settled, crossing)?;
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(crossing.model));
    if !instructions.is_empty() {
        body.insert("instructions".to_owned(), json!(instructions));
    }
    body.insert("input".to_owned(), Value::Array(input));
    if let Some(asked) = conversation.max_output {
        let most = crossing.facts.max_output.unwrap_or(asked);
        if asked > most {
            crossing.warnings.changed("max_tokens", "more tokens than the model writes; its limit was sent");
        }
        body.insert("max_output_tokens".to_owned(), json!(asked.min(most).max(LEAST_OUTPUT)));
    }
    let mut include = vec!["reasoning.encrypted_content"];
    sampling(conversation, crossing, &mut include, &mut body);
    reasoning(conversation, crossing, &mut body);
    if let Some(format) = conversation.format.as_ref().and_then(format_value) {
        body.insert("text".to_owned(), json!({"format": format}));
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
        if let Some(choice) =
            conversation.tool_choice.as_ref().and_then(|choice| choice_value(choice, crossing))
        {
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
    let derived = || blake3::hash(seed.as_bytes()).to_hex()[..32].to_owned();
    if let Some(key) = conversation.cache_key.clone().or_else(|| (!seed.is_empty()).then(derived)) {
        body.insert("prompt_cache_key".to_owned(), json!(key));
    }
    // The caller sends its history itself, so the provider keeps nothing, and gives reasoning along in its sealed form.
    body.insert("store".to_owned(), json!(false));
    body.insert("include".to_owned(), json!(include));
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    Ok(Value::Object(body))
}

fn sampling(
    conversation: &Conversation,
    crossing: &mut Crossing<'_>,
    include: &mut Vec<&'static str>,
    body: &mut Rest,
) {
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
    if let Some(alternatives) = sampling.alternatives {
        body.insert("top_logprobs".to_owned(), json!(alternatives));
        include.push("message.output_text.logprobs");
    }
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
        crossing.warnings.dropped("thinking", "the model does not think apart from answering");
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

fn format_value(format: &OutputFormat) -> Option<Value> {
    match format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(json!({"type": "json_object"})),
        OutputFormat::JsonSchema { name, description, schema, strict } => {
            let mut value = json!({
                "type": "json_schema", "name": name.as_deref().unwrap_or("output"), "schema": schema,
                "strict": strict.unwrap_or(true),
            });
            if let Some(description) = description {
                value["description"] = json!(description);
            }
            Some(value)
        }
    }
}

fn choice_value(choice: &ToolChoice, crossing: &Crossing<'_>) -> Option<Value> {
    let named = |name: &str| {
        let given = crossing.asked.names.given(None, name);
        let kind = if crossing.asked.echo_custom.contains(&given) { "custom" } else { "function" };
        json!({"type": kind, "name": given})
    };
    Some(match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool { name, .. } => named(name),
        ToolChoice::Allowed(AllowedTools { is_required, names }) => {
            let mode = if *is_required { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(|name| named(name)).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
        ToolChoice::Other => return None,
    })
}

fn tools(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::new();
    for (place, tool) in conversation.tools.iter().enumerate() {
        match &tool.kind {
            ToolKind::Function { schema, strict } => {
                // Absent means strict here where the schema allows it, and not strict everywhere else.
                tools.push(function(tool, schema.clone(), strict.unwrap_or(false), crossing)?);
            }
            ToolKind::Custom { format } => {
                let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
                crossing.asked.echo_custom.insert(name.clone());
                let mut value = json!({"type": "custom", "name": name});
                if let Some(description) = &tool.description {
                    value["description"] = json!(description);
                }
                if let Some(format) = format {
                    value["format"] = match format.get("grammar") {
                        Some(grammar) => json!({
                            "type": "grammar", "syntax": grammar["syntax"], "definition": grammar["definition"],
                        }),
                        None => format.clone(),
                    };
                }
                tools.push(value);
            }
            ToolKind::Hosted(Hosted::WebSearch) => tools.push(json!({"type": "web_search"})),
            ToolKind::Hosted(Hosted::CodeExecution) => {
                tools.push(json!({"type": "code_interpreter", "container": {"type": "auto"}}));
            }
            ToolKind::Hosted(hosted) => match client_schema(hosted) {
                Some(schema) => tools.push(function(tool, Some(schema), false, crossing)?),
                None => {
                    crossing
                        .warnings
                        .dropped(format!("tools[{place}]"), "a tool that only its own provider runs");
                }
            },
        }
    }
    Ok(tools)
}

fn function(
    tool: &Tool,
    schema: Option<Value>,
    strict: bool,
    crossing: &mut Crossing<'_>,
) -> Result<Value, Failure> {
    let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
    let parameters = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let mut value = json!({"type": "function", "name": name});
    if let Some(description) = &tool.description {
        value["description"] = json!(description);
    }
    value["parameters"] = parameters;
    value["strict"] = json!(strict);
    Ok(value)
}
