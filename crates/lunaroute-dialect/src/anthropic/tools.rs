//! Tools of another dialect in this one's form.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{Conversation, Hosted, Tool, ToolKind};
use serde_json::{Value, json};

use super::schema::{Room, hold, measured};
use crate::cross::{Crossing, allowed_names, flattened, lose_hosted, lose_limits, parameters};

/// The tools of a request, whose descriptions and schemas are taken out of it. Those that the choice leaves out are not
/// sent: this dialect has no list of allowed ones.
pub(super) fn tools(
    conversation: &mut Conversation,
    mut room: Room,
    crossing: &mut Crossing<'_>,
) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::new();
    let allowed = allowed_names(conversation.tool_choice.as_ref());
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(tool.name.as_str())) {
            continue;
        }
        let (description, schema, strict) = match &mut tool.kind {
            ToolKind::Function { schema, strict } => {
                let (mut schema, strict) = (parameters(schema.take()), *strict == Some(true));
                let strict = strict && is_held(&mut schema, place, &mut room, crossing);
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

/// Whether the provider can hold a function's arguments to its schema, which is brought into the form for that.
fn is_held(schema: &mut Value, place: usize, room: &mut Room, crossing: &mut Crossing<'_>) -> bool {
    let path = format!("tools[{place}].strict");
    let Some(size) = measured(schema) else {
        crossing.warnings.changed(path, "the provider cannot hold arguments to such a schema");
        return false;
    };
    if !room.take_tool(size) {
        crossing.warnings.changed(path, "the provider holds no more to their schemas in one request");
        return false;
    }
    if hold(schema) {
        crossing.warnings.changed(path, "limits that the provider does not enforce became words");
    }
    true
}
