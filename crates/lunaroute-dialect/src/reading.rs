//! What every dialect's request reader fills in.

use lunaroute_core::{MessageSpan, RequestReading, Role, ToolResultSpan};

use crate::earlier::Kept;
use crate::json::Json;
use crate::outline::Outline;

/// How much of the first texts is kept, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// How much of the last user text is kept, in characters.
const PREVIEW_LIMIT: usize = 1000;

/// As many bytes as that many characters can have, and one for a line feed.
const PREVIEW_BYTES: usize = 4 * PREVIEW_LIMIT + 1;

/// How many messages, and how many tool results, are told apart: Anthropic's own limit for a request. The body is
/// recorded whole in any case.
pub(crate) const MESSAGE_LIMIT: usize = 100_000;

/// The reading of one request body as it is made.
pub(crate) struct MessageReading<'a> {
    reading: RequestReading,
    last_user: Option<Json<'a>>,
    /// What an earlier body with the same beginning has told already.
    kept: Option<&'a Kept<'a>>,
}

impl<'a> MessageReading<'a> {
    /// Begins with what all dialects have in the same place: the model and the stream flag.
    pub(crate) fn new(outline: &Outline<'a>, kept: Option<&'a Kept<'a>>) -> Self {
        let reading = RequestReading {
            model: outline.model.and_then(Json::text).map(std::borrow::Cow::into_owned),
            stream: outline.stream.and_then(Json::truth).unwrap_or_default(),
            ..RequestReading::default()
        };
        Self { reading, last_user: None, kept }
    }

    /// Begins with all that stands outside of the array of messages.
    pub(crate) const fn resumed(outside: RequestReading, kept: &'a Kept<'a>) -> Self {
        Self { reading: outside, last_user: None, kept: Some(kept) }
    }

    /// Reads the messages of an array: for each, the whole of it and its members of these names are told.
    pub(crate) fn each<const N: usize>(
        &mut self,
        array: Json<'a>,
        names: [&'static str; N],
        mut read: impl FnMut(&mut Self, Json<'a>, [Option<Json<'a>>; N]),
    ) {
        let mut messages = match self.kept.filter(|kept| kept.is_of(array)) {
            Some(kept) => {
                kept.restore(&mut self.reading, &mut self.last_user);
                array.objects_behind(kept.end(), names)
            }
            None => array.objects(names),
        };
        for (whole, members) in messages.by_ref() {
            read(self, whole, members);
        }
        if let Some(kept) = self.kept.filter(|kept| kept.is_of(array)) {
            kept.reached(messages.is_at_end());
        }
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
            Role::System if self.reading.system_text.is_none() => {
                self.reading.system_text = first_text(content);
            }
            Role::User if has_text(content) => {
                if self.reading.first_user_text.is_none() {
                    self.reading.first_user_text = first_text(content);
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
        if let Some(content) = self.last_user {
            self.reading.preview = text(content, PREVIEW_BYTES).map(|mut text| {
                if let Some((end, _)) = text.char_indices().nth(PREVIEW_LIMIT) {
                    text.truncate(end);
                }
                text
            });
        }
        self.reading
    }
}

/// The texts of a message's content, as far as a reading keeps them.
pub(crate) fn first_text(content: Json<'_>) -> Option<String> {
    text(content, TEXT_LIMIT)
}

/// A string, or the `text` members of an array's parts on lines of their own, cut before so many bytes.
fn text(content: Json<'_>, limit: usize) -> Option<String> {
    let mut joined = String::new();
    for part in texts(content) {
        let room = limit.saturating_sub(joined.len() + 1);
        if room == 0 {
            break;
        }
        if !joined.is_empty() {
            joined.push('\n');
        }
        let part = part.text_start(room).unwrap_or_default();
        joined.push_str(&part[..part.floor_char_boundary(room)]);
    }
    (!joined.is_empty()).then_some(joined)
}

/// Whether a content has any text at all.
pub(crate) fn has_text(content: Json<'_>) -> bool {
    texts(content).next().is_some()
}

/// The strings of a content that are not empty.
fn texts(content: Json<'_>) -> impl Iterator<Item = Json<'_>> {
    let parts = content
        .objects(["text"])
        .filter_map(|(part, [text])| text.filter(Json::is_string).or(part.is_string().then_some(part)));
    content.is_string().then_some(content).into_iter().chain(parts).filter(|text| text.bytes().len() > 2)
}
