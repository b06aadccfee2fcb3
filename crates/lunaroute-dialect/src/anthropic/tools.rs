//! Tools of another dialect in this one's form.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{Conversation, Hosted, Search, Tool, ToolKind};
use serde_json::{Value, json};

use super::schema::{Room, hold, measured};
use crate::cross::{Crossing, allowed_names, flattened, lose_hosted, lose_limits, parameters};

/// What the provider's own search of the web is called.
const WEB_SEARCH: &str = "web_search";

/// The tools of a request, whose descriptions and schemas are taken out of it. Those that the choice leaves out are not
/// sent: this dialect has no list of allowed ones.
pub(super) fn tools(
    conversation: &mut Conversation,
    mut room: Room,
    crossing: &mut Crossing<'_>,
) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::new();
    let allowed = allowed_names(conversation.tool_choice.as_ref());
    let is_search = |tool: &Tool| matches!(tool.kind, ToolKind::Hosted(Hosted::WebSearch(_)));
    // The search has a name of its own here, which a function of the caller may have, too.
    let searches = conversation.tools.iter().any(is_search);
    crossing.asked.names.reserved = searches.then_some(WEB_SEARCH);
    let mut has_search = false;
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
            ToolKind::Hosted(Hosted::WebSearch(_)) if has_search => {
                crossing.warnings.dropped(format!("tools[{place}]"), "a second search of the web");
                continue;
            }
            ToolKind::Hosted(Hosted::WebSearch(search)) => {
                has_search = true;
                let search = std::mem::take(search);
                lose_limits(tool, place, crossing);
                tools.push(search_tool(search));
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

fn search_tool(search: Search) -> Value {
    let mut value = json!({"type": "web_search_20250305", "name": WEB_SEARCH});
    if !search.allowed_domains.is_empty() {
        value["allowed_domains"] = json!(search.allowed_domains);
    }
    if let Some(location) = search.location {
        value["user_location"] = Value::Object(location);
    }
    value
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
