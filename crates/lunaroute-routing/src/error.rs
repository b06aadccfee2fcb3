//! What can be wrong with a table, and why a request has no target.

use lunaroute_core::{Dialect, Failure, FailureKind};

/// A table that cannot be made. Every variant names the entry to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two providers share a name, so a rule could mean either.
    #[error("two providers are called '{name}'; give each its own name")]
    DuplicateProvider {
        /// The shared name.
        name: String,
    },
    /// A provider speaks nothing, so that nothing can be sent to it.
    #[error("the provider '{name}' speaks no dialect; name at least one")]
    SilentProvider {
        /// The provider.
        name: String,
    },
    /// A rule or a default leads to a provider that does not exist.
    #[error("{entry} names the provider '{provider}', which is not configured; known are: {known}")]
    UnknownProvider {
        /// The rule or default, in words.
        entry: String,
        /// The name that is not known.
        provider: String,
        /// The names that are known, comma separated.
        known: String,
    },
    /// A dialect has two defaults.
    #[error("{dialect} has two default providers; keep one")]
    DuplicateDefault {
        /// The dialect.
        dialect: Dialect,
    },
    /// Two rules have the same pattern, so the second could never win.
    #[error("two model rules have the pattern '{pattern}'; the second could never win, remove one")]
    DuplicatePattern {
        /// The pattern.
        pattern: String,
    },
    /// A rule has no pattern.
    #[error(
        "a model rule for the provider '{provider}' has an empty pattern; write a model name or a glob such as 'gpt-*'"
    )]
    EmptyPattern {
        /// The rule's provider.
        provider: String,
    },
    /// A rule renames the model to nothing.
    #[error("the model rule '{pattern}' has an empty upstream name; leave it out to keep the client's name")]
    EmptyUpstreamModel {
        /// The rule's pattern.
        pattern: String,
    },
    /// A pattern is no glob.
    #[error("the model rule '{pattern}' is no valid glob: {reason}")]
    InvalidGlob {
        /// The rule's pattern.
        pattern: String,
        /// What the parser says.
        reason: String,
    },
}

/// Why a request has no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No rule covers the model and the dialect has no default provider.
    #[error(
        "no provider serves {dialect} here; configure a provider that speaks {dialect} or a rule for the model"
    )]
    NoDefault {
        /// The caller's dialect.
        dialect: Dialect,
    },
    /// What is asked exists in the caller's dialect only, and none of the rule's providers speaks that.
    #[error(
        "the rule '{pattern}' sends this model to '{provider}', which speaks {} and not {caller}; only answers of a model \
         are translated, and this path has no counterpart there: route the model to a provider of {caller}",
        dialects(speaks)
    )]
    OtherDialect {
        /// The rule's pattern.
        pattern: String,
        /// The rule's first provider.
        provider: String,
        /// The caller's dialect.
        caller: Dialect,
        /// What the provider speaks.
        speaks: Vec<Dialect>,
    },
}

fn dialects(speaks: &[Dialect]) -> String {
    speaks.iter().map(|dialect| dialect.as_str()).collect::<Vec<_>>().join(" or ")
}

impl From<NoRoute> for Failure {
    fn from(reason: NoRoute) -> Self {
        let message = reason.to_string();
        match reason {
            NoRoute::NoDefault { .. } => Self::gateway(FailureKind::NotFound, message),
            NoRoute::OtherDialect { .. } => Self::client(FailureKind::BadRequest, message),
        }
    }
}
