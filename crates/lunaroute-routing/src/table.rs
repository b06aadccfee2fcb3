//! The table of providers, model rules and defaults, checked and compiled once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use lunaroute_core::Dialect;

use crate::plan::{Head, Plan, Rule, Target};
use crate::{NoRoute, TableError};

/// A provider as routing knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its configured name.
    pub name: String,
    /// The dialects that it speaks; at least one.
    pub dialects: Vec<Dialect>,
}

/// A rule that sends models to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRule {
    /// A model's exact name, or a glob: a pattern with `*`, `?`, `[..]` or `{a,b}`. Matching is case-sensitive, `*`
    /// also matches `/`, and a backslash takes the next character literally (`claude\[1m\]`).
    pub pattern: String,
    /// The provider's configured name.
    pub provider: String,
    /// The name that the provider knows the model by; `None` keeps the client's.
    pub upstream_model: Option<String>,
}

/// The provider of all that no model rule covers, for one dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultProvider {
    /// The caller's dialect.
    pub dialect: Dialect,
    /// The provider's configured name.
    pub provider: String,
}

/// Providers, model rules and defaults. Immutable; a reload makes a new one.
#[derive(Debug, Clone)]
pub struct Table {
    rules: Vec<CompiledRule>,
    /// Position in `rules` by exact name (without the escapes of the pattern).
    exact: HashMap<String, usize>,
    globs: GlobSet,
    /// Position in `rules` of each glob of `globs`, in the order of the file.
    glob_rules: Vec<usize>,
    defaults: HashMap<Dialect, Arc<str>>,
}

#[derive(Debug, Clone)]
struct CompiledRule {
    pattern: Arc<str>,
    provider: Arc<str>,
    speaks: Arc<[Dialect]>,
    upstream_model: Option<Arc<str>>,
}

/// Providers by name, while a table is being made.
struct Known(HashMap<String, (Arc<str>, Arc<[Dialect]>)>);

impl Table {
    /// Checks and compiles a table. An exact name wins over every glob; among globs the first one wins.
    ///
    /// # Errors
    /// A [`TableError`] that names the entry when a name is used twice or not known, a default does not speak its
    /// dialect, a pattern is empty or no glob, or a rule could never win.
    pub fn new(
        providers: Vec<Provider>,
        models: Vec<ModelRule>,
        defaults: Vec<DefaultProvider>,
    ) -> Result<Self, TableError> {
        let known = Known::new(providers)?;
        let mut table = Self {
            rules: Vec::with_capacity(models.len()),
            exact: HashMap::new(),
            globs: GlobSet::empty(),
            glob_rules: Vec::new(),
            defaults: known.defaults(defaults)?,
        };
        let mut globs = GlobSetBuilder::new();
        let mut patterns = HashSet::new();
        for (position, rule) in models.into_iter().enumerate() {
            if !patterns.insert(rule.pattern.clone()) {
                return Err(TableError::DuplicatePattern { pattern: rule.pattern });
            }
            match exact_name(&rule.pattern) {
                Some(name) => {
                    if table.exact.insert(name, position).is_some() {
                        return Err(TableError::DuplicatePattern { pattern: rule.pattern });
                    }
                }
                None => {
                    globs.add(glob(&rule.pattern)?);
                    table.glob_rules.push(position);
                }
            }
            table.rules.push(known.rule(rule)?);
        }
        table.globs = globs.build().map_err(|error| TableError::InvalidGlob {
            pattern: error.glob().unwrap_or("(all patterns together)").to_owned(),
            reason: error.kind().to_string(),
        })?;
        Ok(table)
    }

