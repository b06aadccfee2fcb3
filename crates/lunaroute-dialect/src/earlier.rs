//! What an earlier body has told of this one. An agent's next request repeats its last one and adds messages at the end
//! of their array, so most of a reading is there already.
//!
//! Two shorter ways lead to the same reading. When the bodies differ in nothing but the messages at the end, only those
//! are read. When something else has changed too, the members are walked again, and of the array only the new end.

use std::cell::Cell;

use lunaroute_core::{Earlier, Exchange, MessageSpan, RequestReading, Role, ToolResultSpan};

use crate::dispatch::language;
use crate::json::{Json, Known};
use crate::outline::Outline;
use crate::reading::{MESSAGE_LIMIT, MessageReading, first_text, has_text};

/// Reads a body after an earlier one; `None` when nothing of the earlier reading is certain to hold.
pub(crate) fn read(exchange: &Exchange, body: &[u8], earlier: &Earlier<'_>) -> Option<RequestReading> {
    let kept = Kept::new(body, earlier, language(exchange.dialect).content_name())?;
    kept.read_end(exchange).or_else(|| kept.read_members(exchange))
}

/// The messages of an earlier body that stand in this one, at the same place.
pub(crate) struct Kept<'a> {
    body: &'a [u8],
    earlier: &'a Earlier<'a>,
    known: Known,
    /// Messages that stand outside of the array; they come first in a reading.
    outside: &'a [MessageSpan],
    messages: &'a [MessageSpan],
    /// Messages of the earlier body behind those.
    dropped: &'a [MessageSpan],
    results: &'a [ToolResultSpan],
    /// The member of a message that holds what it says.
    content: &'static str,
    /// The new messages were read to the end of the array.
    whole: Cell<bool>,
}

impl<'a> Kept<'a> {
    fn new(body: &'a [u8], earlier: &'a Earlier<'a>, content: &'static str) -> Option<Self> {
        let reading = earlier.reading;
        let is_bounded = reading.messages.len() < MESSAGE_LIMIT && reading.tool_results.len() < MESSAGE_LIMIT;
        (is_bounded && reading.problem.is_none()).then_some(())?;
        let shared = body.get(..earlier.prefix.min(earlier.body.len()))?;
        // Instructions that stand outside of the array are a system's. From the first other role on all are elements.
        let element = reading.messages.iter().position(|message| message.role != Role::System)?;
        let follows = |place: &usize| joins(earlier.body, &reading.messages, *place);
        let first = (0..element).rev().take_while(follows).last().unwrap_or(element);
        let (outside, inside) = reading.messages.split_at(first);
        let array = earlier.body.get(..inside.first()?.range.start)?.trim_ascii_end();
        let (messages, dropped) =
            inside.split_at(inside.partition_point(|message| message.range.end <= shared.len()));
        let end = messages.last()?.range.end;
        // Only the byte behind it says where a number ends, and that byte may be another one now.
        matches!(shared.get(end.checked_sub(1)?)?, b'}' | b']' | b'"').then_some(())?;
        let results = reading.tool_results.partition_point(|result| result.range.end <= end);
        array.ends_with(b"[").then_some(Self {
            body,
            earlier,
            known: Known { array: array.len() - 1, end },
            outside,
            messages,
            dropped,
            results: &reading.tool_results[..results],
            content,
            whole: Cell::new(false),
        })
    }

    /// Where the last of the messages ends.
    pub(crate) const fn end(&self) -> usize {
        self.known.end
    }

    /// Whether this is the array in which the messages stand.
    pub(crate) const fn is_of(&self, array: Json<'_>) -> bool {
        array.range().start == self.known.array
    }

    /// Is told whether the messages that follow led to the end of the array.
    pub(crate) fn reached(&self, end: bool) {
        self.whole.set(end);
    }

