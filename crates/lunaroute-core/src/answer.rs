//! An answer put together from its pieces.

use crate::{Delta, StopReason, Usage};

/// A tool call that a model asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// Block number in the answer.
    pub index: u32,
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, possibly cut short.
    pub arguments: String,
}

/// What an answer has said so far. Text past `text_limit` bytes is not kept (the raw bytes are, elsewhere).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Visible text of all blocks, joined.
    pub text: String,
    /// Shown reasoning of all blocks, joined.
    pub reasoning: String,
    /// Refusal in words.
    pub refusal: String,
    /// Tool calls in order of appearance.
    pub tool_calls: Vec<ToolCall>,
    /// Token figures, last value of each class.
    pub usage: Usage,
    /// Why the model stopped, and the provider's word for it.
    pub stop: Option<(StopReason, String)>,
    /// An error that the provider reported inside the answer: type and sentence.
    pub error: Option<(String, String)>,
    /// Whether the dialect's own end was seen.
    pub ended: bool,
}

impl Answer {
    /// Takes one piece in.
    pub fn absorb(&mut self, delta: &Delta, text_limit: usize) {
        match delta {
            Delta::Start { id, model } => {
                self.id = id.clone().or(self.id.take());
                self.model = model.clone().or(self.model.take());
            }
            Delta::Text { text, .. } => append(&mut self.text, text, text_limit),
            Delta::Reasoning { text, .. } => append(&mut self.reasoning, text, text_limit),
            Delta::Refusal { text } => append(&mut self.refusal, text, text_limit),
            Delta::ToolCallStart { index, id, name } | Delta::CustomCallStart { index, id, name } => {
                self.tool_calls.push(ToolCall {
                    index: *index,
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                })
            }
            Delta::ToolCallArguments { index, fragment } => {
                if let Some(call) = self.tool_calls.iter_mut().rev().find(|call| call.index == *index) {
                    append(&mut call.arguments, fragment, text_limit);
                }
            }
            Delta::Usage(usage) => self.usage.overlay(usage),
            Delta::Stop { reason, raw } => self.stop = Some((*reason, raw.clone())),
            Delta::Error { kind, message, .. } => self.error = Some((kind.clone(), message.clone())),
            Delta::End => self.ended = true,
            // Neither says anything to a reader.
            Delta::Seal { .. } | Delta::Cite { .. } => {}
        }
    }
}

/// Appends as much of `addition` as fits below `limit` bytes, cut at a character.
fn append(text: &mut String, addition: &str, limit: usize) {
    let room = limit.saturating_sub(text.len());
    text.push_str(&addition[..addition.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_answer_and_text_is_bounded() {
        let mut answer = Answer::default();
        for delta in [
            Delta::Start { id: Some("m1".into()), model: Some("m".into()) },
            Delta::Text { index: 0, text: "héé".into() },
            Delta::ToolCallStart { index: 1, id: "a".into(), name: "f".into() },
            Delta::ToolCallStart { index: 2, id: "b".into(), name: "g".into() },
            Delta::ToolCallArguments { index: 1, fragment: "{".into() },
            Delta::ToolCallArguments { index: 2, fragment: "[".into() },
            Delta::ToolCallArguments { index: 1, fragment: "}".into() },
            Delta::ToolCallArguments { index: 9, fragment: "lost".into() },
            Delta::Usage(Usage { output: Some(3), ..Usage::default() }),
            Delta::Stop { reason: StopReason::ToolUse, raw: "tool_calls".into() },
            Delta::End,
        ] {
            answer.absorb(&delta, 4);
        }
        assert_eq!(answer.text, "hé", "cut at a character below the limit");
        assert_eq!(answer.tool_calls[0].arguments, "{}");
        assert_eq!(answer.tool_calls[1].arguments, "[");
        assert_eq!(answer.usage.output, Some(3));
        assert!(answer.ended && answer.error.is_none());
    }
}
