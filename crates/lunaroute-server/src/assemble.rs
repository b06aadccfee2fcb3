//! Makes the rooms from the configuration.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lunaroute_catalog::Catalog;
use lunaroute_core::{Dialect, Secret, Timestamp};
use lunaroute_dialect::cross::Profile;
use lunaroute_dialect::models;
use lunaroute_egress::retry::RetryPolicy;
use lunaroute_egress::{
    BaseUrl, Client, ClientIdentity, Credential, CredentialStyle, InvalidBaseUrl, ProxyRules, Timeouts,
};
use lunaroute_ingress::{BindError, Budget, Cors};
use lunaroute_observability::log::{self, Format, LogError};
use lunaroute_observability::{Labels, Metrics, MetricsError};
use lunaroute_routing::{DefaultProvider, ModelRule, RetryBudget, Table, TableError};
use lunaroute_session::RecorderError;
use lunaroute_session::query::QueryError;
use lunaroute_session::sqlite::OpenError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{
    Authentication, Config, Difference, Disconnect, Environment, Fallback, Provider, ProviderFamily,
};
use crate::descriptors;
use crate::house::{House, Limits, Remainder, StreamPolicy, Upstream};
use crate::records;
use crate::response_store::{Bounds, ResponseStore};

/// How long a browser may remember that it may call.
const PREFLIGHT_AGE: std::time::Duration = std::time::Duration::from_secs(600);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A provider's address cannot be used.
    #[error("providers.{name}.base_url: {cause}")]
    BaseUrl {
        /// The provider.
        name: String,
        /// Why.
        cause: InvalidBaseUrl,
    },
    /// A provider's key cannot be read or used.
    #[error("providers.{name}: {message}")]
    Key {
        /// The provider.
        name: String,
        /// Why, never with the key.
        message: String,
    },
    /// The rules of the configuration contradict each other.
    #[error("models: {0}")]
    Routes(#[from] TableError),
    /// The overlay of the catalog of models cannot be used.
    #[error("catalog.overlay: {}: {message}", path.display())]
    Catalog {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The way out cannot be set up.
    #[error("network: {0}")]
    Egress(#[from] lunaroute_egress::ConfigError),
    /// The environment names a proxy that cannot be used.
    #[error(
        "proxy from the environment: {0}; mend the variable or set network.proxy_from_environment to false"
    )]
    Proxy(#[from] lunaroute_egress::InvalidProxy),
    /// The address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The log level cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Something in the state directory is not as it should be.
    #[error("{}: {message}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The database cannot be opened.
    #[error(
        "{cause}; or go on without it: recording.sqlite: false keeps the journal, from which it can be filled later"
    )]
    Database {
        /// Why.
        cause: OpenError,
    },
    /// The sessions of an earlier run cannot be read.
    #[error(transparent)]
    Sessions(#[from] QueryError),
    /// The JSON Lines files cannot be written.
    #[error("the session files cannot be written: {message}")]
    Files {
        /// Why.
        message: String,
    },
    /// The recorder cannot start.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The figures cannot be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The system gave no way to hear its signals or make its threads.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

/// Checks what can be checked of a configuration without listening, recording or calling anybody.
///
/// # Errors
/// [`StartError`], the one with which the gateway would not start.
pub fn check(config: &Config) -> Result<(), StartError> {
    log::subscriber(Format::Text, &config.log.level, false, io::sink)?;
    upstreams(config)?;
    routes(config)?;
    catalog(config)?;
    Client::new(&egress(config, &Environment::default())?)?;
    Ok(())
}

/// Makes the house for a listener's address.
pub(crate) fn house(
    config: &Config,
    environment: &Environment,
    local: SocketAddr,
) -> Result<House, StartError> {
    let offered: Vec<models::Entry> = offered_models(config);
    let labels = Labels {
        providers: config.providers.iter().map(|(name, provider)| (name.clone(), spoken(provider))).collect(),
        models: offered.iter().map(|model| model.id.clone()).collect(),
    };
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), &labels)?);
    // What the configuration can get wrong comes first: a gateway that does not start writes nothing.
    let (routes, upstreams, catalog) = (routes(config)?, upstreams(config)?, catalog(config)?);
    let egress = Client::new(&egress(config, environment)?)?;
    let directory = records::directory(config, environment);
    Ok(House {
        ingress: ingress(config),
        local,
        listener: local.to_string().into(),
        recorder: records::start(config, &directory, Arc::clone(&metrics) as _)?,
        recording_required: config.recording.required,
        metrics,
        translates: routes.translates(),
        routes,
        catalog,
        strict_translation: config.translation.strict,
        upstreams,
        egress,
        timeouts: Timeouts {
            first_byte: config.timeouts.first_byte.duration(),
            idle: config.timeouts.idle.duration(),
            total: Some(config.timeouts.total.duration()),
        },
        retry: RetryPolicy {
            max_attempts: config.retry.attempts,
            first_delay: config.retry.first_delay.duration(),
            max_delay: config.retry.max_delay.duration(),
            max_retry_after: config.retry.max_retry_after.duration(),
        },
        retry_budget: RetryBudget::new(config.retry.budget),
        streaming: StreamPolicy {
            keep_alive: config.streaming.keep_alive.map(crate::config::Period::duration),
            include_usage: config.streaming.include_usage,
            remainder: (config.streaming.on_disconnect == Disconnect::Drain)
                .then(|| Remainder { tasks: TaskTracker::new(), cut: CancellationToken::new() }),
        },
        limits: Limits {
            decoded_body: config.limits.decoded_body.bytes(),
            requests: Budget::new(config.limits.requests),
            bodies: Budget::new(config.limits.bodies.bytes()),
            websocket_idle: config.responses.websocket_idle.duration(),
        },
        websocket: config.responses.websocket,
        responses: Arc::new(ResponseStore::new(Bounds {
            answers: config.responses.remembered,
            bytes: config.responses.memory.bytes(),
            age: config.responses.remembered_for.duration(),
        })),
        models: offered,
        stopping: AtomicBool::new(false),
        cutting: Arc::default(),
    })
}

