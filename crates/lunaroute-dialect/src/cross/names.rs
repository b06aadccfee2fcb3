//! Ids and tool names that every dialect takes, and the way back to the caller's own.

use std::collections::{BTreeMap, BTreeSet};

use lunaroute_core::{Failure, FailureKind};

/// The longest id or name that every dialect takes.
const LONGEST: usize = 64;

/// How much of a long name stays before its hash.
const KEPT: usize = 55;

/// Most calls of an answer whose ids are held against those of later ones.
const KNOWN_IDS: usize = 4096;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a tool is called on the two sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// The caller's namespace and name by the provider's name.
    restored: BTreeMap<String, (Option<String>, String)>,
    /// The provider's name by the caller's.
    given: BTreeMap<(Option<String>, String), String>,
    /// The provider's name of the first tool of each name within any namespace.
    spaced: BTreeMap<String, String>,
    /// A name that a tool of the provider's own has.
    pub(crate) reserved: Option<&'static str>,
    /// Names have to begin with a letter or an underscore, as Google wants it.
    pub(crate) begin_with_letter: bool,
}

impl Names {
    /// The name that the provider gets for a tool of the caller.
    ///
    /// # Errors
    /// When two tools of the request would get the same name.
    pub(crate) fn give(&mut self, namespace: Option<&str>, name: &str) -> Result<String, Failure> {
        let own = (namespace.map(str::to_owned), name.to_owned());
        if let Some(given) = self.given.get(&own) {
            return Ok(given.clone());
        }
        let flat = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"));
        let mut given = self.legal(&flat);
        if self.reserved.is_some_and(|reserved| reserved == given) {
            given = hashed(&given, &flat);
        }
        if self.restored.contains_key(&given) {
            return Err(Failure::client(
                FailureKind::BadRequest,
                format!("two tools would both be called '{given}' at the provider; rename '{name}'"),
            ));
        }
        if namespace.is_some() {
            self.spaced.entry(name.to_owned()).or_insert_with(|| given.clone());
        }
        self.restored.insert(given.clone(), own.clone());
        self.given.insert(own, given.clone());
        Ok(given)
    }

    /// The provider's name of a tool that the history names; a tool that is not offered any more only has to be legal.
    pub(crate) fn given(&self, namespace: Option<&str>, name: &str) -> String {
        let own = (namespace.map(str::to_owned), name.to_owned());
        self.given.get(&own).cloned().unwrap_or_else(|| {
            self.legal(&namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}")))
        })
    }

    /// The provider's name of a tool that a choice names, which says no namespace.
    pub(crate) fn chosen(&self, name: &str) -> String {
        let is_plain = self.given.contains_key(&(None, name.to_owned()));
        let spaced = self.spaced.get(name).filter(|_| !is_plain);
        spaced.cloned().unwrap_or_else(|| self.given(None, name))
    }

    /// Whether a tool of the request has this name at the provider.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.restored.contains_key(name)
    }

    fn legal(&self, name: &str) -> String {
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        match self.begin_with_letter && !begins && !name.is_empty() {
            true => legal_name(&format!("_{name}")),
            false => legal_name(name),
        }
    }

    /// The caller's namespace and name of a tool that the provider names.
    pub(crate) fn restored(&self, given: &str) -> (Option<String>, String) {
        self.restored.get(given).cloned().unwrap_or_else(|| (None, given.to_owned()))
    }
}

fn is_legal(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'
}

fn legal_name(name: &str) -> String {
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_legal) {
        return name.to_owned();
    }
    let replaced: String = name.chars().map(|letter| if is_legal(letter) { letter } else { '_' }).collect();
    if !replaced.is_empty() && replaced.len() <= LONGEST {
        return replaced;
    }
    hashed(&replaced, name)
}

/// The beginning of a legal name, told from others by the hash of what it stands for.
fn hashed(legal: &str, name: &str) -> String {
    let kept: String = legal.chars().take(KEPT).collect();
    format!("{kept}_{}", &blake3::hash(name.as_bytes()).to_hex()[..8])
}

