//! Turns as messages.

use lunaroute_core::conversation::{
    CallResult, Custom, Media, MediaKind, MediaSource, Part, Rest, Seal, Speaker, Turn, Use,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use crate::cross::{
    Crossing, OTHER_SOUND, address, document_name, has_media, merge, object_of, own_address, refused_media,
    result_text, result_words, says_nothing, sound_format, text_of, titled, unseen,
};

/// A message that was decoded from this dialect, as it was.
pub(super) fn own_message(turn: &Turn) -> Value {
    let mut message = Rest::new();
    let role = match (turn.speaker, &turn.parts[..]) {
        (Speaker::System, _) => "system",
        (Speaker::Developer, _) => "developer",
        (Speaker::User, _) => "user",
        (Speaker::Assistant, _) => "assistant",
        (Speaker::Tool, [Part::Result(result)]) if result.name.is_some() => "function",
        (Speaker::Tool, _) => "tool",
    };
    message.insert("role".to_owned(), json!(role));
    if let [Part::Result(result)] = &turn.parts[..] {
        match &result.name {
            Some(name) => _ = message.insert("name".to_owned(), json!(name)),
            None if !result.call_id.is_empty() => {
                message.insert("tool_call_id".to_owned(), json!(result.call_id));
            }
            None => {}
        }
        own_content(&result.parts, result.is_plain, &mut message);
    } else {
        own_content(&turn.parts, turn.is_plain, &mut message);
        let calls: Vec<Value> = turn
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Use(call) if !call.rest.contains_key("function_call") => Some(own_call(call)),
                _ => None,
            })
            .collect();
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
    }
    merge(&mut message, &turn.rest);
    Value::Object(message)
}

fn own_content(parts: &[Part], is_plain: bool, message: &mut Rest) {
    let is_assistant = message.get("role").and_then(Value::as_str) == Some("assistant");
    let mut content = Vec::new();
    for part in parts {
        let (value, rest) = match part {
            Part::Text(text) if is_plain => {
                message.insert("content".to_owned(), json!(text.text));
                continue;
            }
            Part::Text(text) => (json!({"type": "text", "text": text.text}), &text.rest),
            Part::Refusal(text) if is_assistant && text.rest.is_empty() && text.breakpoint.is_none() => {
                // A message's own refusal stands beside its content.
                message.insert("refusal".to_owned(), json!(text.text));
                continue;
            }
            Part::Refusal(text) => (json!({"type": "refusal", "refusal": text.text}), &text.rest),
            Part::Media(media) => (own_media(media), &media.rest),
            Part::Opaque(opaque) => {
                content.push(opaque.value.clone());
                continue;
            }
            Part::Thought(_) | Part::Use(_) | Part::Result(_) => continue,
        };
        let mut members = value.as_object().cloned().unwrap_or_default();
        merge(&mut members, rest);
        content.push(Value::Object(members));
    }
    if !content.is_empty() {
        message.insert("content".to_owned(), Value::Array(content));
    }
}

fn own_call(call: &Use) -> Value {
    let (kind, argument) = match call.custom {
        Custom::Yes => ("custom", "input"),
        Custom::No => ("function", "arguments"),
    };
    let mut value = Rest::new();
    if !call.id.is_empty() {
        value.insert("id".to_owned(), json!(call.id));
    }
    let told =
        [("name", &call.name), (argument, &call.arguments)].into_iter().filter(|(_, text)| !text.is_empty());
    let inner: Rest = told.map(|(member, text)| (member.to_owned(), json!(text))).collect();
    if !inner.is_empty() {
        value.insert(kind.to_owned(), Value::Object(inner));
    }
    merge(&mut value, &call.rest);
    Value::Object(value)
}

fn own_media(media: &Media) -> Value {
    written_media(media, own_address)
}