    /// Adds to a reading what is known of the messages. `last_user` becomes the content of the last that has text, unless
    /// the reading's preview is of that already.
    pub(crate) fn restore(&self, reading: &mut RequestReading, last_user: &mut Option<Json<'a>>) {
        let known = self.earlier.reading;
        reading.messages.extend_from_slice(self.messages);
        reading.tool_results.extend_from_slice(self.results);
        if reading.system_text.is_none() {
            // The earlier text was told by one of these, or by none, unless it stood elsewhere.
            reading.system_text = match self.outside.is_empty() && !self.drops(Role::System) {
                true => known.system_text.clone(),
                false => self.contents(Role::System).find_map(first_text),
            };
        }
        if self.drops(Role::User) {
            reading.first_user_text = self.contents(Role::User).find_map(first_text);
            *last_user = self.contents(Role::User).rev().find(|content| has_text(*content));
        } else {
            reading.first_user_text = known.first_user_text.clone();
            reading.preview = known.preview.clone();
        }
    }

    fn drops(&self, role: Role) -> bool {
        self.dropped.iter().any(|message| message.role == role)
    }

    fn contents(&self, role: Role) -> impl DoubleEndedIterator<Item = Json<'a>> {
        let (body, messages, content) = (self.body, self.messages, self.content);
        messages
            .iter()
            .filter(move |message| message.role == role)
            .filter_map(move |message| Json::at(body, &message.range).field(content))
    }

    /// Reads the new messages alone, when the bodies are the same from the end of the array on.
    fn read_end(&self, exchange: &Exchange) -> Option<RequestReading> {
        let Earlier { body: old, reading, suffix, .. } = *self.earlier;
        let old_end = self.dropped.last().map_or(self.known.end, |message| message.range.end);
        let tail = old.get(old_end..)?.trim_ascii_start();
        (tail.starts_with(b"]") && tail.len() <= suffix && !self.drops(Role::System)).then_some(())?;
        let end = self.body.len().checked_sub(tail.len()).filter(|end| *end >= self.known.end)? + 1;
        let outline = self.array_alone(Json::at(self.body, &(self.known.array..end)))?;
        let mut outside = RequestReading {
            model: reading.model.clone(),
            stream: reading.stream,
            messages: Vec::with_capacity(reading.messages.len() + 8),
            system_text: reading.system_text.clone(),
            ..RequestReading::default()
        };
        for MessageSpan { role, range } in self.outside {
            let moved = |at: usize| (at + self.body.len()).checked_sub(old.len());
            let range = match range.start < self.known.array {
                true => range.clone(),
                false => moved(range.start)?..moved(range.end)?,
            };
            outside.messages.push(MessageSpan { role: *role, range });
        }
        let mut conversation = MessageReading::resumed(outside, self);
        language(exchange.dialect).request(exchange.operation, &outline, &mut conversation);
        self.whole.get().then(|| conversation.finish())
    }

    /// The outline of a body that has nothing but the array.
    fn array_alone(&self, array: Json<'a>) -> Option<Outline<'a>> {
        let before = self.body.get(..self.known.array)?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
        // One of these names it is; a longer one that ends so would have given no messages.
        if before.ends_with(b"\"messages\"") {
            Some(Outline { messages: Some(array), ..Outline::default() })
        } else if before.ends_with(b"\"input\"") {
            Some(Outline { input: Some(array), ..Outline::default() })
        } else if before.ends_with(b"\"contents\"") {
            Some(Outline { contents: Some(array), ..Outline::default() })
        } else {
            None
        }
    }

    /// Reads all members again, and of the array what is new.
    fn read_members(&self, exchange: &Exchange) -> Option<RequestReading> {
        let outline = Outline::new(self.body, Some(self.known))?;
        let mut conversation = MessageReading::new(&outline, Some(self));
        language(exchange.dialect).request(exchange.operation, &outline, &mut conversation);
        Some(conversation.finish())
    }
}

