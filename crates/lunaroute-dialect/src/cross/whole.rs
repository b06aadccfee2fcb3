//! An answer that is told at once: the steps of a stream, put together.

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Citation, StopReason, Usage};

use super::step::{Block, Step};
use crate::error::ProviderError;

/// A block with all that was said in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// What it is.
    pub(crate) block: Block,
    /// Its text, or a call's arguments.
    pub(crate) text: String,
    /// Its seal, and whether that hides words.
    pub(crate) seal: Option<(Seal, bool)>,
    /// Sources of its text.
    pub(crate) citations: Vec<Citation>,
}

/// An answer put together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Whole {
    /// The provider's id of the answer.
    pub(crate) id: Option<String>,
    /// The model that answered.
    pub(crate) model: Option<String>,
    /// What was said, in order.
    pub(crate) said: Vec<Said>,
    /// Why the model stopped, and the provider's word for it.
    pub(crate) stop: Option<(StopReason, String)>,
    /// The figures.
    pub(crate) usage: Usage,
    /// What broke the answer.
    pub(crate) failure: Option<ProviderError>,
}

impl Whole {
    /// Takes a step.
    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Begin { id, model, usage } => (self.id, self.model, self.usage) = (id, model, usage),
            Step::Open(block) => {
                self.said.push(Said { block, text: String::new(), seal: None, citations: Vec::new() });
            }
            Step::Append(text) => {
                if let Some(said) = self.said.last_mut() {
                    said.text.push_str(&text);
                }
            }
            Step::Seal(seal, is_redacted) => {
                if let Some(said) = self.said.last_mut() {
                    said.seal = Some((seal, is_redacted));
                }
            }
            Step::Cite(citation) => {
                if let Some(said) = self.said.last_mut() {
                    said.citations.push(citation);
                }
            }
            Step::Close => {}
            Step::Finish { reason, raw, usage } => (self.stop, self.usage) = (Some((reason, raw)), usage),
            Step::Fail(error) => self.failure = Some(error),
        }
    }
}
