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
    pub(crate) system: Option<Json<'a>>,
    pub(crate) instructions: Option<Json<'a>>,
}

impl<'a> Outline<'a> {
    /// The outline of a body; `None` when it is no whole JSON object.
    pub(crate) fn new(body: &'a [u8], known: Option<Known>) -> Option<Self> {
        let names = ["model", "stream", "messages", "input", "system", "instructions"];
        let (_, [model, stream, messages, input, system, instructions]) = Json::object(body, names, known)?;
        Some(Self { model, stream, messages, input, system, instructions })
    }
}
