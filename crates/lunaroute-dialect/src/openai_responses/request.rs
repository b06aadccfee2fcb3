//! Reads a Responses request.

use lunaroute_core::{RequestReading, Role};

use crate::json::Json;
use crate::reading::Conversation;

pub(crate) fn read(body: Json<'_>) -> RequestReading {
    let [instructions, input] = body.fields(["instructions", "input"]);
    let mut conversation = Conversation::new(body);
    if let Some(instructions) = instructions {
        conversation.message(Role::System, instructions, Some(instructions));
    }
    if let Some(input) = input.filter(Json::is_string) {
        conversation.message(Role::User, input, Some(input));
    }
    for item in input.into_iter().flat_map(Json::elements) {
        read_item(&mut conversation, item);
    }
    conversation.finish()
}

fn read_item<'a>(conversation: &mut Conversation<'a>, item: Json<'a>) {
    let [kind, role, content, call_id, output] =
        item.fields(["type", "role", "content", "call_id", "output"]);
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
