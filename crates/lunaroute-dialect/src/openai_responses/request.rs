//! Reads a Responses request.

use lunaroute_core::Role;

use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;

pub(super) fn read<'a>(outline: &Outline<'a>, conversation: &mut MessageReading<'a>) {
    if let Some(instructions) = outline.instructions {
        conversation.message(Role::System, instructions, Some(instructions));
    }
    match outline.input {
        Some(input) if input.is_string() => conversation.message(Role::User, input, Some(input)),
        Some(input) => conversation.each(input, ["type", "role", "content", "call_id", "output"], read_item),
        None => {}
    }
}

fn read_item<'a>(
    conversation: &mut MessageReading<'a>,
    item: Json<'a>,
    [kind, role, content, call_id, output]: [Option<Json<'a>>; 5],
) {
    let kind = kind.and_then(Json::text).unwrap_or_default();
    // A message may leave its type out; everything else has one.
    let role = match (role.and_then(Json::text).as_deref(), kind.as_ref()) {
        (Some("system" | "developer"), _) => Role::System,
        (Some("assistant"), _) => Role::Assistant,
        (Some(_), _) | (None, "mcp_approval_response") => Role::User,
        (None, kind) if kind.ends_with("_output") => Role::Tool,
        // Calls, reasoning, references to earlier answers and kinds still unknown: all of them made by the model.
        (None, _) => Role::Assistant,
    };
    conversation.message(role, item, content);
    if role == Role::Tool && call_id.is_some() {
        conversation.tool_result(call_id, None, output.unwrap_or(item));
    }
}
