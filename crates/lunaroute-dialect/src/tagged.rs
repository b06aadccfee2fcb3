//! Reasoning that the gateway made out of a foreign provider's, on its way to a real one.
//!
//! A client that spoke to one provider and goes on with another sends back what it got: reasoning under a tag of the gateway
//! instead of a signature. No provider takes that, so it is cut out; every other byte stays what it was. Where a seal rides on
//! a part that says something else, the part stays and the seal alone goes.

use std::ops::Range;

use bytes::Bytes;
use lunaroute_core::Dialect;
use memchr::memmem;

use crate::cross::TAG;
use crate::dispatch::language;
use crate::json::Json;
use crate::splice::{Edit, apply};

/// Members that hold a seal, whatever the dialect.
const SEALS: [&str; 3] = ["signature", "data", "encrypted_content"];

/// How a dialect's parts carry seals beside what they say themselves.
pub(crate) struct Ridden {
    /// How a seal under the gateway's tag begins as clients carry it.
    pub(crate) start: &'static str,
    /// The member that holds the seal, in its two spellings.
    pub(crate) names: [&'static str; 2],
    /// The member of a part that is a call, in its two spellings.
    pub(crate) calls: [&'static str; 2],
    /// What a call has in the place of a seal that nobody can give.
    pub(crate) stand_in: &'static str,
}

/// The body of a request without reasoning under the gateway's own tags. `None` when it has none, which is told without
/// reading it.
#[must_use]
pub fn without_tagged(dialect: Dialect, body: &Bytes) -> Option<Bytes> {
    let language = language(dialect);
    let ridden = language.ridden_seals();
    memmem::find(body, ridden.map_or(TAG, |ridden| ridden.start).as_bytes())?;
    let list = Json::new(body)?.field(language.list_name())?;
    let edits = match ridden {
        Some(ridden) => unburdened(list, language.content_name(), ridden),
        None => without_blocks(list),
    };
    (!edits.is_empty()).then(|| apply(body, edits))
}

/// Cuts the blocks and items that are reasoning under a tag.
fn without_blocks(list: Json<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut turns, mut gone) = (Vec::new(), Vec::new());
    for (turn, [content, details]) in list.objects(["content", "reasoning_details"]) {
        let content: Vec<Json<'_>> = content.into_iter().flat_map(Json::elements).collect();
        let tagged: Vec<bool> = content.iter().map(|part| is_tagged(*part)).collect();
        // A turn that said nothing else would be empty, which providers refuse.
        let says_nothing_else = !tagged.is_empty() && tagged.iter().all(|tagged| *tagged);
        let is_gone = says_nothing_else || is_tagged(turn);
        if !is_gone {
            let details: Vec<Json<'_>> = details.into_iter().flat_map(Json::elements).collect();
            let tagged_details: Vec<bool> = details.iter().map(|detail| is_tagged(*detail)).collect();
            edits.extend(cuts(&content, &tagged));
            edits.extend(cuts(&details, &tagged_details));
        }
        turns.push(turn);
        gone.push(is_gone);
    }
    edits.extend(cuts(&turns, &gone));
    edits
}

/// Takes tagged seals from the parts that they ride on, and cuts the parts that carried nothing else.
fn unburdened(list: Json<'_>, content_name: &'static str, ridden: &Ridden) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut turns, mut gone) = (Vec::new(), Vec::new());
    for (turn, [content]) in list.objects([content_name]) {
        let parts: Vec<Json<'_>> = content.into_iter().flat_map(Json::elements).collect();
        let seals: Vec<Option<Json<'_>>> = parts.iter().map(|part| ridden.on(*part)).collect();
        let is_empty: Vec<bool> = parts
            .iter()
            .zip(&seals)
            .map(|(part, seal)| seal.is_some() && ridden.is_alone_on(*part))
            .collect();
        let is_gone = !parts.is_empty() && is_empty.iter().all(|empty| *empty);
        if !is_gone {
            for ((part, seal), is_empty) in parts.iter().zip(&seals).zip(&is_empty) {
                let Some(seal) = seal.filter(|_| !is_empty) else { continue };
                let is_call = part.fields(ridden.calls).into_iter().flatten().next().is_some();
                // Bytes that are empty are absent in protocol buffers.
                let left = if is_call { ridden.stand_in } else { "" };
                edits.push(Edit { range: seal.range(), bytes: format!("\"{left}\"").into_bytes() });
            }
            edits.extend(cuts(&parts, &is_empty));
        }
        turns.push(turn);
        gone.push(is_gone);
    }
    edits.extend(cuts(&turns, &gone));
    edits
}

impl Ridden {
    /// The tagged seal that rides on a part.
    fn on<'a>(&self, part: Json<'a>) -> Option<Json<'a>> {
        let is_tagged = |value: &Json<'_>| {
            value.text_start(self.start.len()).is_some_and(|text| text.starts_with(self.start))
        };
        part.fields(self.names).into_iter().flatten().find(is_tagged)
    }

    /// Whether a part with a seal says nothing besides.
    fn is_alone_on(&self, part: Json<'_>) -> bool {
        part.members().all(|(name, value)| {
            self.names.contains(&name.as_ref()) || name == "text" && value.says("") || name == "thought"
        })
    }
}

fn is_tagged(part: Json<'_>) -> bool {
    let is_tag = |value: Json<'_>| value.text_start(TAG.len()).is_some_and(|text| text.starts_with(TAG));
    part.is_object() && part.fields(SEALS).into_iter().flatten().any(is_tag)
}

/// Cuts elements out of an array, each with one comma beside it.
fn cuts(elements: &[Json<'_>], gone: &[bool]) -> Vec<Edit> {
    let cut = |range: Range<usize>| Edit { range, bytes: Vec::new() };
    let last_kept = gone.iter().rposition(|gone| !gone);
    let behind = last_kept.map_or(0, |place| place + 1);
    let mut edits: Vec<Edit> = elements
        .windows(2)
        .zip(gone)
        .take(behind)
        .filter(|(_, gone)| **gone)
        .map(|(pair, _)| cut(pair[0].range().start..pair[1].range().start))
        .collect();
    if let (Some(last), true) = (elements.last(), behind < elements.len()) {
        let start = last_kept.map_or(elements[0].range().start, |place| elements[place].range().end);
        edits.push(cut(start..last.range().end));
    }
    edits
}
