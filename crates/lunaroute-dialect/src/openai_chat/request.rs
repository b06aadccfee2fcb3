//! Reads a Chat Completions request.

use lunaroute_core::{Operation, RequestReading, Role};

use crate::json::Json;
use crate::openai_responses;
use crate::reading::Conversation;

pub(super) fn read(operation: Operation, body: Json<'_>) -> RequestReading {
    let [messages, input] = body.fields(["messages", "input"]);
    let mut conversation = Conversation::new(body);
    match (operation, messages, input) {
        (Operation::Chat, Some(messages), _) => {
            for message in messages.elements() {
                read_message(&mut conversation, message);
            }
        }
        // Cursor posts bodies of Responses to the chat path.
        (Operation::Chat, None, Some(_)) => return openai_responses::request::read(body),
        (Operation::Embeddings, _, Some(input)) => conversation.message(Role::User, input, Some(input)),
        _ => {}
    }
    conversation.finish()
}

fn read_message<'a>(conversation: &mut Conversation<'a>, message: Json<'a>) {
    let [role, content, call_id] = message.fields(["role", "content", "tool_call_id"]);
    let role = match role.and_then(Json::text).as_deref() {
        Some("system" | "developer") => Role::System,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => Role::User,
    };
    conversation.message(role, message, content);
    if role == Role::Tool {
        conversation.tool_result(call_id, None, content.unwrap_or(message));
    }
}
