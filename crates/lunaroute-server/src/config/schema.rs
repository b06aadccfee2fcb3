//! Every key of the configuration, with its default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider::Provider;
use super::recording::Recording;
use super::responses::Responses;
use super::units::{Period, Size};

/// The configuration of a gateway. Without any of it, OpenAI traffic goes to api.openai.com, Anthropic traffic to
/// api.anthropic.com and Gemini traffic to generativelanguage.googleapis.com, all with the client's own credentials, and
/// every session is recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port that the gateway listens on. Port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Providers by name. An entry named `openai`, `anthropic` or `gemini` changes the built-in one.
    pub providers: BTreeMap<String, Provider>,
    /// Which provider serves a model, and under what name. An exact name wins over a pattern; among patterns the first
    /// wins. A model that no entry names goes to its dialect's default provider.
    pub models: Vec<ModelRoute>,
    /// How requests cross to providers of other dialects.
    pub translation: Translation,
    /// What is known about models.
    pub catalog: Catalog,
    /// OpenAI Responses beyond request and answer.
    pub responses: Responses,
    /// What a caller may use up.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: TimeLimits,
    /// When a failed attempt is made again.
    pub retry: Retrying,
    /// How streams are treated.
    pub streaming: Streaming,
    /// What is recorded and where.
    pub recording: Recording,
    /// Who may talk to the gateway from a web page.
    pub access: Access,
    /// The way out to the providers.
    pub network: Network,
    /// What the gateway says of itself on standard error.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            providers: BTreeMap::new(),
            models: Vec::new(),
            translation: Translation::default(),
            catalog: Catalog::default(),
            responses: Responses::default(),
            limits: Limits::default(),
            timeouts: TimeLimits::default(),
            retry: Retrying::default(),
            streaming: Streaming::default(),
            recording: Recording::default(),
            access: Access::default(),
            network: Network::default(),
            log: Log::default(),
        }
    }
}

/// Which provider serves a model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRoute {
    /// The name that clients use, exact or with `*`, `?`, `[...]` or `{a,b}`.
    pub model: String,
    /// The provider's name in `providers`.
    pub provider: String,
    /// The name that the provider gets instead; its bytes replace the client's in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Providers that are tried after it, in this order, when it fails; each may speak another dialect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// Put right what the model would refuse in requests of its own dialect, by what is known of it: thinking by a budget
    /// becomes an effort at models of Anthropic that take no budget. Otherwise the provider's refusal is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
}

/// A provider that is tried when those before it failed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The provider's name in `providers`.
    pub provider: String,
    /// The name that this provider gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// How requests cross to providers of other dialects.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Translation {
    /// Refuse a request with 400, naming the field, when its translation would lose meaning. Otherwise the field is left
    /// out and named in `x-lunaroute-warnings`.
    pub strict: bool,
}

/// What is known about models.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// A JSON file whose entries add to the built-in catalog of models and correct it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<PathBuf>,
}

