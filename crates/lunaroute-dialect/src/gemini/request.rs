//! Reads a request of `generateContent` and its neighbours.

use lunaroute_core::{Operation, Role};

use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;

pub(super) fn read<'a>(operation: Operation, outline: &Outline<'a>, conversation: &mut MessageReading<'a>) {
    match operation {
        Operation::GenerateContent | Operation::CountTokens => {
            if let Some(system) = outline.system_instruction {
                // A plain string is no Content, but some hosts take one.
                let said = system.field("parts").or(system.is_string().then_some(system));
                conversation.message(Role::System, system, said);
            }
            if let Some(contents) = outline.contents {
                conversation.each(contents, ["role", "parts"], read_content);
            }
        }
        Operation::Embeddings => {
            let alone = outline.content.into_iter();
            let requests = outline.requests.into_iter().flat_map(|requests| requests.objects(["content"]));
            for content in alone.chain(requests.filter_map(|(_, [content])| content)) {
                conversation.message(Role::User, content, content.field("parts"));
            }
        }
        _ => {}
    }
}

fn read_content<'a>(
    conversation: &mut MessageReading<'a>,
    content: Json<'a>,
    [role, parts]: [Option<Json<'a>>; 2],
) {
    if role.is_some_and(|role| role.says("model")) {
        conversation.message(Role::Assistant, content, parts);
        return;
    }
    // Results travel as the user's words; a turn of nothing else is the tools'.
    let (mut results, mut count) = (Vec::new(), 0);
    for (_, [camel, snake]) in
        parts.into_iter().flat_map(|parts| parts.objects(["functionResponse", "function_response"]))
    {
        count += 1;
        results.extend(camel.or(snake));
    }
    let is_tools = !results.is_empty() && results.len() == count;
    conversation.message(if is_tools { Role::Tool } else { Role::User }, content, parts);
    for result in results {
        let [id, response] = result.fields(["id", "response"]);
        // Its own convention: an `error` key holds what went wrong.
        let is_error = response.is_some_and(|response| response.field("error").is_some());
        conversation.tool_result(id, Some(is_error), response.unwrap_or(result));
    }
}
