//! What a type cannot say about a configuration, and help with a misspelt key.

use lunaroute_core::Dialect;

use super::provider::{Provider, ProviderFamily};
use super::recording::{Recording, Retention, Synchronisation};
use super::schema::Config;
use super::units::{Period, Size};

/// The providers that exist without any configuration: name, dialects, address.
const BUILT_IN: [(&str, ProviderFamily, &str); 3] = [
    ("openai", ProviderFamily::Openai, "https://api.openai.com/v1"),
    ("anthropic", ProviderFamily::Anthropic, "https://api.anthropic.com"),
    ("gemini", ProviderFamily::Gemini, "https://generativelanguage.googleapis.com"),
];

/// Completes the built-in providers and refuses what cannot work.
pub(super) fn check(config: &mut Config) -> Result<(), String> {
    for (name, family, base_url) in BUILT_IN {
        let provider = config.providers.entry(name.to_owned()).or_insert_with(|| Provider {
            dialect: None,
            dialects: None,
            differences: Vec::new(),
            base_url: None,
            api_key: None,
            api_key_file: None,
            authentication: None,
            default: false,
        });
        provider.dialect.get_or_insert(family);
        provider.base_url.get_or_insert_with(|| base_url.to_owned());
    }
    for (name, provider) in &config.providers {
        check_provider(name, provider)?;
    }
    check_defaults(config)?;
    check_models(config)?;
    if config.retry.attempts == 0 || config.retry.attempts > 10 {
        return Err(format!(
            "retry.attempts is {}; it is 1 to 10, the first attempt included",
            config.retry.attempts
        ));
    }
    if !(0.0..=1.0).contains(&config.retry.budget) {
        return Err(format!("retry.budget is {}; it is a share from 0 to 1", config.retry.budget));
    }
    if config.network.client_certificate_file.is_some() != config.network.client_key_file.is_some() {
        return Err(
            "network.client_certificate_file and network.client_key_file go together; set both".to_owned()
        );
    }
    check_recording(&config.recording)?;
    check_bounds(config)?;
    let limits = &config.limits;
    let least = [
        ("limits.requests", limits.requests),
        ("limits.connections", limits.connections),
        ("limits.streams_per_connection", limits.streams_per_connection as usize),
    ];
    if let Some((key, _)) = least.iter().find(|(_, value)| *value == 0) {
        return Err(format!("{key} is 0; it is at least 1"));
    }
    if limits.bodies < limits.body {
        return Err(format!(
            "limits.bodies is {}; the largest body (limits.body, {}) has to fit into it",
            limits.bodies, limits.body
        ));
    }
    check_listener(config)
}

/// What a key asks for and another one forbids.
fn check_recording(recording: &Recording) -> Result<(), String> {
    if recording.required && !recording.enabled {
        return Err("recording.required: true refuses what cannot be recorded, and recording.enabled: false records nothing; \
                    leave one of them out"
            .to_owned());
    }
    if !recording.jsonl && recording.archive_after_days.is_some() {
        return Err("recording.archive_after_days is about JSON Lines files, and recording.jsonl: false writes none; leave one \
                    of them out"
            .to_owned());
    }
    let interval = Recording::default().sync_interval;
    if recording.sync != Synchronisation::Interval && recording.sync_interval != interval {
        return Err("recording.sync_interval has an effect with recording.sync: interval alone; leave it out, or set that"
            .to_owned());
    }
    if !recording.sqlite && recording.retention != Retention::default() {
        return Err("recording.retention has no effect with recording.sqlite: false, for the database tells what is old; \
                    leave recording.retention out, or set recording.sqlite: true"
            .to_owned());
    }
    Ok(())
}

/// At most one default of a family.
fn check_defaults(config: &Config) -> Result<(), String> {
    for (_, family, _) in BUILT_IN {
        let named: Vec<&str> = config
            .providers
            .iter()
            .filter(|(_, provider)| provider.default && provider.dialect == Some(family))
            .map(|(name, _)| name.as_str())
            .collect();
        if named.len() > 1 {
            return Err(format!(
                "providers {} are all `default: true` for the same dialect; keep it at one of them",
                named.join(", ")
            ));
        }
    }
    Ok(())
}

/// Providers that model rules name.
fn check_models(config: &Config) -> Result<(), String> {
    for (number, route) in config.models.iter().enumerate() {
        let fallbacks = route.fallbacks.iter().map(|fallback| &fallback.provider).enumerate();
        let named =
            fallbacks.map(|(place, provider)| (format!("models[{number}].fallbacks[{place}]"), provider));
        for (place, provider) in std::iter::once((format!("models[{number}]"), &route.provider)).chain(named)
        {
            check_known(config, &place, provider)?;
        }
    }
    Ok(())
}

fn check_known(config: &Config, place: &str, provider: &str) -> Result<(), String> {
    if config.providers.contains_key(provider) {
        return Ok(());
    }
    let known: Vec<&str> = config.providers.keys().map(String::as_str).collect();
    let (names, suggestion) = (known.join(", "), suggestion(provider, &known));
    let message = format!("{place}.provider: there is no provider '{provider}', only {names}; {suggestion}");
    Err(message.trim_end_matches("; ").to_owned())
}

