//! The vendors' wire JSON, as their documentation and official SDKs have it.

mod anthropic;
mod catalog;
mod chat;
mod completions;
mod error;
mod gemini;
mod responses;

use std::borrow::Cow;

use bytes::Bytes;
use lunaroute_core::Dialect;
use serde::Serialize;
use serde_json::Value;

use crate::compose::{Plan, Recipe, Repeat, Scroll};

pub(crate) use catalog::{count_tokens, embeddings, gemini_embeddings, model, models};
pub(crate) use error::{error, error_event, malformed_event};

/// Every answer is of this moment (2026-11-21T01:00:00Z): an answer depends on the request alone.
const CREATED: i64 = 1_795_222_800;

/// Writes the stream's events.
pub(crate) fn stream(recipe: &Recipe, plan: &Plan, scroll: &mut Scroll) {
    match recipe.dialect {
        Dialect::OpenaiChat if recipe.legacy => completions::stream(recipe, plan, scroll),
        Dialect::OpenaiChat => chat::stream(recipe, plan, scroll),
        Dialect::OpenaiResponses => responses::stream(recipe, plan, scroll),
        Dialect::Anthropic => anthropic::stream(recipe, plan, scroll),
        Dialect::Gemini => gemini::stream(recipe, plan, scroll),
    }
}

/// The body of a plain answer.
pub(crate) fn plain(recipe: &Recipe, plan: &Plan) -> Vec<u8> {
    let body = match recipe.dialect {
        Dialect::OpenaiChat if recipe.legacy => completions::plain(recipe, plan),
        Dialect::OpenaiChat => chat::plain(recipe, plan),
        Dialect::OpenaiResponses => responses::plain(recipe, plan),
        Dialect::Anthropic => anthropic::plain(recipe, plan),
        Dialect::Gemini => gemini::plain(recipe, plan),
    };
    body.to_string().into_bytes()
}

/// A server-sent event that has data only.
fn data_event(data: &impl Serialize) -> Bytes {
    let mut event = b"data: ".to_vec();
    serde_json::to_writer(&mut event, data).expect("the data is JSON, and memory never fails to write");
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

/// A server-sent event with a name.
fn named_event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Events that are alike but for one text: the rest is written once, for a burst of them has to cost its provider little.
struct Pattern {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Pattern {
    /// The events that `event` makes of a text.
    fn of(event: impl Fn(&str) -> Bytes) -> Self {
        // A character for private use: nobody says it.
        const PLACE: &str = "\u{e000}";
        let whole = event(PLACE);
        let quoted = format!("\"{PLACE}\"");
        let start = whole.windows(quoted.len()).position(|window| window == quoted.as_bytes());
        let start = start.expect("the event says its text");
        Self { before: whole[..start].to_vec(), after: whole[start + quoted.len()..].to_vec() }
    }

    /// The events of these texts, all in one piece of memory.
    fn events<'a>(&self, texts: &'a [Cow<'static, str>]) -> impl Iterator<Item = (Bytes, &'a str)> {
        let said: usize = texts.iter().map(|text| text.len() + 8).sum();
        let mut written = Vec::with_capacity(said + texts.len() * (self.before.len() + self.after.len()));
        let mut ends = Vec::with_capacity(texts.len());
        for text in texts {
            written.extend_from_slice(&self.before);
            serde_json::to_writer(&mut written, text).expect("text is JSON, and memory never fails to write");
            written.extend_from_slice(&self.after);
            ends.push(written.len());
        }
        let mut rest = Bytes::from(written);
        let mut start = 0;
        ends.into_iter().zip(texts).map(move |(end, text)| {
            let event = rest.split_to(end - start);
            start = end;
            (event, text.as_ref())
        })
    }
}

/// Text that is said for ever, by an event that never changes.
fn endless(event: impl Fn(&str) -> Bytes) -> Repeat {
    let text = " on".to_owned();
    Repeat::Same { bytes: event(&text), text }
}

/// Arguments in fragments of about twelve bytes, cut between characters.
fn fragments(arguments: &str) -> Vec<&str> {
    let mut fragments = Vec::new();
    let mut rest = arguments;
    while !rest.is_empty() {
        let (fragment, later) = rest.split_at(rest.ceil_char_boundary(12));
        fragments.push(fragment);
        rest = later;
    }
    fragments
}