/// The listener's settings.
pub(crate) fn ingress(config: &Config) -> lunaroute_ingress::Config {
    let origins = &config.access.cors_origins;
    lunaroute_ingress::Config {
        header_read_timeout: config.timeouts.header_read.duration(),
        header_limit_bytes: config.limits.headers.bytes(),
        max_connections: descriptors::connections(config.limits.connections),
        max_concurrent_streams: config.limits.streams_per_connection,
        body_limit_bytes: config.limits.body.bytes(),
        body_read_timeout: config.timeouts.body_read.duration(),
        write_stall_timeout: config.timeouts.write_stall.duration(),
        allowed_hosts: config.access.allowed_hosts.clone(),
        cors: (!origins.is_empty())
            .then(|| Cors { allowed_origins: origins.clone(), max_age: PREFLIGHT_AGE }),
        ..lunaroute_ingress::Config::default()
    }
}

fn egress(config: &Config, environment: &Environment) -> Result<lunaroute_egress::Config, StartError> {
    let network = &config.network;
    let identity = network.client_certificate_file.clone().zip(network.client_key_file.clone());
    Ok(lunaroute_egress::Config {
        connect_timeout: config.timeouts.connect.duration(),
        pool_idle_timeout: network.idle_timeout.duration(),
        pool_max_idle_per_host: network.idle_connections,
        extra_ca_file: network.extra_ca_file.clone(),
        client_identity: identity
            .map(|(certificate_file, key_file)| ClientIdentity { certificate_file, key_file }),
        proxy: if network.proxy_from_environment { proxy(environment)? } else { None },
        http2: network.http2,
        ..lunaroute_egress::Config::default()
    })
}

/// The proxy rules of the environment, in either spelling of its variables.
fn proxy(environment: &Environment) -> Result<Option<ProxyRules>, StartError> {
    let value = |name: &str| {
        environment.get(&name.to_lowercase()).or_else(|| environment.get(name)).unwrap_or_default().to_owned()
    };
    let [http, https, all] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(value);
    if http.is_empty() && https.is_empty() && all.is_empty() {
        return Ok(None);
    }
    Ok(Some(ProxyRules::new(&http, &https, &all, &value("NO_PROXY"))?))
}

/// The family of a provider; the checks of the configuration have filled it in.
fn family(provider: &Provider) -> ProviderFamily {
    provider.dialect.unwrap_or(ProviderFamily::Openai)
}

/// The dialects of a provider, the one first to which others are translated. Every host of OpenAI's dialects has Chat;
/// OpenAI itself keeps its reasoning between calls only in Responses.
fn spoken(provider: &Provider) -> Vec<Dialect> {
    let mut dialects = match &provider.dialects {
        Some(named) => return named.clone(),
        None => family(provider).dialects().to_vec(),
    };
    if provider.base_url.as_deref().is_some_and(|url| url.contains("//api.openai.com")) {
        dialects.reverse();
    }
    dialects
}

fn routes(config: &Config) -> Result<Table, TableError> {
    let providers = config.providers.iter().map(|(name, provider)| lunaroute_routing::Provider {
        name: name.clone(),
        dialects: spoken(provider),
    });
    let models = config.models.iter().map(|route| ModelRule {
        pattern: route.model.clone(),
        provider: route.provider.clone(),
        upstream_model: route.upstream.clone(),
        fallbacks: route.fallbacks.iter().map(fallback).collect(),
        repair: route.repair,
    });
    let defaults = Dialect::ALL.into_iter().filter_map(|dialect| {
        Some(DefaultProvider { dialect, provider: default_provider(config, dialect)? })
    });
    Table::new(providers.collect(), models.collect(), defaults.collect())
}

