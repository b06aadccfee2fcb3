//! What is told of translations.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use lunaroute_core::Dialect;
use prometheus::{IntCounterVec, Opts, Registry};

/// How many fields become labels; those beyond are counted as `other`. Clients choose the names of their fields.
const FIELD_LIMIT: usize = 100;

/// Longest name of a field that becomes a label.
const LENGTH_LIMIT: usize = 64;

/// Stands for a field beyond the limit.
const OTHER: &str = "other";

#[derive(Debug)]
pub(super) struct TranslationFamilies {
    translations: IntCounterVec,
    warnings: IntCounterVec,
    /// Fields that have become labels.
    fields: Mutex<HashSet<String>>,
}

impl TranslationFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let translations = IntCounterVec::new(
            Opts::new(
                "lunaroute_translations_total",
                "Answers that were translated, by the client's dialect and the provider's.",
            ),
            &["from", "to"],
        )?;
        registry.register(Box::new(translations.clone()))?;
        let warnings = IntCounterVec::new(
            Opts::new(
                "lunaroute_translation_warnings_total",
                "Fields of requests that could not be carried over as they were.",
            ),
            &["from", "to", "field"],
        )?;
        registry.register(Box::new(warnings.clone()))?;
        for from in Dialect::ALL {
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                translations.with_label_values(&[from.as_str(), to.as_str()]);
            }
        }
        Ok(Self { translations, warnings, fields: Mutex::default() })
    }

    pub(super) fn translated<'a>(&self, from: Dialect, to: Dialect, fields: impl Iterator<Item = &'a str>) {
        self.translations.with_label_values(&[from.as_str(), to.as_str()]).inc();
        for field in fields {
            let field = self.label(field);
            self.warnings.with_label_values(&[from.as_str(), to.as_str(), &field]).inc();
        }
    }

    /// The field without the places in its lists, as long as there is room for another label.
    fn label(&self, path: &str) -> String {
        let mut label = String::with_capacity(path.len());
        let mut in_brackets = false;
        for letter in path.chars() {
            in_brackets &= letter != ']';
            if !in_brackets {
                label.push(letter);
            }
            in_brackets |= letter == '[';
        }
        let mut known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&label) {
            return label;
        }
        if known.len() >= FIELD_LIMIT || label.len() > LENGTH_LIMIT {
            return OTHER.to_owned();
        }
        known.insert(label.clone());
        label
    }
}
