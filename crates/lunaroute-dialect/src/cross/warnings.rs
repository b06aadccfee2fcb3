//! What a translation could not carry over, field by field.

use std::fmt;

/// Most warnings of one translation that are told apart; what comes later is told as one.
const LIMIT: usize = 64;

/// The path of all that is not told apart.
const FURTHER: &str = "further";

/// A field that was dropped or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The field in the caller's request or the provider's answer, such as `logit_bias` or `messages[2].content[0]`.
    pub path: String,
    /// What became of it, for people.
    pub what: &'static str,
    /// Whether meaning is lost: a strict translation refuses such.
    pub loses_meaning: bool,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// The warnings of one translation, each field once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings {
    warnings: Vec<Warning>,
    /// Stands for all that came when there was no room.
    further: Option<Warning>,
}

impl Warnings {
    /// A field was left out although it meant something.
    pub fn dropped(&mut self, path: impl Into<String>, what: &'static str) {
        self.note(path.into(), what, true);
    }

    /// A field was carried over in another form.
    pub fn changed(&mut self, path: impl Into<String>, what: &'static str) {
        self.note(path.into(), what, false);
    }

    fn note(&mut self, path: String, what: &'static str, loses_meaning: bool) {
        if let Some(known) = self.warnings.iter_mut().find(|known| known.path == path) {
            known.loses_meaning |= loses_meaning;
            return;
        }
        let mut warning = Warning { path, what, loses_meaning };
        if self.warnings.len() == LIMIT {
            // What loses meaning has to be told, and takes the place of what does not.
            let milder =
                self.warnings.iter().rposition(|known| !known.loses_meaning).filter(|_| loses_meaning);
            if let Some(milder) = milder {
                std::mem::swap(&mut self.warnings[milder], &mut warning);
            }
            let further = self.further.get_or_insert_with(|| Warning {
                path: FURTHER.to_owned(),
                what: "more fields than are named one by one",
                loses_meaning: false,
            });
            further.loses_meaning |= warning.loses_meaning;
        } else {
            self.warnings.push(warning);
        }
    }

    /// Calls the fields by what `own` gives for their paths; those for which it gives nothing keep theirs.
    pub(crate) fn rename(&mut self, own: impl Fn(&str) -> Option<String>) {
        for warning in std::mem::take(&mut self.warnings) {
            let path = own(&warning.path).unwrap_or(warning.path);
            self.note(path, warning.what, warning.loses_meaning);
        }
    }

    /// The warnings in the order in which they came up; one that loses meaning may stand in an earlier one's place. The
    /// last may stand for several that had no room.
    pub fn iter(&self) -> impl Iterator<Item = &Warning> {
        self.warnings.iter().chain(&self.further)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty()
    }

    /// The first one by which meaning is lost.
    #[must_use]
    pub fn first_loss(&self) -> Option<&Warning> {
        self.iter().find(|warning| warning.loses_meaning)
    }

    /// The paths as a header holds them: joined by commas, without what a header cannot hold.
    #[must_use]
    pub fn header(&self) -> String {
        let paths: Vec<String> = self
            .iter()
            .map(|warning| {
                warning.path.chars().filter(|letter| letter.is_ascii_graphic() && *letter != ',').collect()
            })
            .collect();
        paths.join(",")
    }
}
