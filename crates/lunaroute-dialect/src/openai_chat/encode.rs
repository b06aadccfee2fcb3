//! Encodes a Chat Completions request.

use lunaroute_core::conversation::{
    AllowedTools, Conversation, Effort, OutputFormat, Reasoning, Rest, Sent, Tool, ToolChoice, ToolKind,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::{completions, turns};
use crate::cross::{
    Crossing, asks_to_think, client_schema, described, flattened, format_held, goes_on_from_nothing,
    held_strictly, leave_behind, lose_hosted, merge, object_of, one_answer, parameters, refuse_lost_tools,
    settled, wanted_effort,
};
use crate::openai::{nested_grammar, tier_word};

/// Most stop sequences that the protocol takes.
const STOPS: usize = 4;

pub(super) fn encode(conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if conversation.origin == Dialect::OpenaiChat {
        Ok(same(&conversation, crossing.model))
    } else {
        foreign(conversation, crossing)
    }
}

/// A request that was decoded from this dialect, as it was but for the model's name.
fn same(conversation: &Conversation, model: &str) -> Value {
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(model));
    match completions::own_prompt(conversation) {
        Some(prompt) => body.insert("prompt".to_owned(), prompt),
        None => {
            body.insert("messages".to_owned(), conversation.turns.iter().map(turns::own_message).collect())
        }
    };
    // What stands in `functions` and `web_search_options` is in the rest, and has no type.
    let own = conversation.tools.iter().filter(|tool| tool.rest.contains_key("type"));
    let tools: Vec<Value> = own.map(own_tool).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    if let Some(most) = conversation.max_output
        && !conversation.rest.contains_key("max_tokens")
    {
        body.insert("max_completion_tokens".to_owned(), json!(most));
    }
    numbers(conversation, &mut body);
    if let Some(effort) = conversation.reasoning.and_then(|reasoning| reasoning.effort) {
        body.insert("reasoning_effort".to_owned(), json!(effort.as_str()));
    }
    if let Some(parallel) = conversation.parallel_calls {
        body.insert("parallel_tool_calls".to_owned(), json!(parallel));
    }
    if let Some(verbosity) = &conversation.verbosity {
        body.insert("verbosity".to_owned(), json!(verbosity));
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
    for (name, value) in [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("top_k", &sampling.top_k),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
    ] {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::Number(value.clone()));
        }
    }
    if let Some(candidates) = sampling.candidates {
        body.insert("n".to_owned(), json!(candidates));
    }
}

fn own_tool(tool: &Tool) -> Value {
    let mut inner = Rest::new();
    if !tool.name.is_empty() {
        inner.insert("name".to_owned(), json!(tool.name));
    }
    if let Some(description) = &tool.description {
        inner.insert("description".to_owned(), json!(description));
    }
    let kind = match &tool.kind {
        ToolKind::Function { schema, strict } => {
            if let Some(schema) = schema {
                inner.insert("parameters".to_owned(), schema.clone());
            }
            if let Some(strict) = strict {
                inner.insert("strict".to_owned(), json!(strict));
            }
            "function"
        }
        ToolKind::Custom { format } => {
            if let Some(format) = format {
                inner.insert("format".to_owned(), format.clone());
            }
            "custom"
        }
        ToolKind::Hosted(_) => {
            merge(&mut inner, &tool.rest);
            return Value::Object(inner);
        }
    };
    let mut value =
        if tool.is_flat { inner } else { Rest::from_iter([(kind.to_owned(), Value::Object(inner))]) };
    merge(&mut value, &tool.rest);
    Value::Object(value)
}

