//! Reads a Messages request.

use lunaroute_core::{Operation, RequestReading, Role};

use crate::json::Json;
use crate::reading::Conversation;

/// How Claude Code's attribution block begins. It changes from request to request, so it is no mark of a session.
const BILLING: &str = "x-anthropic-billing-header:";

pub(super) fn read(operation: Operation, body: Json<'_>) -> RequestReading {
    let mut conversation = Conversation::new(body);
    if matches!(operation, Operation::Messages | Operation::CountTokens) {
        let [system, messages] = body.fields(["system", "messages"]);
        if let Some(system) = system {
            read_system(&mut conversation, system);
        }
        for message in messages.into_iter().flat_map(Json::elements) {
            read_message(&mut conversation, message);
        }
    }
    conversation.finish()
}

/// Each block is a message of its own: the large ones are the same in every turn and are recorded once.
fn read_system<'a>(conversation: &mut Conversation<'a>, system: Json<'a>) {
    if system.is_string() {
        conversation.message(Role::System, system, Some(system));
    }
    for block in system.elements() {
        let text = block.field("text");
        let billing = text.and_then(Json::text).is_some_and(|text| text.starts_with(BILLING));
        conversation.message(Role::System, block, text.filter(|_| !billing));
    }
}

fn read_message<'a>(conversation: &mut Conversation<'a>, message: Json<'a>) {
    let [role, content] = message.fields(["role", "content"]);
    let results = || {
        content.into_iter().flat_map(Json::elements).filter_map(|block| {
            let [kind, id, content, is_error] = block.fields(["type", "tool_use_id", "content", "is_error"]);
            (kind?.text()? == "tool_result").then(|| (id, is_error, content.unwrap_or(block)))
        })
    };
    let role = match role.and_then(Json::text).as_deref() {
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        // Results travel as the user's words; a turn of nothing else is the tools'.
        _ => match results().count() {
            0 => Role::User,
            count if content.is_some_and(|content| content.elements().count() == count) => Role::Tool,
            _ => Role::User,
        },
    };
    conversation.message(role, message, content);
    if matches!(role, Role::User | Role::Tool) {
        for (id, is_error, result) in results() {
            conversation.tool_result(id, Some(is_error.and_then(Json::truth).unwrap_or_default()), result);
        }
    }
}
