//! Turns as items.

use lunaroute_core::conversation::{
    CallResult, Custom, Media, MediaKind, MediaSource, Part, Rest, Speaker, Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use crate::cross::{
    Crossing, OTHER_SOUND, address, document_name, has_media, merge, object_of, own_address, refused_media,
    result_text, result_words, says_nothing, sound_format, text_of, titled, unseen, words,
};

/// An item that was decoded from this dialect, as it was; `None` for what stands outside the items.
pub(super) fn own_item(turn: &Turn) -> Option<Value> {
    if turn.rest.get("instructions") == Some(&Value::Bool(true)) {
        return None;
    }
    let mut item = Rest::new();
    match &turn.parts[..] {
        [Part::Opaque(opaque)] if opaque.value.as_object() == Some(&turn.rest) => {
            return Some(opaque.value.clone());
        }
        [Part::Thought(thought)] => return Some(Value::Object(thought.rest.clone())),
        [Part::Use(call)] => own_call(call, &mut item),
        [Part::Result(result)] => {
            item.insert("call_id".to_owned(), json!(result.call_id));
            own_content("output", &result.parts, result.is_plain, &mut item);
        }
        parts => {
            let role = match turn.speaker {
                Speaker::System => "system",
                Speaker::Developer => "developer",
                Speaker::Assistant => "assistant",
                Speaker::User | Speaker::Tool => "user",
            };
            item.insert("role".to_owned(), json!(role));
            own_content("content", parts, turn.is_plain, &mut item);
        }
    }
    merge(&mut item, &turn.rest);
    Some(Value::Object(item))
}

fn own_call(call: &Use, item: &mut Rest) {
    let argument = if call.custom == Custom::Yes { "input" } else { "arguments" };
    item.insert("call_id".to_owned(), json!(call.id));
    item.insert("name".to_owned(), json!(call.name));
    if let Some(namespace) = &call.namespace {
        item.insert("namespace".to_owned(), json!(namespace));
    }
    item.insert(argument.to_owned(), json!(call.arguments));
}

fn own_content(name: &str, parts: &[Part], is_plain: bool, item: &mut Rest) {
    match parts {
        [] => {}
        [Part::Text(text)] if is_plain => _ = item.insert(name.to_owned(), json!(text.text)),
        parts => _ = item.insert(name.to_owned(), parts.iter().map(own_part).collect()),
    }
}

fn own_part(part: &Part) -> Value {
    let (mut value, rest) = match part {
        Part::Text(text) => (Rest::from_iter([("text".to_owned(), json!(text.text))]), &text.rest),
        Part::Refusal(text) => (Rest::from_iter([("refusal".to_owned(), json!(text.text))]), &text.rest),
        Part::Media(media) => (media_members(media, own_address), &media.rest),
        Part::Opaque(opaque) => return opaque.value.clone(),
        Part::Thought(_) | Part::Use(_) | Part::Result(_) => return Value::Null,
    };
    merge(&mut value, rest);
    Value::Object(value)
}

fn media_members(media: &Media, address_of: fn(&MediaSource) -> String) -> Rest {
    let mut members = Rest::new();
    if let (MediaKind::Audio, MediaSource::Bytes { media_type, data }) = (media.kind, &media.source) {
        let format = media_type.trim_start_matches("audio/");
        members.insert("input_audio".to_owned(), json!({"data": data, "format": format}));
        return members;
    }
    let place = match (media.kind, &media.source) {
        (_, MediaSource::File { .. }) => "file_id",
        (MediaKind::Image, _) => "image_url",
        (_, MediaSource::Url { .. }) => "file_url",
        _ => "file_data",
    };
    members.insert(place.to_owned(), json!(address_of(&media.source)));
    if let Some(name) = &media.name {
        members.insert("filename".to_owned(), json!(name));
    }
    if let Some(detail) = &media.detail {
        members.insert("detail".to_owned(), json!(detail));
    }
    members
}

/// Turns of another dialect in this one's form.
pub(super) struct Items {
    /// What stands in `instructions`.
    pub(super) instructions: String,
    /// The items.
    pub(super) input: Vec<Value>,
}

/// Turns that were settled, as items.
pub(super) fn items(turns: &mut [Turn], crossing: &mut Crossing<'_>) -> Result<Items, Failure> {
    let is_instruction = |turn: &&Turn| matches!(turn.speaker, Speaker::System | Speaker::Developer);
    let leading = turns.iter().take_while(is_instruction).count();
    let texts: Vec<&str> = turns[..leading]
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match part {
            Part::Text(text) if !text.text.is_empty() => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    let instructions = texts.join("\n\n");
    let mut input = Vec::with_capacity(turns.len());
    for (place, turn) in turns.iter_mut().enumerate().skip(leading) {
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                let text = words(&turn.parts);
                if !text.is_empty() {
                    input.push(message("system", vec![json!({"type": "input_text", "text": text})]));
                }
            }
            Speaker::Assistant => assistant(turn, place, crossing, &mut input),
            Speaker::User | Speaker::Tool => user(turn, place, crossing, &mut input)?,
        }
    }
    if input.is_empty() {
        return Err(says_nothing());
    }
    Ok(Items { instructions, input })
}

fn message(role: &str, content: Vec<Value>) -> Value {
    object_of([("type", json!("message")), ("role", json!(role)), ("content", Value::Array(content))])
}

/// A part of a message, whose text is taken.
fn said(kind: &str, name: &str, text: &mut String) -> Value {
    object_of([("type", json!(kind)), (name, Value::String(std::mem::take(text)))])
}

