//! Tools of another dialect in this one's form.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{Conversation, Hosted, Tool, ToolKind};
use serde_json::{Value, json};

use super::schema::held;
use crate::cross::{Crossing, allowed_names, flattened, lose_hosted, lose_limits, parameters};

/// Most tools of one request whose arguments are held to their schema.
const STRICT_TOOLS: usize = 20;

/// The tools of a request, whose descriptions and schemas are taken out of it. Those that the choice leaves out are not
/// sent: this dialect has no list of allowed ones.
pub(super) fn tools(
    conversation: &mut Conversation,
    crossing: &mut Crossing<'_>,
) -> Result<Vec<Value>, Failure> {
    let (mut tools, mut strict_tools) = (Vec::new(), 0);
    let allowed = allowed_names(conversation.tool_choice.as_ref());
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(tool.name.as_str())) {
            continue;
        }
        let (description, schema, strict) = match &mut tool.kind {
            ToolKind::Function { schema, strict } => {
                let strict = *strict == Some(true) && strict_tools < STRICT_TOOLS;
                let (schema, strict) = function(parameters(schema.take()), strict, place, crossing);
                (tool.description.take().unwrap_or_default(), schema, strict)
            }
            ToolKind::Custom { format } => {
                let format = format.take();
                let (description, schema) = flattened(tool, format.as_ref());
                (description, schema, false)
            }
            ToolKind::Hosted(Hosted::WebSearch(search)) => {
                let search = std::mem::take(search);
                lose_limits(tool, place, crossing);
                let mut value = json!({"type": "web_search_20250305", "name": "web_search"});
                if !search.allowed_domains.is_empty() {
                    value["allowed_domains"] = json!(search.allowed_domains);
                }
                if let Some(location) = search.location {
                    value["user_location"] = Value::Object(location);
                }
                tools.push(value);
                continue;
            }
            ToolKind::Hosted(_) => {
                lose_hosted(tool, place, crossing)?;
                continue;
            }
        };
        strict_tools += usize::from(strict);
        tools.push(told(tool, (description, schema, strict), crossing)?);
    }
    Ok(tools)
}

fn told(
    tool: &Tool,
    (description, schema, strict): (String, Value, bool),
    crossing: &mut Crossing<'_>,
) -> Result<Value, Failure> {
    let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
    let mut value = json!({"name": name});
    if matches!(tool.kind, ToolKind::Custom { .. }) {
        crossing.asked.flattened.insert(name);
    }
    if !description.is_empty() {
        value["description"] = Value::String(description);
    }
    value["input_schema"] = schema;
    if strict {
        value["strict"] = json!(true);
    }
    Ok(value)
}

/// A function's schema, and whether the provider can hold the arguments to it.
fn function(schema: Value, strict: bool, place: usize, crossing: &mut Crossing<'_>) -> (Value, bool) {
    if !strict {
        return (schema, false);
    }
    let path = || format!("tools[{place}].strict");
    match held(&schema) {
        Some((held, changed)) => {
            if changed {
                crossing.warnings.changed(path(), "limits that the provider does not enforce became words");
            }
            (held, true)
        }
        None => {
            crossing.warnings.changed(path(), "the provider cannot hold arguments to such a schema");
            (schema, false)
        }
    }
}
