//! Reads Rust sources as tokens, so that comments, strings and formatting cannot mislead a check.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One Rust file.
pub(crate) struct Source {
    pub(crate) lines: usize,
    tokens: TokenStream,
}

/// One function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of `fn`, from 1.
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// All `.rs` files under a folder, in the order of their paths.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Source {
    /// Reads and tokenises a file.
    pub(crate) fn read(path: &Path) -> Result<Source> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Source::parse(&text).with_context(|| format!("{} is not Rust", path.display()))
    }

    /// Tokenises the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Source> {
        let tokens = TokenStream::from_str(text).map_err(|error| {
            let at = error.span().start();
            anyhow!("{error} at line {} column {}", at.line, at.column)
        })?;
        Ok(Source { lines: text.lines().count(), tokens })
    }

    /// The lines that name a path like `env::var`, outside items marked `#[cfg(test)]`.
    pub(crate) fn lines_naming(&self, path: &str) -> Vec<usize> {
        let spaced = path.replace("::", " : : ");
        let wanted: Vec<&str> = spaced.split(' ').collect();
        let mut words = Vec::new();
        collect_words(&self.tokens, &mut words);
        words
            .windows(wanted.len())
            .filter(|window| window.iter().zip(&wanted).all(|(word, wanted)| word.text == *wanted))
            .map(|window| window[0].line)
            .collect()
    }

    /// Every function with a body, also nested ones and those of tests.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        collect_functions(&self.tokens, &mut found);
        found
    }
}

struct Word {
    text: String,
    line: usize,
}

fn collect_words(tokens: &TokenStream, words: &mut Vec<Word>) {
    let mut trees = tokens.clone().into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Punct(mark)
                if mark.as_char() == '#' && trees.peek().is_some_and(is_test_attribute) =>
            {
                // The marked item ends with its body or, without one, with its semicolon.
                trees.by_ref().skip(1).find(ends_item);
            }
            TokenTree::Group(group) => {
                words.push(Word { text: "group".to_owned(), line });
                collect_words(&group.stream(), words);
            }
            // A string is not a path, whatever it says.
            TokenTree::Literal(_) => words.push(Word { text: "\"\"".to_owned(), line }),
            other => words.push(Word { text: other.to_string(), line }),
        }
    }
}

fn is_test_attribute(tree: &TokenTree) -> bool {
    let TokenTree::Group(group) = tree else { return false };
    group.delimiter() == Delimiter::Bracket
        && group.stream().to_string().split_whitespace().collect::<String>() == "cfg(test)"
}

fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    }
}

fn collect_functions(tokens: &TokenStream, found: &mut Vec<Function>) {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for (position, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Ident(word) if word == "fn" => found.extend(function(&trees[position..])),
            TokenTree::Group(group) => collect_functions(&group.stream(), found),
            _ => {}
        }
    }
}

/// The function that starts with these tokens; none for a function pointer or a signature without a body.
fn function(trees: &[TokenTree]) -> Option<Function> {
    let [TokenTree::Ident(word), TokenTree::Ident(name), ..] = trees else { return None };
    let TokenTree::Group(body) = trees.iter().find(|tree| ends_item(tree))? else { return None };
    let line = word.span().start().line;
    Some(Function { name: name.to_string(), line, lines: body.span_close().end().line - line + 1 })
}

#[cfg(test)]
mod tests {
    use super::{Function, Source};

    #[test]
    fn a_path_is_found_in_code_only() {
        let text = r#"
//! env::var in a comment
fn a() { let x = "env::var"; std::env::var("A"); }
macro!{ env :: var("B") }
fn b() { env::vars(); environment::var(); }
#[cfg(test)]
mod tests { fn c() { env::var("C"); } }
#[cfg(test)]
use std::env::var;
fn d() { select! { _ = async { env::var("D") } => {} } }
"#;
        let source = Source::parse(text).unwrap();
        assert_eq!(source.lines_naming("env::var"), [3, 4, 10]);
        assert_eq!(source.lines_naming("env::vars"), [5]);
        assert_eq!(source.lines_naming("std::env::var"), [3]);
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T { fn bare(&self); }\n\
                    type P = fn(u8) -> u8;\n\
                    impl A {\n\
                    /// Doc.\n\
                    pub async fn long<T>(\n\
                    a: [u8; { 3 }],\n\
                    ) -> u8 where T: B {\n\
                    fn inner() {}\n\
                    }\n\
                    }";
        let expected = [
            Function { name: "long".to_owned(), line: 5, lines: 5 },
            Function { name: "inner".to_owned(), line: 8, lines: 1 },
        ];
        assert_eq!(Source::parse(text).unwrap().functions(), expected);
    }

    #[test]
    fn what_is_not_rust_is_an_error_with_its_place() {
        let error = Source::parse("fn a() {\n\n").err().unwrap().to_string();
        assert!(error.contains("line"), "{error}");
    }
}