/// Media with their addresses told in one way or the other.
fn written_media(media: &Media, address_of: fn(&MediaSource) -> String) -> Value {
    match media.kind {
        MediaKind::Audio => {
            let MediaSource::Bytes { media_type, data } = &media.source else { return json!({}) };
            let format = media_type.trim_start_matches("audio/");
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        MediaKind::Document => {
            let mut file = Rest::new();
            match &media.source {
                MediaSource::File { id } => _ = file.insert("file_id".to_owned(), json!(id)),
                source => _ = file.insert("file_data".to_owned(), json!(address_of(source))),
            }
            if let Some(name) = &media.name {
                file.insert("filename".to_owned(), json!(name));
            }
            json!({"type": "file", "file": file})
        }
        MediaKind::Image | MediaKind::Video => {
            let mut image = json!({"url": address_of(&media.source)});
            if let Some(detail) = &media.detail {
                image["detail"] = json!(detail);
            }
            json!({"type": "image_url", "image_url": image})
        }
    }
}

/// Turns that were settled, as messages.
pub(super) fn messages(turns: Vec<Turn>, crossing: &mut Crossing<'_>) -> Result<Vec<Value>, Failure> {
    let mut messages = Vec::with_capacity(turns.len());
    let is_instruction = |turn: &&Turn| matches!(turn.speaker, Speaker::System | Speaker::Developer);
    let instructions = turns.iter().take_while(is_instruction).count();
    let current = turns.iter().rposition(is_question).unwrap_or_default();
    for (place, turn) in turns.into_iter().enumerate() {
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                let is_taken = place < instructions || crossing.facts.system_turns.is_yes();
                messages.extend(instruction(&turn, is_taken));
            }
            Speaker::Assistant => messages.extend(assistant(turn, place, place > current, crossing)),
            Speaker::User | Speaker::Tool => user(turn, place, crossing, &mut messages)?,
        }
    }
    if messages.is_empty() {
        return Err(says_nothing());
    }
    Ok(messages)
}

/// Whether a turn asks something new: what came before it belongs to a tool loop that is over. Words beside results do
/// not, for agents put notes of their own there.
fn is_question(turn: &Turn) -> bool {
    turn.speaker == Speaker::User && !turn.parts.iter().any(|part| matches!(part, Part::Result(_)))
}

/// Instructions; as the user's words where the model takes them at the beginning only.
fn instruction(turn: &Turn, is_taken: bool) -> Option<Value> {
    let texts: Vec<&str> = turn
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) if !text.text.is_empty() => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    let text = texts.join("\n\n");
    (!texts.is_empty()).then(|| {
        if is_taken {
            json!({"role": "system", "content": text})
        } else {
            json!({"role": "user", "content": format!("<system>\n{text}\n</system>")})
        }
    })
}

