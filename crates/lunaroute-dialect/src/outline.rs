//! The members of a request that the record reads, in whatever dialect.

use crate::json::{Json, Known};

/// Where the members stand, found in one pass over the body. The last of equal names counts, and `null` counts as
/// absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outline<'a> {
    pub(crate) model: Option<Json<'a>>,
    pub(crate) stream: Option<Json<'a>>,
    pub(crate) messages: Option<Json<'a>>,
    pub(crate) input: Option<Json<'a>>,
    /// What a legacy completion goes on with.
    pub(crate) prompt: Option<Json<'a>>,
    pub(crate) system: Option<Json<'a>>,
    pub(crate) instructions: Option<Json<'a>>,
    pub(crate) contents: Option<Json<'a>>,
    /// Gemini's `systemInstruction`, in either spelling.
    pub(crate) system_instruction: Option<Json<'a>>,
    /// What one embedding is asked of.
    pub(crate) content: Option<Json<'a>>,
    /// The requests of a batch.
    pub(crate) requests: Option<Json<'a>>,
}

impl<'a> Outline<'a> {
    /// The outline of a body; `None` when it is no whole JSON object.
    pub(crate) fn new(body: &'a [u8], known: Option<Known>) -> Option<Self> {
        let names = [
            "model",
            "stream",
            "messages",
            "input",
            "prompt",
            "system",
            "instructions",
            "contents",
            "systemInstruction",
            "system_instruction",
            "content",
            "requests",
        ];
        let (_, members) = Json::object(body, names, known)?;
        let [
            model,
            stream,
            messages,
            input,
            prompt,
            system,
            instructions,
            contents,
            camel,
            snake,
            content,
            requests,
        ] = members;
        let system_instruction = camel.or(snake);
        Some(Self {
            model,
            stream,
            messages,
            input,
            prompt,
            system,
            instructions,
            contents,
            system_instruction,
            content,
            requests,
        })
    }
}