/// What a caller may use up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body, and as much as is kept of an answer in the record.
    pub body: Size,
    /// Largest request body after its content coding is undone; the same of an answer that is translated.
    pub decoded_body: Size,
    /// Largest request head.
    pub headers: Size,
    /// Requests in flight at once; a further one gets 503 (529 in Anthropic's dialect) with `Retry-After` before its
    /// body is read. Health, readiness and metrics are always answered.
    pub requests: usize,
    /// Memory for the bodies of all requests in flight, as they travel, without their content coding, and taken apart for a
    /// translation, and for answers that are translated whole; what does not fit gets 503 (529 in Anthropic's dialect) with
    /// `Retry-After`.
    pub bodies: Size,
    /// Connections at once, at most one for every two file descriptors that the gateway may have. On a few further ones
    /// health is answered, and 503 to everything else.
    pub connections: usize,
    /// HTTP/2 streams at once on one connection.
    pub streams_per_connection: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: Size::mebibytes(32),
            decoded_body: Size::mebibytes(64),
            headers: Size::kibibytes(32),
            requests: 5_000,
            bodies: Size::mebibytes(512),
            connections: 10_000,
            streams_per_connection: 250,
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeLimits {
    /// For a client to send its request head.
    pub header_read: Period,
    /// For a client to send its request body.
    pub body_read: Period,
    /// For a client that reads nothing while something waits for it.
    pub write_stall: Period,
    /// To connect to a provider, TLS included.
    pub connect: Period,
    /// For a provider to begin its answer.
    pub first_byte: Period,
    /// Between two pieces of an answer.
    pub idle: Period,
    /// For a whole attempt. A stream that still produces is never cut by it.
    pub total: Period,
    /// For open requests to finish when the gateway is told to stop.
    pub drain: Period,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            header_read: Period::seconds(10),
            body_read: Period::seconds(60),
            write_stall: Period::seconds(60),
            connect: Period::seconds(10),
            first_byte: Period::seconds(600),
            idle: Period::seconds(300),
            total: Period::seconds(1_800),
            drain: Period::seconds(30),
        }
    }
}

/// When a failed attempt is made again: connection errors and the statuses 408, 409, 429, 500 to 504 and 529, and only
/// before a byte has left for the client.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retrying {
    /// Attempts per request, the first included. 1 never tries again. Each fallback of a model is tried once in any case.
    pub attempts: u32,
    /// Wait before the second attempt; doubled for each further one, with jitter.
    pub first_delay: Period,
    /// Longest wait between attempts.
    pub max_delay: Period,
    /// A provider that asks to wait longer than this is not asked again; the client gets its answer.
    pub max_retry_after: Period,
    /// Further attempts at providers that were tried already, as a share of the requests that are served: a storm of errors
    /// is passed on, not amplified.
    pub budget: f64,
}

impl Default for Retrying {
    fn default() -> Self {
        Self {
            attempts: 2,
            first_delay: Period::milliseconds(250),
            max_delay: Period::seconds(4),
            max_retry_after: Period::seconds(2),
            budget: 0.2,
        }
    }
}

/// What happens to a provider's answer when the client hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disconnect {
    /// The provider's answer is cut at once: costs less.
    Cancel,
    /// The answer is read to its end for the record: knows the true token figures.
    Drain,
}

/// How streams are treated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Streaming {
    /// What to do when the client hangs up.
    pub on_disconnect: Disconnect,
    /// Send the dialect's own keep-alive between two events after this much silence. Off unless set: the answer's bytes
    /// are then the provider's and nothing else. A translated stream has one after `15s` of its own accord.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<Period>,
    /// Ask OpenAI Chat streams for their token figures when the client did not; the client then gets one more event.
    pub include_usage: bool,
}

impl Default for Streaming {
    fn default() -> Self {
        Self { on_disconnect: Disconnect::Cancel, keep_alive: None, include_usage: false }
    }
}

/// Who may talk to the gateway from a web page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Further names that a `Host` header may have on a loopback listener, besides localhost and the address itself.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call the gateway, such as `http://localhost:3000`; `*` for all. None by default.
    pub cors_origins: Vec<String>,
}

/// The way out to the providers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Certificates (PEM) to trust besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_ca_file: Option<PathBuf>,
    /// Client certificate chain (PEM) for providers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<PathBuf>,
    /// Private key (PEM) of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<PathBuf>,
    /// Take `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` from the environment.
    pub proxy_from_environment: bool,
    /// Speak HTTP/2 to providers that offer it. One connection per provider then carries everything.
    pub http2: bool,
    /// Idle connections kept per provider.
    pub idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Period,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            extra_ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            proxy_from_environment: true,
            http2: false,
            idle_connections: 256,
            idle_timeout: Period::seconds(90),
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the gateway says of itself on standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What is said: `error`, `warn`, `info`, `debug`, `trace`, or a list such as `info,hyper=warn`.
    pub level: String,
    /// How it is said.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}
