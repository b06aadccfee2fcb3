//! Members of a request that have no word: refused, left behind in silence, or left behind with a warning.

use lunaroute_core::conversation::{Conversation, Media, Part, Speaker, ToolChoice, Turn};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::Value;

use super::asked::Crossing;
use crate::dispatch::language;

/// What becomes of a member that cannot cross.
pub(crate) struct Leftovers {
    /// Members whose loss means nothing to the answer.
    pub(crate) silent: &'static [&'static str],
    /// Members, and kinds of parts, without which the request is another one, and what to do about them.
    pub(crate) refused: &'static [(&'static str, &'static str)],
    /// Members that are told by words of their own and kept as they were, and what of them has a word. The rest of them is
    /// lost.
    pub(crate) in_part: &'static [(&'static str, &'static [&'static str])],
    /// Members of a turn that are lost with it.
    pub(crate) of_turns: &'static [&'static str],
    /// What encoders call a field, by the words of Chat and Messages, and what it is called here where that differs.
    pub(crate) spelled: &'static [(&'static str, &'static str)],
    /// Members with a value, or a list of nothing else, that asks for nothing that is not had everywhere.
    pub(crate) harmless: &'static [(&'static str, &'static str)],
}

/// What encoders call the fields of this request otherwise than its caller, and the caller's names.
pub(crate) fn spelling(conversation: &Conversation) -> Vec<(&'static str, &'static str)> {
    let spelled = language(conversation.origin).leftovers().spelled.iter();
    spelled.filter(|(common, _)| !conversation.rest.contains_key(*common)).copied().collect()
}

/// The path of a field as its caller wrote it; `None` for one that has it already.
pub(crate) fn spelled(spelling: &[(&str, &str)], path: &str) -> Option<String> {
    let (start, behind) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    let (_, own) = spelling.iter().find(|(common, _)| *common == start)?;
    if *own == "contents" {
        return Some(format!("{own}{}", behind.replacen(".content[", ".parts[", 1)));
    }
    Some(format!("{own}{behind}"))
}

/// The path of a tool as its caller counts them; `None` for any other path, and where everybody counts alike.
pub(crate) fn own_tool(places: Option<&[usize]>, path: &str) -> Option<String> {
    let (number, behind) = path.strip_prefix("tools[")?.split_once(']')?;
    let own = places?.get(number.parse::<usize>().ok()?)?;
    Some(format!("tools[{own}]{behind}"))
}

/// What its caller calls a field, for an error.
pub(crate) fn own_path(conversation: &Conversation, path: &str) -> String {
    spelled(&spelling(conversation), path).unwrap_or_else(|| path.to_owned())
}

/// Members of images, documents and sound that say nothing to another provider, or are told by words of their own.
const OF_MEDIA: [&str; 4] = ["type", "cache_control", "prompt_cache_breakpoint", "id"];

