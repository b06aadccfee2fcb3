//! The readers of a dialect's requests.

use std::borrow::Cow;

use bytes::Bytes;
use fastrand::Rng;
use lunaroute_core::conversation::ModelFacts;
use lunaroute_core::{Dialect, Interpreter as _};
use lunaroute_dialect::cross::{Crossing, Profile, decode_request, encode_request};
use lunaroute_dialect::{Dialects, peek, splice, without_tagged};
use serde_json::Value;

use super::{exchange, in_proportion, same};

/// What is found stands in the body, an edited body is still JSON, and a request that is decoded comes back with all that it
/// said. What it left out may be told by an empty value, and then stays so.
pub(super) fn check(dialect: Dialect) -> impl Fn(&[u8], &mut Rng) -> Result<(), String> {
    move |input, _| {
        read(dialect, input)?;
        let value: Option<Value> = serde_json::from_slice(input).ok();
        edited(dialect, input, value.as_ref())?;
        comes_back(dialect, input, value.as_ref())
    }
}

fn read(dialect: Dialect, input: &[u8]) -> Result<(), String> {
    let reading = Dialects.request(&exchange(dialect), input);
    let messages = reading.messages.iter().map(|span| &span.range);
    for range in messages.chain(reading.tool_results.iter().map(|span| &span.range)) {
        if input.get(range.clone()).is_none() {
            return Err(format!("a message at {range:?} is not in a body of {} bytes", input.len()));
        }
    }
    let told: usize = [reading.model, reading.system_text, reading.first_user_text, reading.preview]
        .iter()
        .flatten()
        .map(String::len)
        .sum();
    in_proportion(input.len(), told)
}

fn edited(dialect: Dialect, input: &[u8], value: Option<&Value>) -> Result<(), String> {
    let (body, found) = (Bytes::copy_from_slice(input), peek(dialect, input));
    let edits = [splice(&body, &found, Some("re\"named"), true), without_tagged(dialect, &body)];
    for edited in edits.into_iter().flatten() {
        if value.is_some()
            && let Err(error) = serde_json::from_slice::<Value>(&edited)
        {
            return Err(format!("an edited body is no JSON any more: {error}"));
        }
    }
    Ok(())
}

fn comes_back(dialect: Dialect, input: &[u8], value: Option<&Value>) -> Result<(), String> {
    let decoded = match decode_request(dialect, input) {
        Ok(decoded) => decoded,
        Err(failure) if failure.message.is_empty() => return Err("a refusal has no words".to_owned()),
        Err(_) => return Ok(()),
    };
    let Some(value) = value else { return Err("what is no JSON was decoded".to_owned()) };
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let (origin, model) = (decoded.origin, decoded.model.clone());
    let mut crossing = Crossing::new(&facts, &profile, &model);
    match encode_request(origin, decoded, &mut crossing) {
        // A body of Responses at the path of Chat gets the form of its own dialect; what comes back has to stay as it is.
        Ok(encoded) if origin != dialect => settles(origin, &encoded),
        Ok(encoded) => {
            let (one, other) = (spelled(origin, value), spelled(origin, &encoded));
            keeps(&one, &other, "").and_then(|()| settles(origin, &encoded))
        }
        Err(failure) => Err(format!("a request that was taken is refused to its own dialect: {failure}")),
    }
}

/// A document in the one spelling of its dialect: Gemini takes each name in camel case and in snake case, and the two are
/// the same name.
fn spelled(dialect: Dialect, value: &Value) -> Cow<'_, Value> {
    if dialect == Dialect::Gemini { Cow::Owned(in_camel_case(value)) } else { Cow::Borrowed(value) }
}

fn in_camel_case(value: &Value) -> Value {
    let camel = |name: &str| {
        let mut pieces = name.split('_');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |name, piece| {
            let (head, tail) = piece.split_at(piece.chars().next().map_or(0, char::len_utf8));
            name + &head.to_ascii_uppercase() + tail
        })
    };
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (camel(name), in_camel_case(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(in_camel_case).collect(),
        value => value.clone(),
    }
}

/// That everything of the one value is in the other, at its place.
fn keeps(one: &Value, other: &Value, path: &str) -> Result<(), String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            match other.get(name) {
                Some(other) => keeps(value, other, &path),
                None => Err(format!("a request does not come back as it was: it lost \"{path}\"")),
            }
        }),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => (0..)
            .zip(one.iter().zip(other))
            .try_for_each(|(place, (one, other))| keeps(one, other, &format!("{path}[{place}]"))),
        _ => same(&format!("a request does not come back as it was at \"{path}\""), one, other),
    }
}

/// That a request that came back once comes back as it was.
fn settles(dialect: Dialect, value: &Value) -> Result<(), String> {
    let decoded = decode_request(dialect, value.to_string().as_bytes())
        .map_err(|failure| format!("a request that came back is refused: {failure}"))?;
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let model = decoded.model.clone();
    let encoded = encode_request(decoded.origin, decoded, &mut Crossing::new(&facts, &profile, &model));
    let encoded = encoded.map_err(|failure| format!("a request that came back is refused: {failure}"))?;
    same("a request that came back does not come back again", value, &encoded)
}