fn fallback(fallback: &Fallback) -> lunaroute_routing::Fallback {
    lunaroute_routing::Fallback {
        provider: fallback.provider.clone(),
        upstream_model: fallback.upstream.clone(),
    }
}

/// The provider marked as default for a dialect's family, else the built-in one. One that does not speak the dialect
/// itself is translated to.
fn default_provider(config: &Config, dialect: Dialect) -> Option<String> {
    let is_of_family = |provider: &Provider| family(provider).dialects().contains(&dialect);
    let marked = config.providers.iter().find(|(_, provider)| provider.default && is_of_family(provider));
    let built_in = || {
        let name = match dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
        };
        config.providers.get_key_value(name).filter(|(_, provider)| is_of_family(provider))
    };
    marked.or_else(built_in).map(|(name, _)| name.clone())
}

/// What a provider does otherwise than the vendor.
fn profile(provider: &Provider) -> Profile {
    let differs = |difference| provider.differences.contains(&difference);
    Profile {
        legacy_max_tokens: differs(Difference::LegacyMaxTokens),
        takes_reasoning: differs(Difference::TakesReasoning),
        interleaved_calls: differs(Difference::InterleavedCalls),
        no_stream_options: differs(Difference::NoStreamOptions),
        continues_final_message: differs(Difference::ContinuesFinalMessage),
        no_custom_tools: differs(Difference::NoCustomTools),
        plain_content: differs(Difference::PlainContent),
        no_cache_hints: differs(Difference::NoCacheHints),
    }
}

/// In what a configured provider differs from the vendor of its dialects; `None` when there is none of this name.
#[must_use]
pub fn differences(config: &Config, provider: &str) -> Option<Profile> {
    config.providers.get(provider).map(profile)
}

/// What is known about models: what is built in, and the configured overlay over it.
///
/// # Errors
/// [`StartError::Catalog`] when the overlay cannot be read.
pub fn catalog(config: &Config) -> Result<Catalog, StartError> {
    let catalog = Catalog::bundled();
    let Some(path) = &config.catalog.overlay else { return Ok(catalog) };
    let refuse = |message: String| StartError::Catalog { path: path.clone(), message };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    catalog.with_overlay(&text).map_err(|error| refuse(error.to_string()))
}

fn upstreams(config: &Config) -> Result<HashMap<Arc<str>, Upstream>, StartError> {
    let upstream = |(name, provider): (&String, &Provider)| {
        let base = BaseUrl::parse(provider.base_url.as_deref().unwrap_or_default())
            .map_err(|cause| StartError::BaseUrl { name: name.clone(), cause })?;
        let credential =
            key(name, provider)?.map(|secret| credential(name, provider, &secret)).transpose()?;
        let profile = profile(provider);
        Ok((Arc::from(name.as_str()), Upstream { base, credential, profile }))
    };
    config.providers.iter().map(upstream).collect()
}

fn credential(name: &str, provider: &Provider, secret: &Secret) -> Result<Credential, StartError> {
    let style = match (provider.authentication, family(provider)) {
        (Some(Authentication::Bearer), _) | (None, ProviderFamily::Openai) => CredentialStyle::Bearer,
        (Some(Authentication::XApiKey), _) | (None, ProviderFamily::Anthropic) => CredentialStyle::XApiKey,
        (Some(Authentication::ApiKey), _) => CredentialStyle::ApiKey,
        (Some(Authentication::XGoogApiKey), _) | (None, ProviderFamily::Gemini) => {
            CredentialStyle::XGoogApiKey
        }
    };
    Credential::new(style, secret)
        .map_err(|error| StartError::Key { name: name.to_owned(), message: error.to_string() })
}

/// The provider's key, from the configuration or its file.
fn key(name: &str, provider: &Provider) -> Result<Option<Secret>, StartError> {
    if let Some(key) = &provider.api_key {
        return Ok(Some(key.0.clone()));
    }
    let Some(path) = &provider.api_key_file else { return Ok(None) };
    let refuse = |message: String| StartError::Key { name: name.to_owned(), message };
    let unreadable =
        |error: io::Error| refuse(format!("cannot read api_key_file {}: {error}", path.display()));
    if is_open_to_others(path).map_err(unreadable)? {
        return Err(refuse(format!(
            "api_key_file {} can be read by other users; chmod 600 it",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(Some(Secret::new(text.trim())))
}

fn is_open_to_others(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// The exact names of the `models` table; a pattern is no name that a client could send.
fn offered_models(config: &Config) -> Vec<models::Entry> {
    let created = Timestamp::now();
    let exact = config.models.iter().filter(|route| !route.model.contains(['*', '?', '[', '{']));
    exact
        .map(|route| models::Entry {
            id: route.model.clone(),
            display_name: route.model.clone(),
            owned_by: route.provider.clone(),
            created,
        })
        .collect()
}
