//! Decodes a request of `generateContent`. The model and the wish for a stream stand in its path; a model in the body is
//! the same said again.

use lunaroute_core::conversation::{
    CallResult, Conversation, Media, MediaKind, MediaSource, Opaque, Part, Rest, Speaker, Summary, Text,
    Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::Value;

use super::seal::{seal_of, signature_of};
use super::spelling::{camel, inner, members};
use super::turns::{FILES, is_film};
use super::{config, tools};
use crate::cross::{Asked, Leftovers, Members, json_text, wrong};

/// Where the request of a question for a length stands in the question.
pub(super) const ASKED: &str = "generateContentRequest";

pub(super) static LEFTOVERS: Leftovers = Leftovers {
    // What was understood of the last four is told by words; they keep the form that it had.
    silent: &["store", ASKED, "model", "tools", "toolConfig", "generationConfig"],
    refused: &[
        ("cachedContent", "send what it holds, or use a model of Google"),
        ("generationConfig.responseModalities", "ask for text, or use a model of Google"),
    ],
    harmless: &[],
    in_part: &[],
    of_turns: &[],
    spelled: &[
        ("thinking", "generationConfig.thinkingConfig"),
        ("reasoning_effort", "generationConfig.thinkingConfig"),
        ("max_tokens", "generationConfig.maxOutputTokens"),
        ("temperature", "generationConfig.temperature"),
        ("top_p", "generationConfig.topP"),
        ("top_k", "generationConfig.topK"),
        ("seed", "generationConfig.seed"),
        ("frequency_penalty", "generationConfig.frequencyPenalty"),
        ("presence_penalty", "generationConfig.presencePenalty"),
        ("stop", "generationConfig.stopSequences"),
        ("stop_sequences", "generationConfig.stopSequences"),
        ("logprobs", "generationConfig.responseLogprobs"),
        ("response_format", "generationConfig.responseJsonSchema"),
        ("output_format", "generationConfig.responseJsonSchema"),
        ("tool_choice", "toolConfig"),
        ("messages", "contents"),
    ],
};

/// Members that are parts of their own, of which nothing crosses but what they say.
const OPAQUE: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// The arguments of a call that has none.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// Thoughts are shown to callers that ask for them; their seals are carried for all.
pub(super) fn asks(conversation: &Conversation, asked: &mut Asked) {
    asked.shows_seals_only =
        conversation.reasoning.and_then(|reasoning| reasoning.summary) != Some(Summary::Auto);
}

pub(super) fn decode(body: Rest) -> Result<Conversation, Failure> {
    let mut body = members(Value::Object(body), String::new())?;
    // A question for the length of a request may hold the request itself.
    let Some(asked) = inner(&mut body, ASKED)? else { return decode_request(body) };
    if asked.peek(ASKED).is_some() {
        let message = format!("'{ASKED}' is there twice, one in the other");
        return Err(Failure::client(FailureKind::BadRequest, message));
    }
    let mut conversation = decode_request(asked)?;
    conversation.rest.insert(ASKED.to_owned(), Value::Object(body.rest()));
    Ok(conversation)
}

fn decode_request(mut body: Members) -> Result<Conversation, Failure> {
    if body.peek("model").is_some_and(|model| !model.is_string()) {
        return Err(wrong("model", "a string"));
    }
    let model = body.word("model");
    let mut conversation = Conversation::new(Dialect::Gemini, model.strip_prefix("models/").unwrap_or(model));
    match body.value("systemInstruction") {
        // No content of the protocol, but some hosts take one.
        Some(Value::String(text)) => {
            let words = Turn::new(Speaker::System, vec![Part::Text(Text::from(text))]);
            conversation.turns.push(Turn { is_plain: true, ..words });
        }
        Some(system) => {
            conversation.turns.push(turn(system, "systemInstruction".to_owned(), Some(Speaker::System))?);
        }
        None => {}
    }
    for (place, content) in body.list("contents")?.unwrap_or_default().into_iter().enumerate() {
        conversation.turns.push(turn(content, format!("contents[{place}]"), None)?);
    }
    tools::decode(&mut body, &mut conversation)?;
    config::decode(&mut body, &mut conversation)?;
    let left = body.rest();
    // No member of the protocol is called so, and the conversation's rest has names of its own that begin so.
    let is_path = |name: &&String| name.starts_with(config::PREFIX) || name.starts_with(tools::CHOICE_PREFIX);
    if let Some(name) = left.keys().find(is_path) {
        return Err(Failure::client(FailureKind::BadRequest, format!("'{name}' is no member of a request")));
    }
    conversation.rest.extend(left);
    Ok(conversation)
}

fn turn(content: Value, path: String, speaker: Option<Speaker>) -> Result<Turn, Failure> {
    let mut content = members(content, path.clone())?;
    let speaker = match speaker {
        Some(speaker) => speaker,
        None => speaker_of(content.peek("role"), &path)?,
    };
    let mut parts = Vec::new();
    for (place, part) in content.list("parts")?.unwrap_or_default().into_iter().enumerate() {
        decode_part(part, format!("{path}.parts[{place}]"), &mut parts)?;
    }
    Ok(Turn { speaker, parts, is_plain: false, rest: content.rest() })
}

/// Who speaks; the person that asks where nobody is named. The role stays where it is.
fn speaker_of(role: Option<&Value>, path: &str) -> Result<Speaker, Failure> {
    let Some(role) = role else { return Ok(Speaker::User) };
    match role.as_str() {
        Some("user") => Ok(Speaker::User),
        Some("model") => Ok(Speaker::Assistant),
        Some("function") => Ok(Speaker::Tool),
        _ => {
            let message = format!("'{path}.role' is {role}; it is user, model or function");
            Err(Failure::client(FailureKind::BadRequest, message))
        }
    }
}

fn decode_part(part: Value, path: String, parts: &mut Vec<Part>) -> Result<(), Failure> {
    let whole = camel(part, &path)?;
    let mut part = Members::of(whole.clone(), path)?;
    if let Some(kind) = OPAQUE.iter().find(|kind| part.peek(kind).is_some()) {
        let gist = gist(kind, &mut part)?;
        parts.push(Part::Opaque(Opaque { kind: (*kind).to_owned(), value: whole, gist }));
        return Ok(());
    }
    let sealed = sealed(&mut part)?;
    if is_thought(&part)? {
        // One without words keeps that it is one, and so is told from a seal that rides on what follows.
        let text = Some(part.name("text")?).filter(|text| !text.is_empty());
        let sealed = sealed.unwrap_or_default();
        let rest = part.rest().into_iter().chain(sealed.rest).collect();
        parts.push(Part::Thought(Thought { text: text.into_iter().collect(), rest, ..sealed }));
        return Ok(());
    }
    // Reasoning of another model rides on what follows it, and is reasoning again on the way back. The seals of this
    // dialect do the same in others.
    parts.extend(sealed.map(Part::Thought));
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

/// The reasoning of which a part holds nothing but the seal. One that would be written in another way, such as in another
/// alphabet, stays in its own.
fn sealed(part: &mut Members) -> Result<Option<Thought>, Failure> {
    let Some(signature) = part.text("thoughtSignature")? else { return Ok(None) };
    let (seal, is_redacted) = seal_of(&signature);
    let mut rest = Rest::new();
    if signature_of(&seal, is_redacted) != signature {
        rest.insert("thoughtSignature".to_owned(), Value::String(signature));
    }
    Ok(Some(Thought { seal: Some(seal), is_redacted, rest, ..Thought::default() }))
}

/// Whether a part is reasoning; it goes on to say so.
fn is_thought(part: &Members) -> Result<bool, Failure> {
    match part.peek("thought") {
        None => Ok(false),
        Some(Value::Bool(is_thought)) => Ok(*is_thought),
        Some(_) => Err(wrong(&part.path("thought"), "true or false")),
    }
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
    let (id, name) = (call.name("id")?, call.required("name")?);
    // None are an empty object, which stays where it is.
    let is_empty = call.peek("args").is_none_or(|args| args.as_object().is_some_and(Rest::is_empty));
    let args = if is_empty { None } else { call.value("args") };
    let arguments = args.map_or_else(|| NO_ARGUMENTS.to_owned(), |args| json_text(&args));
    let rest = with_left(outside, "functionCall", call);
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
    let (call_id, name) = (result.name("id")?, result.text("name")?);
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
    Ok(media(kind, source, name, with_left(rest, "inlineData", data)))
}

fn file_part(mut file: Members, rest: Rest) -> Result<Part, Failure> {
    let (url, name) = (file.required("fileUri")?, file.text("displayName")?);
    // What stands with Google is found by nobody else.
    let is_public = url.starts_with("https://") && !url.starts_with(FILES);
    let kind = match file.word("mimeType") {
        "" if is_film(&url) => MediaKind::Video,
        "" => MediaKind::Document,
        word => kind_of(word),
    };
    let source = if is_public {
        MediaSource::Url { url, media_type: file.text("mimeType")? }
    } else {
        MediaSource::File { id: url }
    };
    Ok(media(kind, source, name, with_left(rest, "fileData", file)))
}

/// What stands beside a member, with what is left of the member.
fn with_left(mut outside: Rest, name: &str, member: Members) -> Rest {
    let left = member.rest();
    if !left.is_empty() {
        outside.insert(name.to_owned(), Value::Object(left));
    }
    outside
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