/// A message of the assistant; none of a turn of which nothing can be told here. `is_current` says that the turn belongs
/// to the tool loop that goes on.
fn assistant(turn: Turn, place: usize, is_current: bool, crossing: &mut Crossing<'_>) -> Option<Value> {
    let (mut text, mut refusal, mut thought) = (String::new(), String::new(), String::new());
    let (mut calls, mut ridden) = (Vec::new(), None);
    for (number, part) in turn.parts.into_iter().enumerate() {
        let path = || format!("messages[{place}].content[{number}]");
        match part {
            Part::Text(words) if text.is_empty() => text = words.text,
            Part::Text(words) => text.push_str(&words.text),
            Part::Refusal(words) => refusal.push_str(&words.text),
            Part::Thought(words) => {
                ridden = own_signature(words.seal.as_ref(), crossing).or(ridden);
                thought.push_str(&words.text.join("\n\n"));
            }
            Part::Use(call) => {
                let signature = ridden.take().or_else(|| own_signature(call.seal.as_ref(), crossing));
                let mut call = foreign_call(call, crossing);
                if let Some(signature) = signature {
                    call["extra_content"] = json!({"google": {"thought_signature": signature}});
                }
                calls.push(call);
            }
            Part::Opaque(opaque) => text.push_str(&crossing.gist(&opaque, path()).unwrap_or_default()),
            Part::Media(_) => {
                crossing.warnings.dropped(path(), "the assistant's own media cannot be sent back here")
            }
            Part::Result(_) => {}
        }
    }
    let thought =
        Some(thought).filter(|thought| crossing.profile.takes_reasoning && is_current && !thought.is_empty());
    if text.is_empty() && refusal.is_empty() && calls.is_empty() && thought.is_none() {
        return None;
    }
    let content = if text.is_empty() && (!calls.is_empty() || !refusal.is_empty()) {
        if crossing.profile.plain_content { json!("") } else { Value::Null }
    } else {
        Value::String(text)
    };
    let mut message = object_of([("role", json!("assistant")), ("content", content)]);
    if !refusal.is_empty() {
        message["refusal"] = json!(refusal);
    }
    if let Some(thought) = thought {
        message["reasoning_content"] = Value::String(thought);
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Some(message)
}

/// The signature of a call that this provider, Gemini behind its endpoint of this dialect, made itself. Of one that a client of
/// Gemini brings as it is nobody knows whose it was.
fn own_signature(seal: Option<&Seal>, crossing: &Crossing<'_>) -> Option<String> {
    let seal = seal.filter(|seal| seal.provider.is_some() && crossing.made(seal, Dialect::Gemini))?;
    Some(seal.data.clone())
}

fn foreign_call(call: Use, crossing: &Crossing<'_>) -> Value {
    let name = crossing.asked.names.given(call.namespace.as_deref(), &call.name);
    let (kind, text, said) = match call.custom {
        Custom::Yes if !crossing.profile.no_custom_tools => ("custom", "input", call.arguments),
        Custom::Yes => ("function", "arguments", json!({"input": call.arguments}).to_string()),
        Custom::No if call.arguments.trim().is_empty() => ("function", "arguments", "{}".to_owned()),
        Custom::No => ("function", "arguments", call.arguments),
    };
    let body = object_of([("name", Value::String(name)), (text, Value::String(said))]);
    object_of([("id", Value::String(call.id)), ("type", json!(kind)), (kind, body)])
}

/// Results go first, each as a message of its own; the images in them follow behind all of them, with what else the user
/// says: a tool's message holds text only.
fn user(
    mut turn: Turn,
    place: usize,
    crossing: &mut Crossing<'_>,
    messages: &mut Vec<Value>,
) -> Result<(), Failure> {
    let mut content = Vec::new();
    for part in &mut turn.parts {
        if let Part::Result(result) = part {
            let text = Value::String(tool_text(result));
            let id = Value::String(std::mem::take(&mut result.call_id));
            messages.push(object_of([("role", json!("tool")), ("tool_call_id", id), ("content", text)]));
            for part in &result.parts {
                if let Part::Media(media) = part {
                    content.push(foreign_media(media, &format!("messages[{place}]"), crossing)?);
                }
            }
        }
    }
    for (number, part) in turn.parts.into_iter().enumerate() {
        let path = || format!("messages[{place}].content[{number}]");
        match part {
            Part::Text(text) | Part::Refusal(text) => content.push(Piece::Words(text.text)),
            Part::Media(media) => content.push(foreign_media(&media, &path(), crossing)?),
            Part::Opaque(opaque) => content.extend(crossing.gist(&opaque, path()).map(Piece::Words)),
            Part::Result(_) | Part::Thought(_) | Part::Use(_) => {}
        }
    }
    if !content.is_empty() {
        let content = joined(content, crossing.profile.plain_content);
        messages.push(object_of([("role", json!("user")), ("content", content)]));
    }
    Ok(())
}

/// A piece of what the user says.
enum Piece {
    Words(String),
    Other(Value),
}

/// The content of a message: a string for a single text, and for several where only strings are taken.
fn joined(mut pieces: Vec<Piece>, is_plain: bool) -> Value {
    if let [Piece::Words(words)] = &mut pieces[..] {
        return Value::String(std::mem::take(words));
    }
    let texts: Option<Vec<&str>> = pieces.iter().map(Piece::words).collect();
    match texts {
        Some(texts) if is_plain => Value::String(texts.join("\n\n")),
        _ => pieces.into_iter().map(Piece::told).collect(),
    }
}

impl Piece {
    fn words(&self) -> Option<&str> {
        match self {
            Self::Words(words) => Some(words),
            Self::Other(_) => None,
        }
    }

    fn told(self) -> Value {
        match self {
            Self::Words(words) => object_of([("type", json!("text")), ("text", Value::String(words))]),
            Self::Other(value) => value,
        }
    }
}

fn tool_text(result: &mut CallResult) -> String {
    let mut text = result_words(result);
    if has_media(result) {
        let note = "(see the attached media below)";
        text = if text.is_empty() { note.to_owned() } else { format!("{text}\n{note}") };
    }
    result_text(result, text)
}

fn foreign_media(media: &Media, path: &str, crossing: &mut Crossing<'_>) -> Result<Piece, Failure> {
    if let Some(note) = unseen(media, path, crossing) {
        return Ok(Piece::Words(note));
    }
    let refused = |what: &str| Err(refused_media(path, what));
    match (media.kind, &media.source) {
        (MediaKind::Video, _) => refused("film"),
        (_, MediaSource::File { .. }) => refused("files that are kept with another provider"),
        (MediaKind::Document, MediaSource::Text { text }) => Ok(Piece::Words(titled(media, text))),
        (MediaKind::Document, MediaSource::Url { .. }) => refused("documents by their address"),
        (MediaKind::Document, MediaSource::Bytes { media_type, .. }) => {
            if let Some(text) = text_of(media) {
                return Ok(Piece::Words(titled(media, &text)));
            }
            let name = Some(media.name.clone().unwrap_or_else(|| document_name(media_type)));
            Ok(Piece::Other(written_media(&Media { name, ..media.clone() }, address)))
        }
        (MediaKind::Audio, MediaSource::Bytes { media_type, data }) => {
            let Some(format) = sound_format(media_type) else { return refused(OTHER_SOUND) };
            let sound = json!({"data": data, "format": format});
            Ok(Piece::Other(json!({"type": "input_audio", "input_audio": sound})))
        }
        (MediaKind::Audio, _) => refused("sound by its address"),
        (MediaKind::Image, _) => Ok(Piece::Other(written_media(media, address))),
    }
}