/// Whether the message at a place and the one behind it are neighbours in an array.
fn joins(body: &[u8], messages: &[MessageSpan], place: usize) -> bool {
    let between = |pair: &[MessageSpan]| body.get(pair[0].range.end..pair[1].range.start);
    messages.get(place..place + 2).and_then(between).is_some_and(|between| between.trim_ascii() == b",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;
    use lunaroute_core::{Dialect, Interpreter as _, Operation};

    use super::*;
    use crate::Dialects;

    /// Which way leads to the reading of `new` after `old`: that by the new messages alone, that by all members, none.
    #[track_caller]
    fn check(dialect: Dialect, operation: Operation, old: &str, new: &str, expected: [bool; 2]) {
        let exchange = Exchange { dialect, operation, headers: Arc::new(HeaderMap::new()), addressed: None };
        let (reading, full) =
            (Dialects.request(&exchange, old.as_bytes()), Dialects.request(&exchange, new.as_bytes()));
        let prefix = old.bytes().zip(new.bytes()).take_while(|(old, new)| old == new).count();
        let most = old.len().min(new.len()) - prefix;
        let ends = old.bytes().rev().zip(new.bytes().rev()).take(most);
        let suffix = ends.take_while(|(old, new)| old == new).count();
        let earlier = Earlier { body: old.as_bytes(), reading: &reading, prefix, suffix };
        let kept = Kept::new(new.as_bytes(), &earlier, language(dialect).content_name());
        let ways = [
            kept.as_ref().and_then(|kept| kept.read_end(&exchange)),
            kept.as_ref().and_then(|kept| kept.read_members(&exchange)),
        ];
        assert_eq!(ways.each_ref().map(Option::is_some), expected, "{old} then {new}");
        for way in ways.into_iter().flatten() {
            assert_eq!(way, full, "{old} then {new}");
        }
    }

    #[test]
    fn an_agents_next_turn_is_read_by_its_new_messages() {
        let (chat, messages) =
            ((Dialect::OpenaiChat, Operation::Chat), (Dialect::Anthropic, Operation::Messages));
        let responses = (Dialect::OpenaiResponses, Operation::Responses);
        let gemini = (Dialect::Gemini, Operation::GenerateContent);
        let rows = [
            (
                gemini,
                r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"u"}]}@],"tools":[]}"#,
                "",
                r#",{"role":"model","parts":[{"text":"a"}]}"#,
                [true, true],
            ),
            (
                chat,
                r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}@],"stream":true}"#,
                "",
                r#",{"role":"assistant","content":"a"},{"role":"tool","tool_call_id":"t","content":"r"}"#,
                [true, true],
            ),
            (
                chat,
                r#"{"messages":[{"role":"user","content":"u"},{"role":"user","content":"v@"}]}"#,
                "",
                "w",
                [true, true],
            ),
            (
                chat,
                r#"{"input":[{"role":"user","content":"u"} , {"type":"x"} @ ] }"#,
                "",
                r#", {"type":"a_output","call_id":"c"}"#,
                [true, true],
            ),
            (
                responses,
                r#"{"instructions":"i","input":[{"role":"user","content":"u"}@],"tools":[]}"#,
                "",
                r#",{"role":"user"}"#,
                [true, true],
            ),
            (
                messages,
                r#"{"messages":[{"role":"user","content":"u"}@],"system":[{"type":"text","text":"s"}],"stream":true}"#,
                "",
                r#",{"role":"assistant","content":[{"type":"text","text":"a"}]}"#,
                [true, true],
            ),
            (
                messages,
                r#"{"system":"s","messages":[{"role":"user","content":"u"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"@}]}]}"#,
                r#","cache_control":{"type":"ephemeral"}"#,
                r#"}]},{"role":"user","content":[{"type":"text","text":"x"#,
                [false, false],
            ),
            // Something else has changed, or the bodies share no message that says where the array is.
            (
                chat,
                r#"{"messages":[{"role":"user","content":"u"}],"stream":@}"#,
                "true",
                "false",
                [false, true],
            ),
            (chat, r#"{"model":"@","messages":[{"role":"user","content":"u"}]}"#, "m", "n", [false, false]),
            (
                chat,
                r#"{"messages":[{"role":"system","content":"u"}@]}"#,
                "",
                r#",{"role":"user"}"#,
                [false, false],
            ),
            (chat, r#"{"messages":[{"role":"user","content":"u"},7@]}"#, "", "8", [false, false]),
            (
                chat,
                r#"{"messages":[{"role":"user","content":"u"}@]"#,
                "}",
                r#",{"role":"user"}"#,
                [false, false],
            ),
            (
                chat,
                r#"{"messages":[{"role":"user","content":"u"}@]}"#,
                "",
                r#"],"messages":[{"role":"tool"}"#,
                [false, true],
            ),
        ];
        for ((dialect, operation), body, old, new, expected) in rows {
            check(dialect, operation, &body.replace('@', old), &body.replace('@', new), expected);
        }
    }
}
