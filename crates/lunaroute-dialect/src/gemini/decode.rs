//! Decodes a request of `generateContent`. The model and the wish for a stream stand in its path; a model in the body is
//! the same said again.

use lunaroute_core::conversation::{
    CallResult, Conversation, Media, MediaKind, MediaSource, Opaque, Part, Rest, Speaker, Summary, Text,
    Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::Value;

use super::seal::seal_of;
use super::spelling::{inner, members};
use super::{config, tools};
use crate::cross::{Asked, Leftovers, Members};

pub(super) static LEFTOVERS: Leftovers = Leftovers {
    silent: &["store"],
    refused: &[
        ("cachedContent", "send what it holds, or use a model of Google"),
        ("generationConfig.responseModalities", "ask for text, or use a model of Google"),
    ],
    harmless: &[],
};

/// Members that are parts of their own, of which nothing crosses but what they say.
const OPAQUE: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// Thoughts are shown to callers that ask for them; their seals are carried for all.
pub(super) fn asks(conversation: &Conversation, asked: &mut Asked) {
    asked.shows_seals_only =
        conversation.reasoning.and_then(|reasoning| reasoning.summary) != Some(Summary::Auto);
}

pub(super) fn decode(mut body: Rest) -> Result<Conversation, Failure> {
    // A question for the length of a request may hold the request itself.
    if let Some(Value::Object(asked)) = body.get_mut("generateContentRequest") {
        body = std::mem::take(asked);
    }
    let mut body = members(Value::Object(body), String::new())?;
    let model = body.text("model")?.unwrap_or_default();
    let model = model.strip_prefix("models/").map_or(model.clone(), str::to_owned);
    let mut conversation = Conversation::new(Dialect::Gemini, model);
    if let Some(system) = body.value("systemInstruction") {
        let system = match system {
            Value::String(text) => serde_json::json!({"parts": [{"text": text}]}),
            system => system,
        };
        conversation.turns.push(turn(system, "systemInstruction".to_owned(), Some(Speaker::System))?);
    }
    for (place, content) in body.list("contents")?.unwrap_or_default().into_iter().enumerate() {
        conversation.turns.push(turn(content, format!("contents[{place}]"), None)?);
    }
    tools::decode(&mut body, &mut conversation)?;
    config::decode(&mut body, &mut conversation)?;
    conversation.rest.extend(body.rest());
    Ok(conversation)
}

fn turn(content: Value, path: String, speaker: Option<Speaker>) -> Result<Turn, Failure> {
    let mut content = members(content, path.clone())?;
    let speaker = match speaker {
        Some(speaker) => speaker,
        None => speaker_of(content.text("role")?.as_deref(), &path)?,
    };
    let mut parts = Vec::new();
    for (place, part) in content.list("parts")?.unwrap_or_default().into_iter().enumerate() {
        decode_part(part, format!("{path}.parts[{place}]"), &mut parts)?;
    }
    Ok(Turn { speaker, parts, is_plain: false, rest: content.rest() })
}

/// Who speaks; the person that asks where nobody is named.
fn speaker_of(role: Option<&str>, path: &str) -> Result<Speaker, Failure> {
    match role {
        None | Some("user") => Ok(Speaker::User),
        Some("model") => Ok(Speaker::Assistant),
        Some("function") => Ok(Speaker::Tool),
        Some(other) => {
            let message = format!("'{path}.role' is {other:?}; it is user, model or function");
            Err(Failure::client(FailureKind::BadRequest, message))
        }
    }
}

fn decode_part(part: Value, path: String, parts: &mut Vec<Part>) -> Result<(), Failure> {
    let whole = part.clone();
    let mut part = members(part, path)?;
    if let Some(kind) = OPAQUE.iter().find(|kind| part.peek(kind).is_some()) {
        let gist = gist(kind, &mut part)?;
        parts.push(Part::Opaque(Opaque { kind: (*kind).to_owned(), value: whole, gist }));
        return Ok(());
    }
    let sealed = part.text("thoughtSignature")?.map(|signature| seal_of(&signature));
    if part.flag("thought")? == Some(true) {
        let text = part.text("text")?.filter(|text| !text.is_empty());
        let (seal, is_redacted) = sealed.unzip();
        let is_redacted = is_redacted.unwrap_or_default();
        parts.push(Part::Thought(Thought {
            text: text.into_iter().collect(),
            seal,
            is_redacted,
            rest: part.rest(),
        }));
        return Ok(());
    }
    // Reasoning of another model rides on what follows it, and is reasoning again on the way back. The seals of this
    // dialect do the same in others.
    if let Some((seal, is_redacted)) = sealed {
        parts.push(Part::Thought(Thought { seal: Some(seal), is_redacted, ..Thought::default() }));
    }
    if let Some(call) = inner(&mut part, "functionCall")? {
        parts.push(call_part(call, part.rest())?);
    } else if let Some(result) = inner(&mut part, "functionResponse")? {
        parts.push(result_part(result, part.rest())?);
    } else if let Some(data) = inner(&mut part, "inlineData")? {
        parts.push(inline(data, part.rest())?);
    } else if let Some(file) = inner(&mut part, "fileData")? {
        parts.push(file_part(file, part.rest())?);
    } else if let Some(text) = part.text("text")? {
        parts.push(Part::Text(Text { text, breakpoint: None, rest: part.rest() }));
    } else {
        parts.push(Part::Opaque(Opaque { kind: "part".to_owned(), value: whole, gist: None }));
    }
    Ok(())
}

/// What code that the provider ran says, fenced as its users read it.
fn gist(kind: &str, part: &mut Members) -> Result<Option<String>, Failure> {
    let Some(mut inside) = inner(part, kind)? else { return Ok(None) };
    Ok(match kind {
        "executableCode" => {
            let language = inside.word("language").to_ascii_lowercase();
            inside.text("code")?.map(|code| format!("```{language}\n{code}\n```"))
        }
        "codeExecutionResult" => inside.text("output")?.map(|output| format!("```\n{output}\n```")),
        _ => None,
    })
}

fn call_part(mut call: Members, outside: Rest) -> Result<Part, Failure> {
    let (id, name) = (call.text("id")?.unwrap_or_default(), call.required("name")?);
    let arguments = call.value("args").map_or_else(|| "{}".to_owned(), |args| args.to_string());
    let mut rest = outside;
    let left = call.rest();
    if !left.is_empty() {
        rest.insert("functionCall".to_owned(), Value::Object(left));
    }
    Ok(Part::Use(Use { id, name, arguments, rest, ..Use::default() }))
}

/// What a function's response says, and whether it failed. By Google's convention a response holds what came out under
/// `output`, or what went wrong under `error`; with more beside that, or without either, the object is what came out.
fn outcome(response: &Value) -> (String, bool) {
    let failed = match response.get("error") {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        _ => false,
    };
    let members = response.as_object();
    let mut told = members.into_iter().flatten().filter(|(_, value)| !value.is_null());
    let said = match (told.next(), told.next()) {
        (Some((name, value)), None) if matches!(name.as_str(), "output" | "result") || failed => value,
        _ => response,
    };
    let text = match said {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(members) if members.is_empty() => String::new(),
        said => said.to_string(),
    };
    (text, failed)
}

fn result_part(mut result: Members, outside: Rest) -> Result<Part, Failure> {
    let (call_id, name) = (result.text("id")?.unwrap_or_default(), result.text("name")?);
    let response = result.peek("response").cloned().unwrap_or_default();
    let (text, failed) = outcome(&response);
    let mut parts: Vec<Part> = Some(text)
        .filter(|text| !text.is_empty())
        .map(|text| Part::Text(Text::from(text)))
        .into_iter()
        .collect();
    let media = result.peek("parts").and_then(Value::as_array).cloned().unwrap_or_default();
    for (place, part) in media.into_iter().enumerate() {
        decode_part(part, format!("{}[{place}]", result.path("parts")), &mut parts)?;
    }
    let is_error = failed.then_some(true);
    // The response itself stays where it is, for its own dialect.
    let mut rest = outside;
    rest.insert("functionResponse".to_owned(), Value::Object(result.rest()));
    Ok(Part::Result(CallResult { call_id, name, parts, is_error, rest, ..CallResult::default() }))
}

fn inline(mut data: Members, rest: Rest) -> Result<Part, Failure> {
    let media_type = data.required("mimeType")?;
    let (kind, name) = (kind_of(&media_type), data.text("displayName")?);
    let source = MediaSource::Bytes { media_type, data: data.required("data")? };
    Ok(media(kind, source, name, rest))
}

fn file_part(mut file: Members, rest: Rest) -> Result<Part, Failure> {
    let (url, media_type) = (file.required("fileUri")?, file.text("mimeType")?);
    let kind = media_type.as_deref().map_or(MediaKind::Document, kind_of);
    let name = file.text("displayName")?;
    // What stands with Google is found by nobody else.
    let is_public =
        url.starts_with("https://") && !url.starts_with("https://generativelanguage.googleapis.com/");
    let source = if is_public { MediaSource::Url { url, media_type } } else { MediaSource::File { id: url } };
    Ok(media(kind, source, name, rest))
}

fn media(kind: MediaKind, source: MediaSource, name: Option<String>, rest: Rest) -> Part {
    Part::Media(Media { kind, source, name, detail: None, breakpoint: None, rest })
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}
