//! The list of models, in the form that the asking client reads.

use bytes::Bytes;
use http::HeaderMap;
use lunaroute_core::{Dialect, Timestamp};
use serde_json::{Value, json};

use crate::json::{Json, is_complete};

/// A model that the gateway offers under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name that clients send.
    pub id: String,
    /// The name that people read.
    pub display_name: String,
    /// Who offers it: the provider's name in the configuration.
    pub owned_by: String,
    /// Since when; clients only show it.
    pub created: Timestamp,
}

/// The form of a list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `{"object":"list","data":[...]}`.
    Openai,
    /// `{"data":[...],"has_more","first_id","last_id"}`.
    Anthropic,
    /// A `models` array, with OpenAI's members beside it.
    Codex,
    /// `{"models":[{"name":"models/...",...}]}`.
    Gemini,
}

impl Shape {
    /// The form that the caller of `GET /v1/models` reads: Gemini's in its dialect, Anthropic's when it sends
    /// `anthropic-version`, Codex's when the query has `client_version`, else OpenAI's.
    #[must_use]
    pub fn of(dialect: Dialect, headers: &HeaderMap, query: Option<&str>) -> Self {
        let codex = || {
            query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("client_version"))
        };
        if dialect == Dialect::Gemini {
            Self::Gemini
        } else if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if codex() {
            Self::Codex
        } else {
            Self::Openai
        }
    }

    const fn array(self) -> &'static str {
        match self {
            Self::Openai | Self::Anthropic => "data",
            Self::Codex | Self::Gemini => "models",
        }
    }

    fn entry(self, entry: &Entry) -> Value {
        match self {
            Self::Openai => json!({
                "id": entry.id, "object": "model", "created": entry.created.as_millis() / 1000, "owned_by": entry.owned_by,
            }),
            Self::Anthropic => json!({
                "type": "model", "id": entry.id, "display_name": entry.display_name,
                "created_at": entry.created.to_string(),
            }),
            Self::Gemini => json!({
                "name": format!("models/{}", entry.id), "displayName": entry.display_name,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
            }),
            Self::Codex => json!({ "id": entry.id, "slug": entry.id, "display_name": entry.display_name }),
        }
    }
}

/// The whole list.
#[must_use]
pub fn render(shape: Shape, entries: &[Entry]) -> Bytes {
    let list = |shape: Shape| entries.iter().map(|entry| shape.entry(entry)).collect::<Vec<_>>();
    let body = match shape {
        Shape::Openai => json!({ "object": "list", "data": list(shape) }),
        Shape::Anthropic => json!({
            "data": list(shape), "has_more": false,
            "first_id": entries.first().map(|entry| &entry.id), "last_id": entries.last().map(|entry| &entry.id),
        }),
        Shape::Gemini => json!({ "models": list(shape) }),
        Shape::Codex => json!({ "models": list(shape), "object": "list", "data": list(Shape::Openai) }),
    };
    Bytes::from(body.to_string())
}

/// A provider's list with the configured entries put behind its own, which stay the bytes they are. Entries that the
/// provider lists too are not repeated, and its page marks are left alone because they are its cursor. A body that is
/// no such list gives the configured entries only.
#[must_use]
pub fn merge(shape: Shape, upstream: &[u8], entries: &[Entry]) -> Bytes {
    let whole = if is_complete(upstream) { Json::new(upstream) } else { None };
    let Some(array) = whole.and_then(|json| json.field(shape.array())).filter(Json::is_array) else {
        return render(shape, entries);
    };
    let known: Vec<_> = array
        .elements()
        .filter_map(|entry| {
            let [id, slug, name] = entry.fields(["id", "slug", "name"]);
            let id = id.or(slug).or(name)?.text()?;
            Some(id.strip_prefix("models/").map(str::to_owned).unwrap_or(id.into_owned()))
        })
        .collect();
    let mut comma = if array.elements().next().is_none() { "" } else { "," };
    let mut added = String::new();
    for entry in entries.iter().filter(|entry| known.iter().all(|id| *id != entry.id)) {
        added.push_str(comma);
        added.push_str(&shape.entry(entry).to_string());
        comma = ",";
    }
    let end = array.range().end - 1;
    Bytes::from([&upstream[..end], added.as_bytes(), &upstream[end..]].concat())
}