/// Judges what is left of a request that goes to another dialect.
///
/// # Errors
/// `bad_request` when a member cannot be left behind.
pub(crate) fn leave_behind(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<(), Failure> {
    let Leftovers { silent, refused, in_part, harmless, .. } = language(conversation.origin).leftovers();
    for (name, value) in &conversation.rest {
        let asks_only = |word: &str| match value {
            Value::Array(list) => list.iter().all(|kind| kind == word),
            value => value == word,
        };
        let is_harmless = |(member, word): &(&str, &str)| *member == name.as_str() && asks_only(word);
        // A form that nobody knows is told by no word.
        let is_silent =
            silent.contains(&name.as_str()) && !(name == "response_format" && conversation.format.is_none());
        if is_nothing(value) || is_silent || harmless.iter().any(is_harmless) {
            continue;
        }
        if let Some((_, advice)) = refused.iter().find(|(member, _)| *member == name.as_str()) {
            // What is switched off, or names nothing, is not asked for.
            if matches!(value, Value::Bool(false)) || value == "" {
                continue;
            }
            return Err(refused_member(name, advice));
        }
        crossing.warnings.dropped(name.as_str(), NO_FIELD);
    }
    // Efforts may have words that came up later.
    let is_known = conversation.reasoning.is_some_and(|reasoning| reasoning.effort.is_some());
    for (name, told) in *in_part {
        for (inner, value) in conversation.rest.get(*name).and_then(Value::as_object).into_iter().flatten() {
            let is_told = match inner.as_str() {
                "effort" => is_known,
                "format" => conversation.format.is_some(),
                inner => told.contains(&inner),
            };
            if !is_nothing(value) && !is_told {
                crossing.warnings.dropped(format!("{name}.{inner}"), NO_FIELD);
            }
        }
    }
    if conversation.tool_choice == Some(ToolChoice::Other) {
        crossing.warnings.dropped("tool_choice", "a choice that only its own vendor knows");
    }
    leave_turns(conversation, crossing)
}

/// What of the turns is lost wherever they go.
fn leave_turns(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Result<(), Failure> {
    let language = language(conversation.origin);
    let Leftovers { refused, of_turns, .. } = language.leftovers();
    let mut place = 0;
    for turn in &conversation.turns {
        let path = match outside(conversation.origin, turn) {
            Some(name) => name.to_owned(),
            None => {
                place += 1;
                format!("{}[{}]", language.list_name(), place - 1)
            }
        };
        for name in
            of_turns.iter().filter(|name| turn.rest.get(**name).is_some_and(|value| !is_nothing(value)))
        {
            crossing.warnings.dropped(format!("{path}.{name}"), NO_FIELD);
        }
        for (number, part) in turn.parts.iter().enumerate() {
            let path = || format!("{path}.{}[{number}]", language.content_name());
            leave_part(part, turn.speaker, path, refused, crossing)?;
        }
    }
    Ok(())
}

const NO_FIELD: &str = "the provider that serves this model has no such field";

fn is_nothing(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The member that holds a turn which stands outside the list of turns.
pub(crate) fn outside(origin: Dialect, turn: &Turn) -> Option<&'static str> {
    if origin == Dialect::Gemini && turn.speaker == Speaker::System {
        return Some("systemInstruction");
    }
    ["system", "instructions"].into_iter().find(|name| turn.rest.get(*name) == Some(&Value::Bool(true)))
}

/// What of a part is lost wherever it goes.
fn leave_part(
    part: &Part,
    speaker: Speaker,
    path: impl Fn() -> String,
    refused: &[(&str, &str)],
    crossing: &mut Crossing<'_>,
) -> Result<(), Failure> {
    let is_instruction = matches!(speaker, Speaker::System | Speaker::Developer);
    match part {
        Part::Opaque(opaque) => {
            if let Some((kind, advice)) = refused.iter().find(|(kind, _)| *kind == opaque.kind) {
                return Err(refused_member(kind, advice));
            }
            if is_instruction && opaque.gist.is_none() {
                crossing.warnings.dropped(path(), "instructions go as text only");
            }
        }
        Part::Media(_) if is_instruction => {
            crossing.warnings.dropped(path(), "instructions go as text only");
        }
        Part::Media(media) => leave_media(media, path, crossing),
        Part::Result(result) => {
            for (number, part) in result.parts.iter().enumerate() {
                let path = || format!("{}.content[{number}]", path());
                match part {
                    Part::Opaque(opaque) if opaque.gist.is_none() => {
                        crossing
                            .warnings
                            .dropped(path(), "the provider that serves this model knows no such part");
                    }
                    Part::Media(media) => leave_media(media, path, crossing),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What stands beside media in their block: context, citations, how a film is cut.
fn leave_media(media: &Media, path: impl Fn() -> String, crossing: &mut Crossing<'_>) {
    for (name, value) in &media.rest {
        let is_off = value.get("enabled") == Some(&Value::Bool(false));
        if !is_nothing(value) && !is_off && !OF_MEDIA.contains(&name.as_str()) {
            crossing.warnings.dropped(format!("{}.{name}", path()), NO_FIELD);
        }
    }
}

fn refused_member(name: &str, advice: &str) -> Failure {
    Failure::client(
        FailureKind::BadRequest,
        format!("'{name}' cannot be honoured by the provider that serves this model; {advice}"),
    )
}
