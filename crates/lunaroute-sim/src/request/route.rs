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
    /// Gemini, which names the model in the path.
    Gemini {
        /// The model.
        model: String,
        /// What is asked of it.
        verb: Verb,
    },
    /// The list of models, in the shape of this dialect.
    Models(Dialect),
    /// One model by its id, in the shape of this dialect.
    Model(Dialect, String),
    /// Anything else, in the dialect that its headers suggest.
    Other(Dialect),
}

/// What Gemini's paths ask of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Generate,
    /// As events, or as one array.
    Stream {
        array: bool,
    },
    CountTokens,
    Embed,
    BatchEmbed,
}

impl Verb {
    fn of(name: &str, query: &str) -> Option<Self> {
        Some(match name {
            "generateContent" => Self::Generate,
            "streamGenerateContent" => Self::Stream { array: query.split('&').all(|pair| pair != "alt=sse") },
            "countTokens" => Self::CountTokens,
            "embedContent" => Self::Embed,
            "batchEmbedContents" => Self::BatchEmbed,
            _ => return None,
        })
    }
}

impl Route {
    pub(crate) fn of(head: &Parts) -> Self {
        if let Some(route) = Self::of_gemini(head) {
            return route;
        }
        let by_headers = if header(&head.headers, "anthropic-version").is_some() {
            Dialect::Anthropic
        } else if header(&head.headers, "x-goog-api-key").is_some() {
            Dialect::Gemini
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

    fn of_gemini(head: &Parts) -> Option<Self> {
        let path = head.uri.path().trim_end_matches('/');
        let verb = |named: &str| {
            let (model, verb) = named.rsplit_once(':')?;
            let verb = Verb::of(verb, head.uri.query().unwrap_or_default())?;
            Some(Self::Gemini { model: model.to_owned(), verb })
        };
        if let Some(route) =
            path.strip_prefix("/v1/models/").filter(|_| head.method == Method::POST).and_then(verb)
        {
            return Some(route);
        }
        let rest = path.strip_prefix("/v1beta/")?;
        Some(match (&head.method, rest.strip_prefix("models/")) {
            (&Method::POST, Some(named)) => verb(named).unwrap_or(Self::Other(Dialect::Gemini)),
            (&Method::GET, Some(id)) => Self::Model(Dialect::Gemini, id.to_owned()),
            (&Method::GET, None) if rest == "models" => Self::Models(Dialect::Gemini),
            _ => Self::Other(Dialect::Gemini),
        })
    }

    /// The model that the path names.
    pub(crate) fn model(&self) -> Option<&str> {
        match self {
            Self::Gemini { model, .. } => Some(model),
            _ => None,
        }
    }

    /// Whether the path asks for a stream.
    pub(crate) const fn streams(&self) -> bool {
        matches!(self, Self::Gemini { verb: Verb::Stream { .. }, .. })
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Gemini { .. } => Dialect::Gemini,
            Self::Chat | Self::Completions | Self::Embeddings => Dialect::OpenaiChat,
            Self::Responses => Dialect::OpenaiResponses,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Models(dialect) | Self::Model(dialect, _) | Self::Other(dialect) => *dialect,
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Chat => Operation::Chat,
            Self::Completions => Operation::Completions,
            Self::Responses => Operation::Responses,
            Self::Messages => Operation::Messages,
            Self::CountTokens => Operation::CountTokens,
            Self::Embeddings => Operation::Embeddings,
            Self::Gemini { verb, .. } => match verb {
                Verb::Generate | Verb::Stream { .. } => Operation::GenerateContent,
                Verb::CountTokens => Operation::CountTokens,
                Verb::Embed | Verb::BatchEmbed => Operation::Embeddings,
            },
            Self::Models(_) => Operation::Models,
            Self::Model(..) | Self::Other(_) => Operation::Other,
        }
    }
}