/// The id itself when every dialect takes it, else one that is made of it: the same for the same conversation, id, place
/// and name, so that a history which is sent again names the same calls.
pub(crate) fn legal_id(seed: &str, id: &str, place: usize, name: &str) -> String {
    if !id.is_empty() && id.len() <= LONGEST && id.chars().all(is_legal) {
        return id.to_owned();
    }
    made_id([seed, id, &if id.is_empty() { place.to_string() } else { String::new() }, name])
}

fn made_id(parts: [&str; 4]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digits: String = hasher
        .finalize()
        .as_bytes()
        .iter()
        .take(24)
        .map(|byte| char::from(BASE62[usize::from(*byte) % BASE62.len()]))
        .collect();
    format!("call_{digits}")
}

/// The ids under which a client knows the calls of one answer: by them alone it says whose result it brings.
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    known: BTreeSet<String>,
}

impl CallIds {
    /// The id of one more call: that of [`legal_id`], or one that is made of it and of the place where another call has it
    /// already.
    pub(crate) fn distinct(&mut self, seed: &str, id: &str, place: usize, name: &str) -> String {
        let mut own = legal_id(seed, id, place, name);
        if self.known.contains(&own) {
            own = made_id([seed, id, &place.to_string(), name]);
        }
        if self.known.len() < KNOWN_IDS {
            self.known.insert(own.clone());
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_and_come_back() {
        let mut names = Names::default();
        let long = format!("mcp__server__{}", "x".repeat(80));
        for name in ["get.weather:now", &long, "plain_name", ""] {
            let given = names.give(None, name).expect("distinct");
            assert!(!given.is_empty() && given.len() <= LONGEST && given.chars().all(is_legal), "{given}");
            assert_eq!(names.restored(&given), (None, name.to_owned()));
            assert_eq!(names.given(None, name), given);
        }
        let spaced = names.give(Some("files"), "read").expect("distinct");
        assert_eq!(spaced, "files__read");
        assert_eq!(names.restored(&spaced), (Some("files".to_owned()), "read".to_owned()));
        assert!(names.give(None, "get_weather_now").is_err(), "two tools under one name");
        assert_eq!(names.restored("unknown"), (None, "unknown".to_owned()));
    }

    #[test]
    fn a_choice_finds_its_tool_in_whichever_namespace() {
        let mut names = Names { reserved: Some("web_search"), ..Names::default() };
        for (namespace, name) in [(Some("a"), "read"), (Some("b"), "read"), (Some("b"), "ls"), (None, "ls")] {
            names.give(namespace, name).expect("distinct");
        }
        for (name, given) in
            [("read", "a__read"), ("ls", "ls"), ("gone", "gone"), ("web_search", "web_search")]
        {
            assert_eq!(names.chosen(name), given);
        }
        let given = names.give(None, "web_search").expect("distinct");
        assert!(given.starts_with("web_search_") && given.len() == 19, "{given}");
        assert_eq!(
            (names.chosen("web_search"), names.given(None, "web_search")),
            (given.clone(), given.clone())
        );
        assert_eq!(names.restored(&given), (None, "web_search".to_owned()));
    }

    #[test]
    fn where_names_begin_with_a_letter_the_others_get_an_underscore() {
        let mut names = Names { begin_with_letter: true, ..Names::default() };
        for (own, expected) in [("3d", "_3d"), ("-x", "_-x"), ("_x", "_x"), ("x3", "x3")] {
            assert_eq!(names.given(None, own), expected, "in the history");
            assert_eq!(names.give(None, own).expect("distinct"), expected);
            assert_eq!(names.restored(expected), (None, own.to_owned()));
        }
        assert_eq!(Names::default().give(None, "3d").expect("distinct"), "3d");
    }

    #[test]
    fn ids_are_kept_or_made_the_same_again() {
        assert_eq!(legal_id("s", "toolu_01-x", 3, "f"), "toolu_01-x");
        let made = legal_id("s", "", 3, "f");
        assert_eq!(made, legal_id("s", "", 3, "f"));
        assert_ne!(made, legal_id("s", "", 4, "f"));
        assert_eq!(legal_id("s", "a.b", 1, "f"), legal_id("s", "a.b", 9, "f"), "an id alone decides");
        assert!(made.starts_with("call_") && made.len() == 29);
    }
}