/// Figures with which a room could not work, under the names that the file has for them.
fn check_bounds(config: &Config) -> Result<(), String> {
    let sizes = [
        ("limits.body", config.limits.body, Size::kibibytes(1), Size::mebibytes(60)),
        ("limits.decoded_body", config.limits.decoded_body, Size::kibibytes(1), Size::mebibytes(1024)),
        ("limits.bodies", config.limits.bodies, Size::kibibytes(1), Size::mebibytes(1024 * 1024)),
        ("limits.headers", config.limits.headers, Size::kibibytes(8), Size::mebibytes(1)),
        ("responses.memory", config.responses.memory, Size::kibibytes(1), Size::mebibytes(1024 * 1024)),
        ("recording.queue", config.recording.queue, Size::mebibytes(1), Size::mebibytes(16 * 1024)),
    ];
    for (key, size, least, most) in sizes {
        if size < least || size > most {
            return Err(format!("{key} is {size}; it is {least} to {most}"));
        }
    }
    let times = &config.timeouts;
    let periods = [
        ("timeouts.header_read", times.header_read),
        ("timeouts.body_read", times.body_read),
        ("timeouts.write_stall", times.write_stall),
        ("timeouts.connect", times.connect),
        ("timeouts.first_byte", times.first_byte),
        ("timeouts.idle", times.idle),
        ("timeouts.total", times.total),
        ("responses.websocket_idle", config.responses.websocket_idle),
        ("responses.remembered_for", config.responses.remembered_for),
        ("recording.sync_interval", config.recording.sync_interval),
        ("recording.session_idle", config.recording.session_idle),
        ("network.idle_timeout", config.network.idle_timeout),
    ];
    let keep_alive = config.streaming.keep_alive.map(|period| ("streaming.keep_alive", period));
    match periods.into_iter().chain(keep_alive).find(|(_, period)| *period < Period::milliseconds(1)) {
        Some((key, period)) => Err(format!("{key} is {period}; it is 1ms or more")),
        None => Ok(()),
    }
}

fn check_provider(name: &str, provider: &Provider) -> Result<(), String> {
    if provider.dialect.is_none() {
        return Err(format!("providers.{name}.dialect is missing; it is openai, anthropic or gemini"));
    }
    if let (Some(family), Some(named)) = (provider.dialect, &provider.dialects) {
        let known = family.dialects();
        let is_twice = |(place, dialect): (usize, &Dialect)| named[..place].contains(dialect);
        if named.is_empty() || !named.iter().all(|dialect| known.contains(dialect)) {
            let known: Vec<&str> = known.iter().map(|dialect| dialect.as_str()).collect();
            return Err(format!(
                "providers.{name}.dialects has to name some of the family's dialects: {}",
                known.join(", ")
            ));
        }
        if named.iter().enumerate().any(is_twice) {
            return Err(format!("providers.{name}.dialects names a dialect twice; keep it once"));
        }
    }
    if provider.base_url.is_none() {
        return Err(format!(
            "providers.{name}.base_url is missing; it is something like http://127.0.0.1:11434/v1"
        ));
    }
    if provider.api_key.is_some() && provider.api_key_file.is_some() {
        return Err(format!("providers.{name} has both api_key and api_key_file; keep one"));
    }
    let keyless = provider.api_key.is_none() && provider.api_key_file.is_none();
    if provider.authentication.is_some() && keyless {
        return Err(format!(
            "providers.{name}.authentication says how a key travels, but there is no api_key and no api_key_file"
        ));
    }
    if let Some(key) = &provider.api_key
        && (key.0.expose().is_empty() || key.0.expose().bytes().any(|byte| !(0x21..0x7f).contains(&byte)))
    {
        return Err(format!("providers.{name}.api_key is empty or has a space or control character in it"));
    }
    Ok(())
}

/// A gateway that holds provider keys and listens beyond this machine would serve anybody who finds it, because
/// callers cannot be told apart yet.
fn check_listener(config: &Config) -> Result<(), String> {
    let keyed = config
        .providers
        .iter()
        .find(|(_, provider)| provider.api_key.is_some() || provider.api_key_file.is_some());
    match keyed {
        Some((name, _)) if !config.listen.ip().is_loopback() => Err(format!(
            "listen is {} while providers.{name} has a key: everybody who reaches that address could use the key; \
             listen on 127.0.0.1, or take the key out so that callers bring their own",
            config.listen
        )),
        _ => Ok(()),
    }
}

/// The message, with the nearest known name when it speaks of an unknown one.
pub(super) fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some((_, after)) = message.split_once("unknown field `") else { return message.to_owned() };
    let Some((unknown, rest)) = after.split_once('`') else { return message.to_owned() };
    // Each format writes the list with other signs around the names, and some show the file's lines behind it.
    let expectation =
        rest.lines().next().and_then(|line| line.split_once("expected ")).map_or("", |(_, list)| list);
    let known: Vec<&str> = expectation
        .split([' ', ',', '`'])
        .filter(|word| !matches!(*word, "" | "one" | "of" | "or"))
        .collect();
    let suggestion = suggestion(unknown, &known);
    // Behind lines of the file it would look like one of them.
    let separator = if message.contains('\n') { "\n" } else { "; " };
    if suggestion.is_empty() { message.to_owned() } else { format!("{message}{separator}{suggestion}") }
}

/// `did you mean 'NAME'?`; empty when no known name is near.
fn suggestion(given: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 2).max(2))
        .min()
        .map(|(_, name)| format!("did you mean '{name}'?"))
        .unwrap_or_default()
}
