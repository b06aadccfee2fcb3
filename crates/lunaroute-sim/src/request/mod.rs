//! What a request asks for, as far as the simulated model cares.

mod decode;
mod route;
mod tools;

use std::collections::HashMap;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use decode::{DecodeError, decode};
pub(crate) use route::{Route, Verb};
pub(crate) use tools::OfferedTool;

/// Fields of a request body. Each is read by itself, so that one odd field spoils no other; of a repeated key the last
/// value counts, as in most providers.
pub(crate) struct Body<'a> {
    fields: HashMap<String, &'a RawValue>,
    length: usize,
}

impl<'a> Body<'a> {
    /// Reads the top level of a JSON object.
    pub(crate) fn read(decoded: &'a [u8]) -> Result<Self, serde_json::Error> {
        Ok(Self { fields: serde_json::from_slice(decoded)?, length: decoded.len() })
    }

    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// Whether the field is there and its value is this JSON text.
    fn is(&self, name: &str, json: &str) -> bool {
        self.fields.get(name).is_some_and(|raw| raw.get() == json)
    }

    pub(crate) fn model(&self) -> Option<String> {
        self.get("model")
    }

    pub(crate) fn stream(&self) -> bool {
        self.get("stream").unwrap_or(false)
    }

    pub(crate) fn include_usage(&self) -> bool {
        #[derive(Deserialize)]
        struct Options {
            #[serde(default)]
            include_usage: bool,
        }
        self.get::<Options>("stream_options").is_some_and(|options| options.include_usage)
    }

    pub(crate) fn encrypted_reasoning(&self) -> bool {
        let include: Vec<String> = self.get("include").unwrap_or_default();
        include.iter().any(|name| name == "reasoning.encrypted_content")
    }

    /// The request's own limit of output tokens.
    pub(crate) fn token_limit(&self) -> Option<u64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct GenerationConfig {
            max_output_tokens: Option<u64>,
        }
        let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        names.iter().find_map(|name| self.get(name)).or_else(|| {
            self.get::<GenerationConfig>("generationConfig").and_then(|config| config.max_output_tokens)
        })
    }

    /// The simulated tokenizer: four bytes of the body are one token.
    pub(crate) const fn tokens(&self) -> u64 {
        self.length.div_ceil(4) as u64
    }
}

/// A header's value as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