fn assistant(turn: &mut Turn, place: usize, crossing: &mut Crossing<'_>, input: &mut Vec<Value>) {
    for (number, part) in turn.parts.iter_mut().enumerate() {
        let path = || format!("messages[{place}].content[{number}]");
        match part {
            Part::Text(text) => {
                input.push(message("assistant", vec![said("output_text", "text", &mut text.text)]));
            }
            Part::Refusal(text) => {
                input.push(message("assistant", vec![said("refusal", "refusal", &mut text.text)]));
            }
            Part::Thought(thought) => input.extend(reasoning(thought, crossing)),
            Part::Use(call) => input.push(foreign_call(call, crossing)),
            Part::Opaque(opaque) => {
                let gist = crossing.gist(opaque, path());
                let part = gist.map(|gist| json!({"type": "output_text", "text": gist}));
                input.extend(part.map(|part| message("assistant", vec![part])));
            }
            Part::Media(_) => {
                crossing.warnings.dropped(path(), "the assistant's own media cannot be sent back here")
            }
            Part::Result(_) => {}
        }
    }
}

/// Reasoning goes back to its maker only, sealed as it came.
fn reasoning(thought: &Thought, crossing: &Crossing<'_>) -> Option<Value> {
    let seal = thought.seal.as_ref().filter(|seal| crossing.made(seal, Dialect::OpenaiResponses))?;
    let summary: Vec<Value> =
        thought.text.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    let mut item = json!({"type": "reasoning", "summary": summary, "encrypted_content": seal.data});
    if let Some(id) = &seal.id {
        item["id"] = json!(id);
    }
    Some(item)
}

fn foreign_call(call: &Use, crossing: &Crossing<'_>) -> Value {
    let name = crossing.asked.names.given(call.namespace.as_deref(), &call.name);
    if call.custom == Custom::Yes {
        return json!({"type": "custom_tool_call", "call_id": call.id, "name": name, "input": call.arguments});
    }
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    json!({"type": "function_call", "call_id": call.id, "name": name, "arguments": arguments})
}

fn user(
    turn: &mut Turn,
    place: usize,
    crossing: &mut Crossing<'_>,
    input: &mut Vec<Value>,
) -> Result<(), Failure> {
    let mut content = Vec::new();
    for (number, part) in turn.parts.iter_mut().enumerate() {
        let path = || format!("messages[{place}].content[{number}]");
        match part {
            Part::Result(result) => input.push(output(result, &path(), crossing)?),
            Part::Text(text) | Part::Refusal(text) => {
                content.push(said("input_text", "text", &mut text.text));
            }
            Part::Media(media) => content.push(foreign_media(media, &path(), crossing)?),
            Part::Opaque(opaque) => {
                let gist = crossing.gist(opaque, path());
                content.extend(gist.map(|gist| json!({"type": "input_text", "text": gist})));
            }
            Part::Thought(_) | Part::Use(_) => {}
        }
    }
    if !content.is_empty() {
        input.push(message("user", content));
    }
    Ok(())
}

fn output(result: &mut CallResult, path: &str, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    let words = result_words(result);
    let output = if has_media(result) {
        let text = if words.is_empty() { words } else { result_text(result, words) };
        let mut parts = Vec::new();
        if !text.is_empty() {
            parts.push(json!({"type": "input_text", "text": text}));
        }
        for part in &result.parts {
            if let Part::Media(media) = part {
                parts.push(foreign_media(media, path, crossing)?);
            }
        }
        Value::Array(parts)
    } else {
        Value::String(result_text(result, words))
    };
    let kind = if result.custom == Custom::Yes { "custom_tool_call_output" } else { "function_call_output" };
    Ok(object_of([("type", json!(kind)), ("call_id", json!(result.call_id)), ("output", output)]))
}

fn foreign_media(media: &Media, path: &str, crossing: &mut Crossing<'_>) -> Result<Value, Failure> {
    if let Some(note) = unseen(media, path, crossing) {
        return Ok(json!({"type": "input_text", "text": note}));
    }
    let refused = |what: &str| Err(refused_media(path, what));
    let kind = match (media.kind, &media.source) {
        (MediaKind::Video, _) => return refused("film"),
        (_, MediaSource::File { .. }) => return refused("files that are kept with another provider"),
        (MediaKind::Audio, MediaSource::Bytes { media_type, data }) => {
            let Some(format) = sound_format(media_type) else { return refused(OTHER_SOUND) };
            let sound = json!({"data": data, "format": format});
            return Ok(json!({"type": "input_audio", "input_audio": sound}));
        }
        (MediaKind::Audio, _) => return refused("sound by its address"),
        (MediaKind::Document, MediaSource::Text { text }) => {
            return Ok(json!({"type": "input_text", "text": titled(media, text)}));
        }
        (MediaKind::Document, _) => match text_of(media) {
            Some(text) => return Ok(json!({"type": "input_text", "text": titled(media, &text)})),
            None => "input_file",
        },
        (MediaKind::Image, _) => "input_image",
    };
    let name = match (media.kind, &media.source) {
        (MediaKind::Document, MediaSource::Bytes { media_type, .. }) => {
            Some(media.name.clone().unwrap_or_else(|| document_name(media_type)))
        }
        _ => None,
    };
    let mut members = Rest::from_iter([("type".to_owned(), json!(kind))]);
    members.extend(media_members(&Media { name, ..media.clone() }, address));
    Ok(Value::Object(members))
}
