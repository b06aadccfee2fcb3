//! From method and path to what is asked.

use http::{Method, request::Parts};
use lunaroute_core::{Dialect, Operation};

use super::header;

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Chat,
    Responses,
    Messages,
    /// Legacy completions of OpenAI.
    Completions,
    CountTokens,
    Embeddings,
    /// The list of models, in the shape of this dialect.
    Models(Dialect),
    /// One model by its id, in the shape of this dialect.
    Model(Dialect, String),
    /// Anything else, in the dialect that its headers suggest.
    Other(Dialect),
}

impl Route {
    pub(crate) fn of(head: &Parts) -> Self {
        let by_headers = if header(&head.headers, "anthropic-version").is_some() {
            Dialect::Anthropic
        } else {
            Dialect::OpenaiChat
        };
        let path = head.uri.path().trim_end_matches('/');
        let path = path.strip_prefix("/v1").unwrap_or(path);
        match (&head.method, path) {
            (&Method::POST, "/chat/completions") => Self::Chat,
            (&Method::POST, "/responses") => Self::Responses,
            (&Method::POST, "/messages") => Self::Messages,
            (&Method::POST, "/messages/count_tokens") => Self::CountTokens,
            (&Method::POST, "/completions") => Self::Completions,
            (&Method::POST, "/embeddings") => Self::Embeddings,
            (&Method::GET, "/models") => Self::Models(by_headers),
            (&Method::GET, other) => match other.strip_prefix("/models/") {
                Some(id) => Self::Model(by_headers, id.to_owned()),
                None => Self::Other(by_headers),
            },
            _ => Self::Other(by_headers),
        }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings => Dialect::OpenaiChat,
            Self::Responses => Dialect::OpenaiResponses,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Models(dialect) | Self::Model(dialect, _) | Self::Other(dialect) => *dialect,
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Chat => Operation::Chat,
            Self::Responses => Operation::Responses,
            Self::Messages => Operation::Messages,
            Self::CountTokens => Operation::CountTokens,
            Self::Embeddings => Operation::Embeddings,
            Self::Models(_) => Operation::Models,
            Self::Completions | Self::Model(..) | Self::Other(_) => Operation::Other,
        }
    }
}
