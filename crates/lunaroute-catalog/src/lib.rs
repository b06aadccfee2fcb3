//! What is known about models: how much they read and write, which parameters and media they take, how they are told to
//! think. A small file of the well-known ones is built in; an overlay adds to it and corrects it.
//!
//! Pure: it never reads a file, never asks the network, and never guesses from a name what no entry says. A model that no
//! entry names gets the mildest assumptions, and its provider judges.

mod entry;
mod pattern;

use lunaroute_core::conversation::ModelFacts;

use crate::entry::{Entry, File};

/// The entries that come with the program. Facts are the vendors' documentation of August 2026; a limit that was not
/// found there is left out.
const BUNDLED: &str = include_str!("../data/models.json");

/// Why an overlay cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is no JSON of this form.
    #[error("it is no catalog of models: {0}")]
    Form(#[from] serde_json::Error),
    /// An entry names no model.
    #[error("models[{number}].match is empty; name a model, or a pattern such as 'llama-4*'")]
    Nameless {
        /// The entry's place in the list.
        number: usize,
    },
    /// A range ends before it begins.
    #[error("models[{number}].{field} begins above its end; write the least first")]
    Reversed {
        /// The entry's place in the list.
        number: usize,
        /// The field.
        field: &'static str,
    },
    /// A limit is nothing.
    #[error("models[{number}].{field} is 0; leave it out when it is not known")]
    Nothing {
        /// The entry's place in the list.
        number: usize,
        /// The field.
        field: &'static str,
    },
}

/// What is known about models. Immutable.
#[derive(Debug, Clone)]
pub struct Catalog {
    bundled: Vec<Entry>,
    overlay: Vec<Entry>,
}

impl Catalog {
    /// What comes with the program.
    #[must_use]
    pub fn bundled() -> Self {
        let bundled = File::parse(BUNDLED).expect("the bundled file is read by a test");
        Self { bundled, overlay: Vec::new() }
    }

    /// The same with the entries of a file over it: what one of them says of a model stands, what it leaves out is as it
    /// was.
    ///
    /// # Errors
    /// [`CatalogError`] says which entry is wrong.
    pub fn with_overlay(mut self, json: &str) -> Result<Self, CatalogError> {
        self.overlay = File::parse(json)?;
        Ok(self)
    }

    /// What is known about a model, by the name that its provider has for it. Prefixes of hosts that resell models
    /// (`openai/`, `us.anthropic.`) do not matter.
    #[must_use]
    pub fn facts(&self, model: &str) -> ModelFacts {
        let name = pattern::plain_name(model);
        let mut facts = ModelFacts::default();
        for entries in [&self.bundled, &self.overlay] {
            if let Some(entry) = entries.iter().find(|entry| entry.names(name)) {
                entry.lay_over(&mut facts);
            }
        }
        facts
    }
}
