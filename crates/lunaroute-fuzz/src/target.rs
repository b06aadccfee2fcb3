//! What is thrown at: each reader alone, with what has to hold for whatever it reads.

mod answer;
mod framing;
mod journal;
mod request;
mod stream;
mod translation;

use std::fmt;
use std::sync::Arc;

use fastrand::Rng;
use http::HeaderMap;
use lunaroute_core::{Dialect, Exchange, Operation};

use crate::corpus::{Corpus, Kind, word};
use crate::mutate::Pool;

/// How an input is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As a JSON document.
    Json,
    /// As a stream of events.
    Events,
    /// As bytes.
    Bytes,
}

/// What has to hold for every input, or the words for what does not. The source of chance is the case's own.
type Check = Box<dyn Fn(&[u8], &mut Rng) -> Result<(), String> + Send + Sync>;

/// One reader, and inputs to begin with.
pub struct Target {
    name: String,
    pub(crate) shape: Shape,
    pub(crate) corpus: Vec<Vec<u8>>,
    pub(crate) pool: Pool,
    pub(crate) check: Check,
}

impl Target {
    /// A target of this name, which is tried with damaged forms of `corpus`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        shape: Shape,
        corpus: Vec<Vec<u8>>,
        check: impl Fn(&[u8], &mut Rng) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let pool = Pool::new(corpus.iter().flat_map(|input| documents(shape, input)));
        Self { name: name.into(), shape, corpus, pool, check: Box::new(check) }
    }

    /// What it is called on the command line.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inputs that it begins with.
    #[must_use]
    pub fn valid(&self) -> &[Vec<u8>] {
        &self.corpus
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The JSON in an input.
fn documents(shape: Shape, input: &[u8]) -> Vec<&[u8]> {
    match shape {
        Shape::Json => vec![input],
        Shape::Events => {
            input.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: ")).collect()
        }
        Shape::Bytes => Vec::new(),
    }
}

/// All targets, in a fixed order: a dialect's readers, then every way between two dialects.
#[must_use]
pub fn targets(corpus: &Corpus) -> Vec<Target> {
    let mut targets = vec![framing::target(corpus), journal::target()];
    for dialect in Dialect::ALL {
        let name = |kind: &str| format!("{kind}:{}", word(dialect));
        let of = |kind| corpus.of(dialect, kind);
        targets.extend([
            Target::new(name("request"), Shape::Json, of(Kind::Request), request::check(dialect)),
            Target::new(name("answer"), Shape::Json, of(Kind::Answer), answer::check(dialect)),
            Target::new(name("stream"), Shape::Events, of(Kind::Stream), stream::check(dialect)),
        ]);
    }
    for from in Dialect::ALL {
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            let name = |kind: &str| format!("translate-{kind}:{}-{}", word(from), word(to));
            let of = |kind| corpus.of(from, kind);
            // An answer goes the other way than what was asked.
            let asked = || translation::Asking::new(corpus, to, from);
            targets.extend([
                Target::new(name("request"), Shape::Json, of(Kind::Request), translation::request(from, to)),
                Target::new(
                    name("answer"),
                    Shape::Json,
                    of(Kind::Answer),
                    translation::answer(from, to, asked()),
                ),
                Target::new(
                    name("stream"),
                    Shape::Events,
                    of(Kind::Stream),
                    translation::stream(from, to, asked()),
                ),
            ]);
        }
    }
    targets
}

/// A generation in this dialect.
fn exchange(dialect: Dialect) -> Exchange {
    let operation = match dialect {
        Dialect::OpenaiChat => Operation::Chat,
        Dialect::OpenaiResponses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::GenerateContent,
    };
    Exchange { dialect, operation, headers: Arc::new(HeaderMap::new()), addressed: None }
}

/// The bytes in pieces, as a socket gives them.
fn pieces<'a>(bytes: &'a [u8], rng: &mut Rng) -> Vec<&'a [u8]> {
    let most = [1, 7, 64, 4_096][rng.usize(0..4)];
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(rng.usize(1..=most).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// That what was made of an input is in proportion to it.
fn in_proportion(input: usize, made: usize) -> Result<(), String> {
    let most = 64 * input + 64 * 1024;
    if made <= most {
        Ok(())
    } else {
        Err(format!("{made} bytes were made of {input}, at most {most} are in proportion"))
    }
}

/// Says where two values differ first.
fn same<T: PartialEq + fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    let (one, other) = (format!("{one:?}"), format!("{other:?}"));
    let common = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let shown = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[common.saturating_sub(60)..])
            .chars()
            .take(200)
            .collect::<String>()
    };
    Err(format!("{what}\n  {}\n  {}", shown(&one), shown(&other)))
}
