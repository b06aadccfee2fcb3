//! Where the configuration and the records are, and what the environment says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// The environment of the process, taken once. Values of variables that are not UTF-8 are left out.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        let known = std::env::vars_os();
        Self(
            known
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// The value of a variable; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Where records are kept when the configuration does not say: `LUNAROUTE_HOME`, else `lunaroute` in the XDG state
/// directory, else `.lunaroute` in the working directory (a process without a home).
#[must_use]
pub fn state_directory(environment: &Environment) -> PathBuf {
    if let Some(home) = environment.get("LUNAROUTE_HOME") {
        return PathBuf::from(home);
    }
    match etcetera::base_strategy::choose_base_strategy() {
        Ok(base) => base.state_dir().unwrap_or_else(|| base.data_dir()).join("lunaroute"),
        Err(_) => PathBuf::from(".lunaroute"),
    }
}

/// The configuration file to read when none is named on the command line: `LUNAROUTE_CONFIG`, then the first of the
/// usual places that exists.
pub(super) fn find_file(environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = environment.get("LUNAROUTE_CONFIG") {
        return Some(PathBuf::from(named));
    }
    let mut directories = vec![PathBuf::from(".")];
    if let Ok(base) = etcetera::base_strategy::choose_base_strategy() {
        directories.push(base.config_dir().join("lunaroute"));
    }
    directories.push(PathBuf::from("/etc/lunaroute"));
    directories
        .into_iter()
        .flat_map(|directory| {
            ["yaml", "yml", "toml", "json"].map(|ending| directory.join(format!("lunaroute.{ending}")))
        })
        .find(|path| path.is_file())
}
