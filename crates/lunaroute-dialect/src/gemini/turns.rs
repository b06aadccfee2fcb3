//! Turns as contents.

use std::collections::BTreeMap;

use lunaroute_core::conversation::{
    CallResult, Custom, Media, MediaKind, MediaSource, Part, Rest, Seal, Speaker, Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::decode::NO_ARGUMENTS;
use super::seal::{NO_SIGNATURE, signature_of};
use crate::cross::{
    Crossing, has_media, merge, object_of, proper, refused_media, result_words, titled, unseen, words,
};

/// Addresses that Google's models read themselves, beside films of its own: its storage and its Files.
const FETCHED: [&str; 2] = ["gs://", FILES];

/// Where Google shows films.
const FILMS: [&str; 4] =
    ["https://www.youtube.com/", "https://youtube.com/", "https://m.youtube.com/", "https://youtu.be/"];

/// Where Google keeps files; nobody else finds them there.
pub(super) const FILES: &str = "https://generativelanguage.googleapis.com/";

/// Whether an address is that of a film of Google's own, of which nobody has to say that it is one.
pub(super) fn is_film(url: &str) -> bool {
    FILMS.iter().any(|start| url.starts_with(start))
}

/// A turn that was decoded from this dialect, as it was.
pub(super) fn own_content(turn: &Turn) -> Value {
    if turn.is_plain {
        return Value::String(words(&turn.parts));
    }
    let (mut parts, mut pending) = (Vec::with_capacity(turn.parts.len()), None);
    for part in &turn.parts {
        match part {
            // It rode on the part that follows.
            Part::Thought(thought) if thought.text.is_empty() && !thought.rest.contains_key("thought") => {
                pending = own_signature(thought);
            }
            part => parts.push(sealed(own_part(part), pending.take())),
        }
    }
    let mut content = Rest::new();
    if !parts.is_empty() {
        content.insert("parts".to_owned(), Value::Array(parts));
    }
    merge(&mut content, &turn.rest);
    Value::Object(content)
}

/// The signature of reasoning that was decoded from this dialect, in its own spelling.
fn own_signature(thought: &Thought) -> Option<String> {
    let spelled = thought.rest.get("thoughtSignature").and_then(Value::as_str).map(str::to_owned);
    spelled.or_else(|| thought.seal.as_ref().map(|seal| signature_of(seal, thought.is_redacted)))
}

fn sealed(mut part: Value, signature: Option<String>) -> Value {
    if let Some(signature) = signature {
        part["thoughtSignature"] = json!(signature);
    }
    part
}

fn own_part(part: &Part) -> Value {
    let (value, rest) = match part {
        Part::Text(text) | Part::Refusal(text) => (json!({"text": text.text}), &text.rest),
        Part::Media(media) => (media_part(media, media.name.as_deref(), |own| own), &media.rest),
        Part::Thought(thought) => {
            let mut value = json!({});
            if !thought.text.is_empty() {
                value["text"] = json!(thought.text.concat());
            }
            (sealed(value, own_signature(thought)), &thought.rest)
        }
        Part::Use(call) => {
            let mut told = with_id(&call.id, json!({"name": call.name}));
            if call.arguments != NO_ARGUMENTS {
                told["args"] = serde_json::from_str(&call.arguments).unwrap_or_default();
            }
            (json!({"functionCall": told}), &call.rest)
        }
        Part::Result(result) => {
            let named = result.name.as_ref().map_or_else(|| json!({}), |name| json!({"name": name}));
            (json!({"functionResponse": with_id(&result.call_id, named)}), &result.rest)
        }
        Part::Opaque(opaque) => return opaque.value.clone(),
    };
    match value {
        Value::Object(mut members) => {
            merge(&mut members, rest);
            Value::Object(members)
        }
        value => value,
    }
}

fn with_id(id: &str, mut object: Value) -> Value {
    if !id.is_empty() {
        object["id"] = json!(id);
    }
    object
}

/// Media under this name, their type as it is to be told.
fn media_part(media: &Media, name: Option<&str>, told: impl Fn(&str) -> &str) -> Value {
    let mut part = match &media.source {
        MediaSource::Bytes { media_type, data } => {
            json!({"inlineData": {"mimeType": told(media_type), "data": data}})
        }
        MediaSource::Url { url, media_type } => {
            let mut file = json!({"fileUri": url});
            if let Some(media_type) = media_type {
                file["mimeType"] = json!(media_type);
            }
            json!({"fileData": file})
        }
        MediaSource::File { id } => json!({"fileData": {"fileUri": id}}),
        MediaSource::Text { text } => return json!({"text": titled(media, text)}),
    };
    if let (Some(name), Some(inside)) = (name, part.as_object_mut()) {
        inside.values_mut().for_each(|data| data["displayName"] = json!(name));
    }
    part
}

/// Turns that were settled, in this dialect's form.
pub(super) struct Contents {
    /// Parts of the `systemInstruction`.
    pub(super) system: Vec<Value>,
    /// The contents.
    pub(super) contents: Vec<Value>,
}

/// Turns of another dialect that were settled, as contents.
pub(super) fn contents(turns: &mut [Turn], crossing: &mut Crossing<'_>) -> Result<Contents, Failure> {
    let mut writing = Writing { crossing, names: BTreeMap::new(), contents: Vec::new() };
    let is_instruction = |turn: &&Turn| matches!(turn.speaker, Speaker::System | Speaker::Developer);
    let instructions = turns.iter().take_while(is_instruction).count();
    let said = turns[..instructions].iter().map(|turn| words(&turn.parts));
    let system = said.filter(|text| !text.trim().is_empty()).map(|text| json!({"text": text})).collect();
    for (place, turn) in turns.iter_mut().enumerate().skip(instructions) {
        writing.turn(place, turn)?;
    }
    Ok(Contents { system, contents: writing.finish() })
}

struct Writing<'crossing, 'facts> {
    crossing: &'crossing mut Crossing<'facts>,
    /// The names of calls by their ids: a result has to say its function's.
    names: BTreeMap<String, String>,
    contents: Vec<(&'static str, Vec<Value>)>,
}

impl Writing<'_, '_> {
    fn turn(&mut self, place: usize, turn: &mut Turn) -> Result<(), Failure> {
        let path = |number: usize| format!("messages[{place}].content[{number}]");
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                let text = words(&turn.parts);
                if !text.is_empty() {
                    let wrapped = format!("<system>\n{text}\n</system>");
                    self.append("user", vec![json!({"text": wrapped})]);
                }
            }
            Speaker::Assistant => {
                let parts = self.assistant(turn, path)?;
                self.append("model", parts);
            }
            Speaker::User | Speaker::Tool => {
                let (mut results, mut others) = (Vec::new(), Vec::new());
                for (number, part) in turn.parts.iter_mut().enumerate() {
                    match part {
                        Part::Result(result) => {
                            self.result(result, path(number), (&mut results, &mut others))?
                        }
                        part => others.extend(self.part(part, path(number))?),
                    }
                }
                results.extend(others);
                self.append("user", results);
            }
        }
        Ok(())
    }

    fn append(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some((last, known)) if *last == role => known.extend(parts),
            _ => self.contents.push((role, parts)),
        }
    }

    /// A seal rides on what follows it. Models that want one on the first call of a step get the documented stand-in when
    /// the calls are another model's.
    fn assistant(&mut self, turn: &mut Turn, path: impl Fn(usize) -> String) -> Result<Vec<Value>, Failure> {
        let (mut parts, mut pending, mut calls) = (Vec::new(), None, 0);
        for (number, part) in turn.parts.iter_mut().enumerate() {
            match part {
                Part::Thought(thought) => pending = self.own_seal(thought.seal.as_ref()).or(pending),
                Part::Use(call) => {
                    let own = pending.take().or_else(|| self.own_seal(call.seal.as_ref()));
                    let missing = calls == 0 && self.crossing.facts.needs_call_seals;
                    calls += 1;
                    let signature = own.or_else(|| missing.then(|| NO_SIGNATURE.to_owned()));
                    let value = self.call(call, || path(number));
                    parts.push(sealed(value, signature));
                }
                part => {
                    let told = self.part(part, path(number))?;
                    parts.extend(told.map(|value| sealed(value, pending.take())));
                }
            }
        }
        // One behind all that was said rides on nothing else.
        parts.extend(pending.map(|signature| json!({"text": "", "thoughtSignature": signature})));
        Ok(parts)
    }

    fn own_seal(&self, seal: Option<&Seal>) -> Option<String> {
        seal.filter(|seal| self.crossing.made(seal, Dialect::Gemini)).map(|seal| seal.data.clone())
    }

    fn part(&mut self, part: &mut Part, path: String) -> Result<Option<Value>, Failure> {
        Ok(match part {
            Part::Text(text) | Part::Refusal(text) => {
                let text = std::mem::take(&mut text.text);
                (!text.is_empty()).then(|| object_of([("text", Value::String(text))]))
            }
            Part::Media(media) => Some(self.media(media, &path)?),
            Part::Opaque(opaque) => self.crossing.gist(opaque, path).map(|gist| json!({"text": gist})),
            Part::Thought(_) | Part::Use(_) | Part::Result(_) => None,
        })
    }

    /// Google fetches only what it keeps itself, and films of its own.
    fn media(&mut self, media: &Media, path: &str) -> Result<Value, Failure> {
        if let Some(note) = unseen(media, path, self.crossing) {
            return Ok(json!({"text": note}));
        }
        let is_taken = match &media.source {
            MediaSource::Bytes { .. } => true,
            MediaSource::Text { .. } => media.kind == MediaKind::Document,
            MediaSource::Url { url, .. } => {
                is_film(url) || FETCHED.iter().any(|start| url.starts_with(start))
            }
            MediaSource::File { .. } => false,
        };
        if !is_taken {
            let what = match media.source {
                MediaSource::File { .. } => "files that are kept with another provider",
                _ => "media by address; send the bytes",
            };
            return Err(refused_media(path, what));
        }
        // A display name is for Vertex AI alone.
        Ok(media_part(media, None, proper))
    }

    fn call(&mut self, call: &Use, path: impl Fn() -> String) -> Value {
        let name = self.crossing.asked.names.given(call.namespace.as_deref(), &call.name);
        self.names.insert(call.id.clone(), name.clone());
        let args = if call.custom == Custom::Yes {
            json!({"input": call.arguments})
        } else {
            object(&call.arguments).unwrap_or_else(|| {
                self.crossing.warnings.changed(path(), "arguments that are no JSON object went under '_raw'");
                json!({"_raw": call.arguments})
            })
        };
        json!({"functionCall": {"id": call.id, "name": name, "args": args}})
    }

    fn result(
        &mut self,
        result: &mut CallResult,
        path: String,
        (results, others): (&mut Vec<Value>, &mut Vec<Value>),
    ) -> Result<(), Failure> {
        let name =
            self.names.get(&result.call_id).cloned().or_else(|| result.name.clone()).unwrap_or_default();
        let text = result_words(result);
        let response = match result.is_error {
            Some(true) if text.is_empty() => json!({"error": "(no output)"}),
            Some(true) => object_of([("error", Value::String(text))]),
            _ => object_of([("output", Value::String(text))]),
        };
        let id = json!(result.call_id);
        let told = object_of([("id", id), ("name", Value::String(name)), ("response", response)]);
        results.push(object_of([("functionResponse", told)]));
        if has_media(result) {
            for part in &result.parts {
                if let Part::Media(media) = part {
                    others.push(self.media(media, &path)?);
                }
            }
        }
        Ok(())
    }

    /// The first content has to be the user's, and there has to be one.
    fn finish(mut self) -> Vec<Value> {
        if self.contents.first().is_none_or(|(role, _)| *role != "user") {
            self.contents.insert(0, ("user", vec![json!({"text": " "})]));
            let what = "the first turn has to be the user's; one was put before it";
            self.crossing.warnings.changed("messages", what);
        }
        self.contents
            .into_iter()
            .map(|(role, parts)| object_of([("role", json!(role)), ("parts", Value::Array(parts))]))
            .collect()
    }
}

/// What a call asks for as an object; `None` for text that is no object.
fn object(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    serde_json::from_str(arguments).ok().filter(Value::is_object)
}
