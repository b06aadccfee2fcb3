//! Reads the configuration from its sources, later ones over earlier ones.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check;
use super::paths::{Environment, find_file};
use super::schema::Config;

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The file to read, instead of looking for one.
    pub file: Option<PathBuf>,
    /// The address to listen on.
    pub listen: Option<SocketAddr>,
    /// The log level.
    pub log_level: Option<String>,
}

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, checked.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// Why there is no configuration. Exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {cause}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file's ending says no known format.
    #[error("{} is no configuration file: its name must end in .yaml, .yml, .toml or .json", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The text is not what a configuration can be.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file, or the variable.
        origin: String,
        /// Where in it and why, with the nearest known name for an unknown key.
        message: String,
    },
    /// `${env:NAME}` names a variable that is not set.
    #[error("{key}: the environment variable {variable} is not set; set it, or take ${{env:{variable}}} out")]
    MissingVariable {
        /// The key that uses it.
        key: String,
        /// The variable.
        variable: String,
    },
}

/// Reads and checks the configuration: defaults, the file, `LUNAROUTE_*` variables, the command line.
///
/// # Errors
/// [`ConfigError`], which says which source is wrong, where and why.
pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Loaded, ConfigError> {
    let file = overrides.file.clone().or_else(|| find_file(environment));
    let (mut tree, mistake) = match &file {
        Some(path) => read_file(path)?,
        None => (Value::Object(serde_json::Map::new()), None),
    };
    expand(&mut tree, environment, "")?;
    let mut config = from_tree(&tree, file.as_deref()).map_err(|error| located(error, mistake))?;
    for (variable, value) in environment.iter() {
        let Some(key) = overlay_key(variable) else { continue };
        set(&mut tree, &key, value);
        config = typed::<Config>(tree.clone()).map_err(|error| ConfigError::Invalid {
            origin: format!("environment variable {variable}"),
            message: check::with_suggestion(&error.to_string()),
        })?;
    }
    if let Some(listen) = overrides.listen {
        config.listen = listen;
    }
    if let Some(level) = &overrides.log_level {
        config.log.level.clone_from(level);
    }
    let origin =
        file.as_ref().map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string());
    check::check(&mut config).map_err(|message| ConfigError::Invalid { origin, message })?;
    Ok(Loaded { config, file })
}

/// The tree of the file, and what the typed reading of its text had against it: only that knows line and column of a
/// mistake, but it takes a `${env:NAME}` that stands for a number or an address for one.
fn read_file(path: &Path) -> Result<(Value, Option<ConfigError>), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
    let invalid = |message: String| ConfigError::Invalid {
        origin: path.display().to_string(),
        message: check::with_suggestion(&message),
    };
    let (mistake, tree) = match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml" | "json") => match parse_yaml(&text) {
            // Nothing but comments.
            Ok(Value::Null) => (None, Ok(Value::Object(serde_json::Map::new()))),
            tree => (parse_yaml::<Config>(&text).err(), tree),
        },
        Some("toml") => (
            toml::from_str::<Config>(&text).err().map(|error| error.to_string()),
            toml::from_str(&text).map_err(|error| error.to_string()),
        ),
        _ => return Err(ConfigError::UnknownFormat { path: path.to_owned() }),
    };
    match mistake {
        Some(message) if !text.contains("${env:") => Err(invalid(message)),
        mistake => Ok((tree.map_err(invalid)?, mistake.map(invalid))),
    }
}

/// The mistake in the tree, told with its place in the file when the reading of the text met the same one.
fn located(error: ConfigError, mistake: Option<ConfigError>) -> ConfigError {
    match (&error, mistake) {
        (ConfigError::Invalid { message, .. }, Some(ConfigError::Invalid { origin, message: placed }))
            if message.split(',').next().is_some_and(|core| placed.contains(core)) =>
        {
            ConfigError::Invalid { origin, message: placed }
        }
        _ => error,
    }
}

fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

fn typed<T: DeserializeOwned>(tree: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(tree)
}

fn from_tree(tree: &Value, file: Option<&Path>) -> Result<Config, ConfigError> {
    typed(tree.clone()).map_err(|error| ConfigError::Invalid {
        origin: file.map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string()),
        message: check::with_suggestion(&error.to_string()),
    })
}

/// Replaces `${env:NAME}` in every text of the tree.
fn expand(tree: &mut Value, environment: &Environment, key: &str) -> Result<(), ConfigError> {
    match tree {
        Value::String(text) => {
            let mut rest = text.as_str();
            let mut expanded = String::new();
            while let Some((before, after)) = rest.split_once("${env:") {
                let Some((variable, behind)) = after.split_once('}') else { break };
                let value = environment.get(variable).ok_or_else(|| ConfigError::MissingVariable {
                    key: key.to_owned(),
                    variable: variable.to_owned(),
                })?;
                expanded.push_str(before);
                expanded.push_str(value);
                rest = behind;
            }
            expanded.push_str(rest);
            *text = expanded;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| expand(item, environment, key)),
        Value::Object(members) => members.iter_mut().try_for_each(|(name, value)| {
            let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            expand(value, environment, &inner)
        }),
        _ => Ok(()),
    }
}

/// `LUNAROUTE_RECORDING__SYNC` sets `recording.sync`. Variables with a meaning of their own are not keys.
fn overlay_key(variable: &str) -> Option<Vec<String>> {
    let key = variable.strip_prefix("LUNAROUTE_")?;
    if matches!(key, "HOME" | "CONFIG" | "BIN" | "SIM_BIN") {
        return None;
    }
    Some(key.split("__").map(str::to_ascii_lowercase).collect())
}

/// Sets a key. A value that reads as JSON (a number, `true`, a list) is taken as that, anything else as text.
fn set(tree: &mut Value, key: &[String], value: &str) {
    let Some((name, inner)) = key.split_first() else {
        *tree = match serde_json::from_str(value) {
            Ok(Value::Object(_) | Value::Null) | Err(_) => Value::String(value.to_owned()),
            Ok(typed) => typed,
        };
        return;
    };
    if !tree.is_object() {
        *tree = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(members) = tree {
        set(members.entry(name.clone()).or_insert(Value::Null), inner, value);
    }
}