/// A request of another dialect.
fn foreign(mut conversation: Conversation, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    leave_behind(&conversation, crossing)?;
    one_answer(&conversation)?;
    let tools = tools(&mut conversation, crossing)?;
    refuse_lost_tools(&conversation, !tools.is_empty(), crossing)?;
    let seed = crossing.asked.seed.clone();
    let settled = settled(&mut conversation, &seed, &mut crossing.warnings);
    let messages = turns::messages(settled, crossing)?;
    let is_prefilled = messages.last().is_some_and(|message| message["role"] == "assistant");
    let mut body = Rest::new();
    body.insert("model".to_owned(), json!(crossing.model));
    body.insert("messages".to_owned(), Value::Array(messages));
    if is_prefilled {
        prefill(crossing, &mut body)?;
    }
    output_limit(&conversation, crossing, &mut body);
    foreign_sampling(&conversation, crossing, &mut body);
    effort(conversation.reasoning.as_ref(), !tools.is_empty(), crossing, &mut body);
    if let Some(format) = &conversation.format {
        let strict = format_held(&conversation, crossing);
        body.extend(format_member(format, strict));
    }
    if let Some(verbosity) = &conversation.verbosity {
        body.insert("verbosity".to_owned(), json!(verbosity));
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
    // Turns of one conversation find each other's cache; hosts of the same dialect may refuse a field they do not know.
    let is_vendor = !crossing.profile.legacy_max_tokens;
    let key = if is_vendor { crossing.cache_key(&conversation) } else { conversation.cache_key.clone() };
    if let Some(key) = key {
        body.insert("prompt_cache_key".to_owned(), json!(key));
    }
    if conversation.stream {
        body.insert("stream".to_owned(), json!(true));
        if !crossing.profile.no_stream_options {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
    }
    Ok(Value::Object(body))
}

/// A last turn of the assistant: only some hosts go on from one.
fn prefill(crossing: &Crossing<'_>, body: &mut Rest) -> Result<(), Failure> {
    if !crossing.profile.continues_final_message {
        return Err(goes_on_from_nothing());
    }
    body.insert("continue_final_message".to_owned(), json!(true));
    body.insert("add_generation_prompt".to_owned(), json!(false));
    Ok(())
}

fn output_limit(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let Some(asked) = conversation.max_output else { return };
    let name = if crossing.profile.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
    body.insert(name.to_owned(), json!(crossing.output_limit(asked)));
}

fn foreign_sampling(conversation: &Conversation, crossing: &mut Crossing<'_>, body: &mut Rest) {
    numbers(conversation, body);
    if !crossing.facts.sampling.is_yes() {
        for name in ["temperature", "top_p"] {
            if body.shift_remove(name).is_some() {
                crossing.warnings.dropped(name, "the model takes only its own value");
            }
        }
    }
    if !crossing.profile.legacy_max_tokens && body.shift_remove("top_k").is_some() {
        crossing.warnings.dropped("top_k", "the provider that serves this model has no such field");
    }
    let sampling = &conversation.sampling;
    crossing.lose_likelihoods(sampling);
    if sampling.stop.is_empty() {
        return;
    }
    if !crossing.facts.stop.is_yes() {
        crossing.warnings.dropped("stop_sequences", "the model takes none");
        return;
    }
    if sampling.stop.len() > STOPS {
        crossing.warnings.dropped("stop_sequences", "only the first four were sent");
    }
    let stop: Vec<&String> = sampling.stop.iter().take(STOPS).collect();
    body.insert("stop".to_owned(), json!(stop));
}

fn effort(reasoning: Option<&Reasoning>, has_tools: bool, crossing: &mut Crossing<'_>, body: &mut Rest) {
    let Some(reasoning) = reasoning else { return };
    if crossing.facts.thinking == Sent::Nothing {
        if asks_to_think(reasoning) {
            crossing.warnings.dropped("thinking", "the model does not think apart from answering");
        }
        return;
    }
    let Some(effort) = wanted_effort(reasoning, crossing) else { return };
    let refused = has_tools && effort != Effort::None && !crossing.facts.chat_tools_with_effort.is_yes();
    if refused {
        crossing.warnings.changed("thinking", "the model takes tools here only without reasoning");
    }
    let effort = if refused { Effort::None } else { effort };
    body.insert("reasoning_effort".to_owned(), json!(effort.as_str()));
}

fn format_member(format: &OutputFormat, strict: bool) -> Rest {
    let value = match format {
        OutputFormat::Text => return Rest::new(),
        OutputFormat::JsonObject => json!({"type": "json_object"}),
        OutputFormat::JsonSchema { name, description, schema, .. } => {
            let mut held = json!({"name": name.as_deref().unwrap_or("output"), "schema": schema});
            if let Some(description) = description {
                held["description"] = json!(description);
            }
            held["strict"] = json!(strict);
            json!({"type": "json_schema", "json_schema": held})
        }
    };
    Rest::from_iter([("response_format".to_owned(), value)])
}

fn choice_value(choice: &ToolChoice, crossing: &Crossing<'_>) -> Option<Value> {
    let named = |name: &str| {
        let given = crossing.asked.names.chosen(name);
        let is_custom =
            !crossing.asked.flattened.contains(&given) && crossing.asked.echo_custom.contains(&given);
        if is_custom {
            json!({"type": "custom", "custom": {"name": given}})
        } else {
            json!({"type": "function", "function": {"name": given}})
        }
    };
    Some(match choice {
        ToolChoice::None => json!("none"),
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool { name, .. } => named(name),
        ToolChoice::Allowed(AllowedTools { is_required, names }) => {
            let mode = if *is_required { "required" } else { "auto" };
            let tools: Vec<Value> = crossing.left(names).map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
        ToolChoice::Other => return None,
    })
}

/// The tools of a request, whose descriptions and schemas are taken out of it.
fn tools(conversation: &mut Conversation, crossing: &mut Crossing<'_>) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::with_capacity(conversation.tools.len());
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        let (schema, strict) = match &mut tool.kind {
            ToolKind::Function { schema, strict } => (schema.take(), *strict),
            ToolKind::Custom { format } => {
                let format = format.take();
                tools.push(custom_tool(tool, format.as_ref(), crossing)?);
                continue;
            }
            ToolKind::Hosted(hosted) => match client_schema(hosted) {
                Some(schema) => (Some(schema), None),
                None => {
                    lose_hosted(tool, place, crossing)?;
                    continue;
                }
            },
        };
        let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
        let mut function = object_of([("name", Value::String(name))]);
        if let Some(description) = described(tool) {
            function["description"] = Value::String(description);
        }
        let schema = parameters(schema);
        let strict = held_strictly(strict, &schema, || format!("tools[{place}].strict"), crossing);
        function["parameters"] = schema;
        if let Some(strict) = strict {
            function["strict"] = json!(strict);
        }
        tools.push(object_of([("type", json!("function")), ("function", function)]));
    }
    Ok(tools)
}

fn custom_tool(tool: &Tool, format: Option<&Value>, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
    if crossing.profile.no_custom_tools {
        crossing.asked.flattened.insert(name.clone());
        let (description, parameters) = flattened(tool, format);
        let function = json!({"name": name, "description": description, "parameters": parameters});
        return Ok(json!({"type": "function", "function": function}));
    }
    crossing.asked.echo_custom.insert(name.clone());
    let mut custom = json!({"name": name, "description": tool.description.clone().unwrap_or_default()});
    if let Some(format) = format {
        custom["format"] = nested_grammar(format);
    }
    Ok(json!({"type": "custom", "custom": custom}))
}
