//! What the configuration says of a provider.

use std::path::PathBuf;

use lunaroute_core::{Dialect, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// The family of dialects that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderFamily {
    /// OpenAI Chat Completions, Responses and the other OpenAI paths.
    Openai,
    /// Anthropic Messages and the other Anthropic paths.
    Anthropic,
    /// Gemini `generateContent` and the other paths of the Gemini API.
    Gemini,
}

impl ProviderFamily {
    /// The dialects of the family.
    #[must_use]
    pub const fn dialects(self) -> &'static [Dialect] {
        match self {
            Self::Openai => &[Dialect::OpenaiChat, Dialect::OpenaiResponses],
            Self::Anthropic => &[Dialect::Anthropic],
            Self::Gemini => &[Dialect::Gemini],
        }
    }
}

/// How a provider's key travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `api-key: KEY`.
    ApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
}

/// In what a host differs from the vendor whose dialect it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It knows `max_tokens`, not `max_completion_tokens`.
    LegacyMaxTokens,
    /// It wants the reasoning of the current tool loop back, in `reasoning_content`.
    TakesReasoning,
    /// Fragments of parallel tool calls come mixed; all but the first call are held until the answer's end.
    InterleavedCalls,
    /// It refuses `stream_options`.
    NoStreamOptions,
    /// It goes on from a last turn of the assistant when asked to, as vLLM does.
    ContinuesFinalMessage,
    /// It knows no tools that take free text.
    NoCustomTools,
    /// Content of text alone has to be a string.
    PlainContent,
    /// It refuses hints for its prompt cache.
    NoCacheHints,
}

/// A server that answers in a known dialect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The family of dialects it speaks. May be left out for the built-in names `openai`, `anthropic` and
    /// `gemini`.
    #[serde(default)]
    pub dialect: Option<ProviderFamily>,
    /// Which of the family's dialects it speaks (`openai_chat`, `openai_responses`, `anthropic`, `gemini`), the best first:
    /// callers of others are translated to that. Default: all of the family; Chat first, at api.openai.com Responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub dialects: Option<Vec<Dialect>>,
    /// In what it differs from the vendor of its dialects, for translated requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Where it is, such as `https://api.openai.com/v1` or `http://127.0.0.1:11434/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its key, best as `${env:NAME}`. With a key the client's credential is never sent on; without one it is passed.
    #[serde(default, serialize_with = "hide", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<ConfiguredSecret>,
    /// A file that holds the key, and that nobody else can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// How the key travels. Default: bearer for OpenAI, x-api-key for Anthropic, x-goog-api-key for Gemini.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Takes the traffic of its dialects that no `models` entry claims. Default: only the built-in names.
    #[serde(default)]
    pub default: bool,
}

/// A secret as it stands in a configuration; written out as `***`.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub struct ConfiguredSecret(pub Secret);

impl From<String> for ConfiguredSecret {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

fn hide<S: Serializer>(secret: &Option<ConfiguredSecret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_str("***"),
        None => serializer.serialize_none(),
    }
}
