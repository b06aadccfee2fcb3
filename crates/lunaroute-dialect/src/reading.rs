//! What every dialect's request reader fills in.

use lunaroute_core::{MessageSpan, RequestReading, Role, ToolResultSpan};

use crate::json::Json;

/// How much of the first texts is kept, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// How much of the last user text is kept, in characters.
const PREVIEW_LIMIT: usize = 1000;

/// How many messages, and how many tool results, are told apart: Anthropic's own limit for a request. The body is
/// recorded whole in any case.
const MESSAGE_LIMIT: usize = 100_000;

/// The reading of one request body as it is made.
pub(crate) struct Conversation<'a> {
    reading: RequestReading,
    last_user: Option<Json<'a>>,
}

impl<'a> Conversation<'a> {
    /// Begins with what all dialects have in the same place: the model and the stream flag.
    pub(crate) fn new(body: Json<'a>) -> Self {
        let [model, stream] = body.fields(["model", "stream"]);
        let reading = RequestReading {
            model: model.and_then(Json::text).map(std::borrow::Cow::into_owned),
            stream: stream.and_then(Json::truth).unwrap_or_default(),
            ..RequestReading::default()
        };
        Self { reading, last_user: None }
    }

    /// A message: the whole of it, and the part that holds its text when the text matters.
    pub(crate) fn message(&mut self, role: Role, whole: Json<'a>, content: Option<Json<'a>>) {
        if self.reading.messages.len() >= MESSAGE_LIMIT {
            self.reading.problem =
                Some(format!("more than {MESSAGE_LIMIT} messages; the rest is not told apart"));
            return;
        }
        self.reading.messages.push(MessageSpan { role, range: whole.range() });
        let Some(content) = content else { return };
        match role {
            Role::System if self.reading.system_text.is_none() => self.reading.system_text = text(content),
            Role::User if has_text(content) => {
                if self.reading.first_user_text.is_none() {
                    self.reading.first_user_text = text(content);
                }
                self.last_user = Some(content);
            }
            _ => {}
        }
    }

    /// A tool's result inside a message.
    pub(crate) fn tool_result(
        &mut self,
        call_id: Option<Json<'_>>,
        is_error: Option<bool>,
        result: Json<'_>,
    ) {
        if self.reading.tool_results.len() < MESSAGE_LIMIT {
            let call_id = call_id.and_then(Json::text).unwrap_or_default().into_owned();
            self.reading.tool_results.push(ToolResultSpan { call_id, is_error, range: result.range() });
        }
    }

    pub(crate) fn finish(mut self) -> RequestReading {
        self.reading.preview = self.last_user.and_then(text).map(|mut text| {
            if let Some((end, _)) = text.char_indices().nth(PREVIEW_LIMIT) {
                text.truncate(end);
            }
            text
        });
        self.reading
    }
}

/// The texts of a message's content: a string, or the `text` members of an array's parts, on lines of their own.
fn text(content: Json<'_>) -> Option<String> {
    let mut joined = String::new();
    for part in texts(content) {
        let room = TEXT_LIMIT.saturating_sub(joined.len() + 1);
        if room == 0 {
            break;
        }
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(&part[..part.floor_char_boundary(room)]);
    }
    (!joined.is_empty()).then_some(joined)
}

fn has_text(content: Json<'_>) -> bool {
    texts(content).next().is_some()
}

fn texts(content: Json<'_>) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    let whole = content.text();
    let parts = content.elements().filter_map(|part| part.text_of("text").or_else(|| part.text()));
    whole.into_iter().chain(parts).filter(|text| !text.is_empty())
}
