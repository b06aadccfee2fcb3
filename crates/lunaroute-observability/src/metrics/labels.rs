//! The bounded sets that labels are taken from.

use std::collections::HashSet;

use lunaroute_core::Dialect;

/// How many model names become labels; those beyond are counted as `other`.
const MODEL_LIMIT: usize = 200;

/// Stands for a name that is not configured.
const OTHER: &str = "other";

/// Stands for a request that no provider was tried for.
const NONE: &str = "none";

/// Names that may become labels: those of the configuration, and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Providers and the dialects that they speak.
    pub providers: Vec<(String, Vec<Dialect>)>,
    /// Exact model names. Only the first 200 are kept apart.
    pub models: Vec<String>,
}

#[derive(Debug)]
pub(super) struct KnownLabels {
    providers: HashSet<String>,
    models: HashSet<String>,
}

impl KnownLabels {
    pub(super) fn new(labels: &Labels) -> Self {
        Self {
            providers: labels.providers.iter().map(|(name, _)| name.clone()).collect(),
            models: labels.models.iter().take(MODEL_LIMIT).cloned().collect(),
        }
    }

    pub(super) fn provider<'a>(&self, name: Option<&'a str>) -> &'a str {
        match name {
            None => NONE,
            Some(name) if self.providers.contains(name) => name,
            Some(_) => OTHER,
        }
    }

    pub(super) fn model<'a>(&self, name: Option<&'a str>) -> &'a str {
        match name {
            None => NONE,
            Some(name) if self.models.contains(name) => name,
            Some(_) => OTHER,
        }
    }
}
