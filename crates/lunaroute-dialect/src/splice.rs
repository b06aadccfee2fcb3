//! The only edits that a body gets on its way: a few bytes at offsets that the first look found. Every other byte stays
//! what it was, because prompt caches and signatures depend on bytes.

use std::ops::Range;

use bytes::Bytes;
use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;

use crate::dispatch::language;
use crate::json::Json;
use crate::peek::{Located, Peek};

/// What goes before a model's name where Gemini calls it a resource.
const COLLECTION: &str = "models/";

const USAGE_MEMBER: &str = r#""include_usage":true"#;

/// A range of a body, and what stands there afterwards.
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// The body with its model renamed. The body itself, shared, when it names none.
///
/// `peek` must be what [`crate::peek()`] found in this very body.
#[must_use]
pub fn rename_model(body: &Bytes, peek: &Peek, new: &str) -> Bytes {
    apply(body, model_edits(peek, new).collect())
}

/// The body of a streamed chat request that asks for usage: `stream_options.include_usage` added or set to `true`.
/// `None` when it asks already, or when the request is no streamed chat.
///
/// `peek` must be what [`crate::peek()`] found in this very body.
#[must_use]
pub fn include_usage(body: &Bytes, peek: &Peek) -> Option<Bytes> {
    Some(apply(body, vec![usage_edit(body, peek)?]))
}

/// Both edits in one copy: the model renamed when `model` is given, and usage asked for as [`include_usage`] does when
/// `usage` is set. `None` when nothing changes.
#[must_use]
pub fn splice(body: &Bytes, peek: &Peek, model: Option<&str>, usage: bool) -> Option<Bytes> {
    let renamed = model.into_iter().flat_map(|new| model_edits(peek, new));
    let asked = usage.then(|| usage_edit(body, peek)).flatten();
    let edits: Vec<Edit> = renamed.chain(asked).collect();
    (!edits.is_empty()).then(|| apply(body, edits))
}

/// The body with what its model would refuse put right, by what is known of the model. `None` when nothing is.
#[must_use]
pub fn repair(dialect: Dialect, body: &Bytes, facts: &ModelFacts) -> Option<Bytes> {
    let edits = language(dialect).repairs(Json::new(body).filter(Json::is_object)?, facts);
    (!edits.is_empty()).then(|| apply(body, edits))
}

fn model_edits(peek: &Peek, new: &str) -> impl Iterator<Item = Edit> {
    let named = peek.model.iter().map(move |model| edit_to(model, new.into()));
    let again = peek.model_again.iter().map(move |model| {
        // Gemini calls it a resource there: `models/{model}`.
        let is_resource = model.value.starts_with(COLLECTION);
        edit_to(model, if is_resource { format!("{COLLECTION}{new}").into() } else { new.into() })
    });
    named.chain(again)
}

fn edit_to(place: &Located, text: serde_json::Value) -> Edit {
    Edit { range: place.range.clone(), bytes: text.to_string().into_bytes() }
}

fn usage_edit(body: &[u8], peek: &Peek) -> Option<Edit> {
    if peek.stream != Some(true) || peek.include_usage == Some(true) {
        return None;
    }
    let object = peek.object?;
    let Some(options) = peek.stream_options.clone() else {
        let comma = if object.empty { "" } else { "," };
        let bytes = format!(r#""stream_options":{{{USAGE_MEMBER}}}{comma}"#).into_bytes();
        return Some(Edit { range: object.inside..object.inside, bytes });
    };
    let json = Json::new(&body[options.clone()]).filter(Json::is_object);
    let Some(json) = json else {
        return Some(Edit { range: options, bytes: format!("{{{USAGE_MEMBER}}}").into_bytes() });
    };
    let current = json.members().filter(|(name, _)| name == "include_usage").last();
    if let Some((_, value)) = current {
        let range = options.start + value.range().start..options.start + value.range().end;
        return Some(Edit { range, bytes: b"true".to_vec() });
    }
    let comma = if json.members().next().is_none() { "" } else { "," };
    let inside = options.start + 1;
    Some(Edit { range: inside..inside, bytes: format!("{USAGE_MEMBER}{comma}").into_bytes() })
}

pub(crate) fn apply(body: &Bytes, mut edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_unstable_by_key(|edit| edit.range.start);
    let added: usize = edits.iter().map(|edit| edit.bytes.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for edit in &edits {
        out.extend_from_slice(&body[copied..edit.range.start]);
        out.extend_from_slice(&edit.bytes);
        copied = edit.range.end;
    }
    out.extend_from_slice(&body[copied..]);
    Bytes::from(out)
}
