//! Reads a Chat Completions request, and one of the legacy completions.

use lunaroute_core::{Dialect, Operation, Role};

use crate::dispatch::language;
use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;

pub(super) fn read<'a>(operation: Operation, outline: &Outline<'a>, conversation: &mut MessageReading<'a>) {
    match (operation, outline.messages, outline.input) {
        (Operation::Chat, Some(messages), _) => {
            conversation.each(messages, ["role", "content", "tool_call_id"], read_message);
        }
        // Cursor posts bodies of Responses to the chat path.
        (Operation::Chat, None, Some(_)) => {
            language(Dialect::OpenaiResponses).request(Operation::Responses, outline, conversation);
        }
        (Operation::Completions, _, _) => {
            if let Some(prompt) = outline.prompt {
                conversation.message(Role::User, prompt, Some(prompt));
            }
        }
        (Operation::Embeddings, _, Some(input)) => conversation.message(Role::User, input, Some(input)),
        _ => {}
    }
}

fn read_message<'a>(
    conversation: &mut MessageReading<'a>,
    message: Json<'a>,
    [role, content, call_id]: [Option<Json<'a>>; 3],
) {
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
