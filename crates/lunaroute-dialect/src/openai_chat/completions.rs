//! OpenAI's legacy completions: a prompt instead of messages, and text instead of a message. They ride on Chat: all other
//! members of a request are Chat's, and so are errors, figures and the end of a stream.

use std::sync::Arc;

use lunaroute_core::conversation::{Conversation, Part, Prompt, Rest, Speaker, Text, Turn};
use lunaroute_core::{Failure, FailureKind, StopReason};
use serde_json::{Value, json};

use super::write::{data, figures};
use crate::cross::{Asked, Block, Meaning, Members, Step, Whole, wrong};
use crate::dispatch::AnswerWriter;
use crate::openai::error::meant;

/// What an answer is called; a client of Chat reads another word.
const OBJECT: &str = "text_completion";

/// Takes the prompt of a request that has no messages as the only turn, said by the user.
///
/// # Errors
/// `bad_request` when there are several prompts, or one in a model's own tokens.
pub(super) fn prompt(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    if members.peek("messages").is_some() {
        return Ok(());
    }
    let (text, form) = match members.value("prompt") {
        None => return Ok(()),
        Some(Value::String(text)) => (text, Prompt::Text),
        Some(Value::Array(list)) => (only(list)?, Prompt::List),
        Some(_) => return Err(wrong("prompt", "a string")),
    };
    let parts = vec![Part::Text(Text::from(text))];
    conversation.turns.push(Turn { speaker: Speaker::User, parts, is_plain: true, rest: Rest::new() });
    conversation.prompt = Some(form);
    Ok(())
}

fn only(list: Vec<Value>) -> Result<String, Failure> {
    let refused = |what: &str| Err(Failure::client(FailureKind::BadRequest, format!("'prompt' {what}")));
    let is_number = |value: &Value| value.is_number();
    let is_tokens = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(is_number));
    if !list.is_empty() && (list.iter().all(is_number) || list.iter().all(is_tokens)) {
        return refused(
            "holds tokens, which mean something to their own model only; the provider that serves this model needs text",
        );
    }
    match <[Value; 1]>::try_from(list) {
        Ok([Value::String(text)]) => Ok(text),
        Ok(_) => refused("has to be a string"),
        Err(list) if list.is_empty() => refused("is empty; the provider that serves this model needs text"),
        Err(_) => refused("holds several; the provider that serves this model takes one: ask once for each"),
    }
}

/// The prompt as it stood in its own request; `None` of a request with messages.
pub(super) fn own_prompt(conversation: &Conversation) -> Option<Value> {
    let form = conversation.prompt?;
    let [Turn { parts, .. }] = conversation.turns.as_slice() else { return None };
    let [Part::Text(text)] = parts.as_slice() else { return None };
    Some(match form {
        Prompt::Text => json!(text.text),
        Prompt::List => json!([text.text]),
    })
}

/// Notes that the answer is one of these.
pub(super) fn ask(asked: &mut Asked) {
    asked.echo.insert("prompt".to_owned(), Value::Bool(true));
}

/// Whether the caller reads these answers.
pub(super) fn are_asked(asked: &Asked) -> bool {
    asked.echo.contains_key("prompt")
}

/// Writes one stream of pieces. Only what the model says aloud has a place in them.
pub(super) struct Writer {
    asked: Arc<Asked>,
    speaks: bool,
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self { asked, speaks: false }
    }
}

impl AnswerWriter for Writer {
    fn write(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            Step::Open(block) => self.speaks = is_aloud(&block),
            Step::Append(text) if self.speaks => data(&answer(&self.asked, &text, None), out),
            Step::Finish { reason, usage, .. } => {
                data(&answer(&self.asked, "", Some(finish_word(reason))), out);
                if self.asked.include_usage {
                    let mut last = answer(&self.asked, "", None);
                    (last["choices"], last["usage"]) = (json!([]), figures(&usage));
                    data(&last, out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Step::Fail(error) => {
                let (_, kind, code) = meant(Meaning::of(None, &error, false));
                let message = error.message;
                data(&json!({"error": {"message": message, "type": kind, "param": null, "code": code}}), out);
            }
            Step::Begin { .. } | Step::Append(_) | Step::Seal(..) | Step::Cite(_) | Step::Close => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keepalive\n\n");
    }
}

/// An answer that is told at once.
pub(super) fn whole(whole: &Whole, asked: &Asked) -> Value {
    let aloud = whole.said.iter().filter(|said| is_aloud(&said.block));
    let text: String = aloud.map(|said| said.text.as_str()).collect();
    let reason = whole.stop.as_ref().map_or(StopReason::EndTurn, |(reason, _)| *reason);
    let mut body = answer(asked, &text, Some(finish_word(reason)));
    body["usage"] = figures(&whole.usage);
    body
}

fn answer(asked: &Asked, text: &str, finish_reason: Option<&str>) -> Value {
    json!({
        "id": format!("cmpl-{}", asked.answer_id), "object": OBJECT, "created": asked.created,
        "model": asked.model,
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason}],
    })
}

const fn is_aloud(block: &Block) -> bool {
    matches!(block, Block::Text | Block::Refusal)
}

const fn finish_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Pause
        | StopReason::Other => "stop",
        StopReason::Length => "length",
        StopReason::Refusal => "content_filter",
    }
}