    /// The targets of a request.
    ///
    /// # Errors
    /// [`NoRoute`] when neither a rule nor a default covers the request, or when its rule leads to a provider that does
    /// not speak the caller's dialect.
    pub fn plan(&self, head: &Head<'_>) -> Result<Plan, NoRoute> {
        let target = match head.routed_model().and_then(|model| self.rule_of(model)) {
            Some((rule, why)) => {
                if !rule.speaks.contains(&head.dialect) {
                    return Err(NoRoute::OtherDialect {
                        pattern: rule.pattern.to_string(),
                        provider: rule.provider.to_string(),
                        caller: head.dialect,
                        speaks: rule.speaks.to_vec(),
                    });
                }
                Target {
                    provider: Arc::clone(&rule.provider),
                    upstream_model: rule.upstream_model.clone(),
                    rule: why,
                }
            }
            None => Target {
                provider: self
                    .defaults
                    .get(&head.dialect)
                    .cloned()
                    .ok_or(NoRoute::NoDefault { dialect: head.dialect })?,
                upstream_model: None,
                rule: Rule::Default(head.dialect),
            },
        };
        Ok(Plan { targets: vec![target] })
    }

    fn rule_of(&self, model: &str) -> Option<(&CompiledRule, Rule)> {
        if let Some(&position) = self.exact.get(model) {
            let rule = &self.rules[position];
            return Some((rule, Rule::Exact(Arc::clone(&rule.pattern))));
        }
        let first = self.globs.matches(model).into_iter().min()?;
        let rule = &self.rules[self.glob_rules[first]];
        Some((rule, Rule::Glob(Arc::clone(&rule.pattern))))
    }
}

impl Known {
    fn new(providers: Vec<Provider>) -> Result<Self, TableError> {
        let mut known = HashMap::new();
        for Provider { name, dialects } in providers {
            if dialects.is_empty() {
                return Err(TableError::SilentProvider { name });
            }
            let entry = (Arc::from(name.as_str()), Arc::from(dialects));
            if known.insert(name.clone(), entry).is_some() {
                return Err(TableError::DuplicateProvider { name });
            }
        }
        Ok(Self(known))
    }

    fn get(
        &self,
        provider: &str,
        entry: impl FnOnce() -> String,
    ) -> Result<(Arc<str>, Arc<[Dialect]>), TableError> {
        self.0.get(provider).cloned().ok_or_else(|| {
            let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            names.sort_unstable();
            TableError::UnknownProvider {
                entry: entry(),
                provider: provider.to_owned(),
                known: names.join(", "),
            }
        })
    }

    fn defaults(&self, defaults: Vec<DefaultProvider>) -> Result<HashMap<Dialect, Arc<str>>, TableError> {
        let mut map = HashMap::new();
        for DefaultProvider { dialect, provider } in defaults {
            let (name, speaks) = self.get(&provider, || format!("the default of {dialect}"))?;
            if !speaks.contains(&dialect) {
                return Err(TableError::DefaultSpeaksOther { dialect, provider });
            }
            if map.insert(dialect, name).is_some() {
                return Err(TableError::DuplicateDefault { dialect });
            }
        }
        Ok(map)
    }

    fn rule(&self, rule: ModelRule) -> Result<CompiledRule, TableError> {
        let ModelRule { pattern, provider, upstream_model } = rule;
        if pattern.is_empty() {
            return Err(TableError::EmptyPattern { provider });
        }
        if upstream_model.as_deref() == Some("") {
            return Err(TableError::EmptyUpstreamModel { pattern });
        }
        let (provider, speaks) = self.get(&provider, || format!("the model rule '{pattern}'"))?;
        Ok(CompiledRule {
            pattern: pattern.into(),
            provider,
            speaks,
            upstream_model: upstream_model.map(Into::into),
        })
    }
}

/// The one name that a pattern stands for; `None` when it is a glob.
fn exact_name(pattern: &str) -> Option<String> {
    let mut name = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' | '{' => return None,
            // A backslash at the very end escapes nothing: it is left to the glob parser, which refuses it.
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
    Some(name)
}

fn glob(pattern: &str) -> Result<Glob, TableError> {
    GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build().map_err(|error| {
        TableError::InvalidGlob { pattern: pattern.to_owned(), reason: error.kind().to_string() }
    })
}
