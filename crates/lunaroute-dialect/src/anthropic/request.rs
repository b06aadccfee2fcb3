//! Reads a Messages request.

use lunaroute_core::{Operation, Role};

use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;

/// How Claude Code's attribution block begins. It changes from request to request, so it is no mark of a session.
const BILLING: &str = "x-anthropic-billing-header:";

pub(super) fn read<'a>(operation: Operation, outline: &Outline<'a>, conversation: &mut MessageReading<'a>) {
    if !matches!(operation, Operation::Messages | Operation::CountTokens) {
        return;
    }
    if let Some(system) = outline.system {
        read_system(conversation, system);
    }
    if let Some(messages) = outline.messages {
        conversation.each(messages, ["role", "content"], read_message);
    }
}

/// Each block is a message of its own: the large ones are the same in every turn and are recorded once.
fn read_system<'a>(conversation: &mut MessageReading<'a>, system: Json<'a>) {
    if system.is_string() {
        conversation.message(Role::System, system, Some(system));
    }
    for (block, [text]) in system.objects(["text"]) {
        let billing = text.and_then(|text| text.text_start(BILLING.len()));
        let billing = billing.is_some_and(|text| text.starts_with(BILLING));
        conversation.message(Role::System, block, text.filter(|_| !billing));
    }
}

fn read_message<'a>(
    conversation: &mut MessageReading<'a>,
    message: Json<'a>,
    [role, content]: [Option<Json<'a>>; 2],
) {
    let role = match role.and_then(Json::text).as_deref() {
        Some("assistant") => Some(Role::Assistant),
        Some("system") => Some(Role::System),
        _ => None,
    };
    if let Some(role) = role {
        conversation.message(role, message, content);
        return;
    }
    // Results travel as the user's words; a turn of nothing else is the tools'.
    let (mut results, mut blocks) = (Vec::new(), 0);
    for (block, [kind, id, result, is_error]) in content
        .into_iter()
        .flat_map(|content| content.objects(["type", "tool_use_id", "content", "is_error"]))
    {
        blocks += 1;
        if kind.is_some_and(|kind| kind.says("tool_result")) {
            results.push((id, is_error.and_then(Json::truth).unwrap_or_default(), result.unwrap_or(block)));
        }
    }
    let is_tools = !results.is_empty() && results.len() == blocks;
    conversation.message(if is_tools { Role::Tool } else { Role::User }, message, content);
    for (id, is_error, result) in results {
        conversation.tool_result(id, Some(is_error), result);
    }
}
