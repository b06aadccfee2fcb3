//! Tools, and which of them a model has to call.

use serde_json::Value;

use super::{Breakpoint, Rest};

/// A tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name; empty for hosted tools that have none.
    pub name: String,
    /// The group that it belongs to, where a dialect has such.
    pub namespace: Option<String>,
    /// What it does, for the model.
    pub description: Option<String>,
    /// What it takes.
    pub kind: ToolKind,
    /// A prompt cache may be cut behind it.
    pub breakpoint: Option<Breakpoint>,
    /// Whether its members stood beside its type, in a dialect that nests them.
    pub is_flat: bool,
    /// Everything else in the vendor's object.
    pub rest: Rest,
}

/// What a tool takes, and who runs it.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind {
    /// The client runs it; its arguments are an object of this JSON Schema.
    Function {
        /// The schema; `None` when the request gives none.
        schema: Option<Value>,
        /// Whether the arguments are held to the schema; `None` leaves that to the provider.
        strict: Option<bool>,
    },
    /// The client runs it; its argument is free text, possibly of a grammar.
    Custom {
        /// The vendor's description of the text's form.
        format: Option<Value>,
    },
    /// The provider, or the client by a contract that only its vendor knows.
    Hosted(Hosted),
}

/// A tool that comes with a provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Hosted {
    /// Searches the web.
    WebSearch(Search),
    /// Runs code.
    CodeExecution,
    /// Opens addresses.
    WebFetch,
    /// Any other; its vendor's type is the word, the whole object is in the tool's `rest`.
    Other(String),
}

/// Where a search of the web looks. [`Search::default`] is everywhere.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// The only domains that it looks in; empty for all.
    pub allowed_domains: Vec<String>,
    /// About where the user is, in the members that vendors share: `type`, `city`, `region`, `country`, `timezone`.
    pub location: Option<Rest>,
}

/// Which tools the model has to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// None.
    None,
    /// As it likes.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Tool {
        /// Its name.
        name: String,
        /// Whether it takes free text.
        is_custom: bool,
    },
    /// Only some of them.
    Allowed(AllowedTools),
    /// A choice that only its vendor knows; the value is in the conversation's `rest` under `tool_choice`.
    Other,
}

/// A choice among some of the tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTools {
    /// Whether one of them has to be called.
    pub is_required: bool,
    /// Their names.
    pub names: Vec<String>,
}
