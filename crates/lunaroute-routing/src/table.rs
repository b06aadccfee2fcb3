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
    /// The dialects that it speaks, at least one. A caller of another dialect is translated to the first.
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
    /// Who is tried after it, in this order, when it fails.
    pub fallbacks: Vec<Fallback>,
    /// Whether what the model would refuse is put right in requests of its own dialect.
    pub repair: bool,
}

/// A provider that takes over when those before it have failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The provider's configured name.
    pub provider: String,
    /// The name that it knows the model by; `None` keeps the client's.
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
    defaults: HashMap<Dialect, Choice>,
}

#[derive(Debug, Clone)]
struct CompiledRule {
    pattern: Arc<str>,
    first: Choice,
    fallbacks: Vec<Choice>,
    repair: bool,
}

/// A provider that may become a target.
#[derive(Debug, Clone)]
struct Choice {
    provider: Arc<str>,
    speaks: Arc<[Dialect]>,
    upstream_model: Option<Arc<str>>,
}

impl Choice {
    /// The target of this request; `None` when it cannot be asked here.
    fn target(&self, head: &Head<'_>, rule: &Rule, repair: bool) -> Option<Target> {
        Some(Target {
            provider: Arc::clone(&self.provider),
            dialect: head.spoken_to(&self.speaks)?,
            upstream_model: self.upstream_model.clone(),
            repair,
            rule: rule.clone(),
        })
    }
}

/// Providers by name, while a table is being made.
struct Known(HashMap<String, (Arc<str>, Arc<[Dialect]>)>);

impl Table {
    /// Checks and compiles a table. An exact name wins over every glob; among globs the first one wins.
    ///
    /// # Errors
    /// A [`TableError`] that names the entry when a name is used twice or not known, a pattern is empty or no glob, or a
    /// rule could never win.
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
    /// [`NoRoute`] when neither a rule nor a default covers the request, or when it asks for what no provider of its rule
    /// has in a dialect that it can be said in.
    pub fn plan(&self, head: &Head<'_>) -> Result<Plan, NoRoute> {
        let Some((rule, why)) = head.routed_model().and_then(|model| self.rule_of(model)) else {
            let default = self.defaults.get(&head.dialect);
            let why = Rule::Default(head.dialect);
            let Choice { provider, speaks, .. } =
                default.ok_or(NoRoute::NoDefault { dialect: head.dialect })?;
            // What cannot be translated goes to it as it is: it is the one that the operator has for such callers.
            let dialect = head.spoken_to(speaks).unwrap_or(head.dialect);
            let provider = Arc::clone(provider);
            let target = Target { provider, dialect, upstream_model: None, repair: false, rule: why };
            return Ok(Plan { targets: vec![target] });
        };
        let choices = std::iter::once(&rule.first).chain(&rule.fallbacks);
        let targets: Vec<Target> =
            choices.filter_map(|choice| choice.target(head, &why, rule.repair)).collect();
        if targets.is_empty() {
            return Err(NoRoute::OtherDialect {
                pattern: rule.pattern.to_string(),
                provider: rule.first.provider.to_string(),
                caller: head.dialect,
                speaks: rule.first.speaks.to_vec(),
            });
        }
        Ok(Plan { targets })
    }

    /// Whether some caller could be sent to a provider that does not speak its dialect.
    #[must_use]
    pub fn translates(&self) -> bool {
        let knows_all = |choice: &Choice| Dialect::ALL.iter().all(|dialect| choice.speaks.contains(dialect));
        let mut choices =
            self.rules.iter().flat_map(|rule| std::iter::once(&rule.first).chain(&rule.fallbacks));
        let is_foreign = |(dialect, choice): (&Dialect, &Choice)| !choice.speaks.contains(dialect);
        choices.any(|choice| !knows_all(choice)) || self.defaults.iter().any(is_foreign)
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

    fn choice(
        &self,
        provider: &str,
        upstream_model: Option<String>,
        entry: impl FnOnce() -> String,
    ) -> Result<Choice, TableError> {
        let (provider, speaks) = self.get(provider, entry)?;
        Ok(Choice { provider, speaks, upstream_model: upstream_model.map(Into::into) })
    }

    fn defaults(&self, defaults: Vec<DefaultProvider>) -> Result<HashMap<Dialect, Choice>, TableError> {
        let mut map = HashMap::new();
        for DefaultProvider { dialect, provider } in defaults {
            let choice = self.choice(&provider, None, || format!("the default of {dialect}"))?;
            if map.insert(dialect, choice).is_some() {
                return Err(TableError::DuplicateDefault { dialect });
            }
        }
        Ok(map)
    }

    fn rule(&self, rule: ModelRule) -> Result<CompiledRule, TableError> {
        let ModelRule { pattern, provider, upstream_model, fallbacks, repair } = rule;
        if pattern.is_empty() {
            return Err(TableError::EmptyPattern { provider });
        }
        let mut names =
            std::iter::once(&upstream_model).chain(fallbacks.iter().map(|next| &next.upstream_model));
        if names.any(|name| name.as_deref() == Some("")) {
            return Err(TableError::EmptyUpstreamModel { pattern });
        }
        let entry = || format!("the model rule '{pattern}'");
        let first = self.choice(&provider, upstream_model, entry)?;
        let fallback = |Fallback { provider, upstream_model }| self.choice(&provider, upstream_model, entry);
        let fallbacks = fallbacks.into_iter().map(fallback).collect::<Result<_, _>>()?;
        Ok(CompiledRule { first, fallbacks, repair, pattern: pattern.into() })
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
