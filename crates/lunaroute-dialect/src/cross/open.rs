//! The block of an answer that is open, and calls that wait until it is over.

use lunaroute_core::Citation;

use super::step::Block;

/// The block that is open, and what is known of it.
pub(super) struct Current {
    pub(super) index: u32,
    pub(super) block: Block,
    /// Text of a call that is told when it is whole: arguments of a tool that the provider got as a function.
    pub(super) held: Option<String>,
    pub(super) is_empty: bool,
    pub(super) has_seal: bool,
    /// Code points of its text so far.
    pub(super) length: u64,
    pub(super) citations: Vec<Citation>,
    /// What the provider wrote of a call's arguments last, to see whether it is whole JSON.
    pub(super) arguments: String,
}

impl Current {
    /// A block that begins. `held` is present for a call whose text is told when it is whole; the citations are those that
    /// came before its words.
    pub(super) const fn new(
        index: u32,
        block: Block,
        held: Option<String>,
        citations: Vec<Citation>,
    ) -> Self {
        let arguments = String::new();
        Self { index, block, held, is_empty: true, has_seal: false, length: 0, citations, arguments }
    }

    /// Whether it is a call to which nothing can be added.
    pub(super) fn is_whole_call(&self) -> bool {
        let arguments = self.held.as_ref().unwrap_or(&self.arguments);
        matches!(self.block, Block::Call { .. }) && !self.is_free_text() && is_json(arguments)
    }

    /// Whether it is a call whose arguments the provider writes as free text.
    pub(super) const fn is_free_text(&self) -> bool {
        matches!(self.block, Block::Call { is_custom: true, .. }) && self.held.is_none()
    }
}

/// A call whose fragments come while another one is open.
pub(super) struct Waiting {
    pub(super) index: u32,
    pub(super) block: Block,
    pub(super) arguments: String,
    /// Its text is told when it is whole: the provider got the tool as a function.
    pub(super) is_held: bool,
}

impl Waiting {
    /// Whether nothing can be added to it; free text does not tell its end.
    pub(super) fn is_whole_call(&self) -> bool {
        let is_free_text = matches!(self.block, Block::Call { is_custom: true, .. }) && !self.is_held;
        !is_free_text && is_json(&self.arguments)
    }
}

/// Whether a text is whole JSON.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The text of a tool that the provider got as a function of one `input`; what is no such JSON is the text itself.
pub(super) fn free_text(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Arguments {
        input: String,
    }
    serde_json::from_str(arguments).map_or_else(|_| arguments.to_owned(), |Arguments { input }| input)
}
