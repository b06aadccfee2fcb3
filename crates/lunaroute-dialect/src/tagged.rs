//! Reasoning that the gateway made out of a foreign provider's, on its way to a real one.
//!
//! A client that spoke to one provider and goes on with another sends back what it got: reasoning under a tag of the gateway
//! instead of a signature. No provider takes that, so it is cut out; every other byte stays what it was.

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

/// The body of a request without reasoning under the gateway's own tags. `None` when it has none, which is told without
/// reading it.
#[must_use]
pub fn without_tagged(dialect: Dialect, body: &Bytes) -> Option<Bytes> {
    memmem::find(body, TAG.as_bytes())?;
    let list = Json::new(body)?.field(language(dialect).list_name())?;
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
    (!edits.is_empty()).then(|| apply(body, edits))
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
