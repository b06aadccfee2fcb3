//! Valid bodies to begin with: the golden fixtures of the dialects.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lunaroute_core::Dialect;

/// Valid bodies of every dialect, by what they are.
#[derive(Debug, Default)]
pub struct Corpus {
    bodies: Vec<(Dialect, Kind, Vec<u8>)>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    /// A whole answer, or an error.
    Answer,
    Stream,
}

/// How a dialect is called in the names of targets and of the fixtures' folders.
pub(crate) const fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "chat",
        Dialect::OpenaiResponses => "responses",
        Dialect::Anthropic => "messages",
        Dialect::Gemini => "gemini",
    }
}

impl Corpus {
    /// Reads the folder that has one folder for each dialect, with `*.request.json`, `*.response.json`, `*.error.json` and
    /// `*.stream.txt` in it.
    ///
    /// # Errors
    /// When a file cannot be read, or when a dialect has none of a kind.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut corpus = Self::default();
        for dialect in Dialect::ALL {
            let folder = folder.join(word(dialect));
            let named = || format!("cannot list {}", folder.display());
            let mut paths = Vec::new();
            for entry in fs::read_dir(&folder).with_context(named)? {
                paths.push(entry.with_context(named)?.path());
            }
            // The order in a folder is the file system's; a seed has to give the same cases everywhere.
            paths.sort();
            for path in paths {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let Some(kind) = kind_of(&name) else { continue };
                let body = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                corpus.bodies.push((dialect, kind, body));
            }
            for kind in [Kind::Request, Kind::Answer, Kind::Stream] {
                ensure!(
                    !corpus.of(dialect, kind).is_empty(),
                    "{} has no {kind:?} to begin with",
                    folder.display()
                );
            }
        }
        Ok(corpus)
    }

    /// The bodies of a dialect and a kind.
    pub(crate) fn of(&self, dialect: Dialect, kind: Kind) -> Vec<Vec<u8>> {
        let fits = |(of, is, _): &&(Dialect, Kind, Vec<u8>)| *of == dialect && *is == kind;
        self.bodies.iter().filter(fits).map(|(_, _, body)| body.clone()).collect()
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    match name.split_once('.')?.1 {
        "request.json" => Some(Kind::Request),
        "response.json" | "error.json" => Some(Kind::Answer),
        "stream.txt" => Some(Kind::Stream),
        _ => None,
    }
}
