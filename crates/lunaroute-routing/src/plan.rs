//! What a plan is made from and what it says.

use std::fmt;
use std::sync::Arc;

use lunaroute_core::{Dialect, Operation};

/// What the table has to know of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The caller's dialect.
    pub dialect: Dialect,
    /// The dialect of the body: the caller's, but for a client that sends a body of Responses to the path of Chat.
    pub body: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// The model that the body names; `None` when it names none or cannot be read.
    pub model: Option<&'a str>,
}

impl Head<'_> {
    /// The model, when the operation is one that model rules speak of. Any other path belongs to the dialect's default
    /// provider, whatever its body holds: a path of one vendor never reaches another vendor.
    pub(crate) fn routed_model(&self) -> Option<&str> {
        let by_model = self.operation.is_generation()
            || matches!(self.operation, Operation::CountTokens | Operation::Embeddings);
        if by_model { self.model } else { None }
    }

    /// The dialect in which a provider is asked that speaks these, most liked first: that of the body wherever it can be
    /// had, then the caller's; else the first, when what is asked can be said in another. `None` when it cannot.
    pub(crate) fn spoken_to(&self, speaks: &[Dialect]) -> Option<Dialect> {
        if let Some(own) = [self.body, self.dialect].into_iter().find(|own| speaks.contains(own)) {
            return Some(own);
        }
        let crosses = self.operation.is_generation() || self.operation == Operation::CountTokens;
        speaks.first().copied().filter(|_| crosses)
    }
}

/// The targets of a request in the order in which they are to be tried. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The targets.
    pub targets: Vec<Target>,
}

/// One provider and the name that it knows the model by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The provider's configured name.
    pub provider: Arc<str>,
    /// The dialect in which it is asked: that of the body wherever it speaks that.
    pub dialect: Dialect,
    /// The model name to put in place of the client's; `None` leaves the body alone.
    pub upstream_model: Option<Arc<str>>,
    /// Whether what the model would refuse is put right in a request of its own dialect.
    pub repair: bool,
    /// Why this target was chosen.
    pub rule: Rule,
}

/// Why a target was chosen. Its `Display` goes into the record of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A rule whose pattern is the model's very name.
    Exact(Arc<str>),
    /// The first rule whose glob matches the model's name.
    Glob(Arc<str>),
    /// The dialect's default provider.
    Default(Dialect),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(pattern) => write!(f, "model {pattern}"),
            Self::Glob(pattern) => write!(f, "models {pattern}"),
            Self::Default(dialect) => write!(f, "default of {dialect}"),
        }
    }
}
