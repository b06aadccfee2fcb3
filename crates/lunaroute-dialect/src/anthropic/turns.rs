//! Turns as messages.

use lunaroute_core::conversation::{
    Breakpoint, CallResult, Media, MediaKind, MediaSource, Part, Rest, Speaker, Text, Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::{Value, json};

use super::decode::is_custom;
use crate::cross::{
    Crossing, goes_on_from_nothing, is_pdf, merge, object_of, proper, refused_media, says_nothing, text_of,
    unseen, words,
};

/// Most places where a cache may be cut.
const BREAKPOINTS: usize = 4;

/// A message that was decoded from this dialect, as it was.
pub(super) fn own_message(turn: &Turn) -> Value {
    let role = match turn.speaker {
        Speaker::Assistant => "assistant",
        Speaker::System | Speaker::Developer => "system",
        Speaker::User | Speaker::Tool => "user",
    };
    let mut message = Rest::new();
    message.insert("role".to_owned(), json!(role));
    message.insert("content".to_owned(), own_content(turn));
    merge(&mut message, &turn.rest);
    Value::Object(message)
}

/// The content of such a turn.
pub(super) fn own_content(turn: &Turn) -> Value {
    content(&turn.parts, turn.is_plain)
}

fn content(parts: &[Part], is_plain: bool) -> Value {
    match parts {
        [Part::Text(text)] if is_plain => json!(text.text),
        parts => parts.iter().map(own_part).collect(),
    }
}

fn own_part(part: &Part) -> Value {
    let (value, rest) = match part {
        Part::Text(text) | Part::Refusal(text) => (json!({"type": "text", "text": text.text}), &text.rest),
        Part::Media(media) => (own_media(media), &media.rest),
        Part::Thought(thought) => (own_thought(thought), &thought.rest),
        Part::Use(call) => (
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input(&call.arguments)}),
            &call.rest,
        ),
        Part::Result(result) => {
            let mut value = json!({"type": "tool_result", "tool_use_id": result.call_id});
            if !result.parts.is_empty() {
                value["content"] = content(&result.parts, result.is_plain);
            }
            if let Some(is_error) = result.is_error {
                value["is_error"] = json!(is_error);
            }
            (value, &result.rest)
        }
        Part::Opaque(opaque) => return opaque.value.clone(),
    };
    with_rest(value, rest)
}

fn with_rest(value: Value, rest: &Rest) -> Value {
    match value {
        Value::Object(mut members) => {
            merge(&mut members, rest);
            Value::Object(members)
        }
        value => value,
    }
}

fn own_thought(thought: &Thought) -> Value {
    // A seal that the gateway tagged is in the rest as it came.
    let own =
        thought.seal.as_ref().filter(|seal| seal.maker == Dialect::Anthropic).map(|seal| seal.data.as_str());
    if thought.is_redacted {
        let mut value = json!({"type": "redacted_thinking"});
        if let Some(data) = own {
            value["data"] = json!(data);
        }
        return value;
    }
    let mut value = json!({"type": "thinking", "thinking": thought.text.join("")});
    if let Some(signature) = own {
        value["signature"] = json!(signature);
    }
    value
}

fn own_media(media: &Media) -> Value {
    let kind = if media.kind == MediaKind::Image { "image" } else { "document" };
    let mut value = json!({"type": kind, "source": source(&media.source)});
    if let Some(name) = &media.name {
        value["title"] = json!(name);
    }
    value
}

/// A document of another dialect that is text.
fn text_document(media: &Media, text: String) -> Value {
    let source =
        [("type", json!("text")), ("media_type", json!("text/plain")), ("data", Value::String(text))];
    let mut value = object_of([("type", json!("document")), ("source", object_of(source))]);
    if let Some(name) = &media.name {
        value["title"] = json!(name);
    }
    value
}

fn source(source: &MediaSource) -> Value {
    match source {
        MediaSource::Bytes { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
        MediaSource::Url { url, .. } => json!({"type": "url", "url": url}),
        MediaSource::File { id } => json!({"type": "file", "file_id": id}),
        MediaSource::Text { text } => json!({"type": "text", "media_type": "text/plain", "data": text}),
    }
}

/// What a call asks for as an object; `None` for text that is no object.
fn object(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    serde_json::from_str(arguments).ok().filter(Value::is_object)
}

fn input(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| json!({"_raw": arguments}))
}

/// Turns of another dialect in this one's form.
pub(super) struct Turns {
    /// Blocks of the `system` field.
    pub(super) system: Vec<Value>,
    /// The messages.
    pub(super) messages: Vec<Value>,
    /// Whether the caller says where a cache may be cut.
    pub(super) has_breakpoints: bool,
}

/// Turns that were settled, as messages.
pub(super) fn messages(turns: &mut [Turn], crossing: &mut Crossing<'_>) -> Result<Turns, Failure> {
    let mut writing = Writing { crossing, breakpoints: 0, had_short: false, messages: Vec::new() };
    let mut system = Vec::new();
    let is_instruction = |turn: &&Turn| matches!(turn.speaker, Speaker::System | Speaker::Developer);
    let instructions = turns.iter().take_while(is_instruction).count();
    let mut next = None;
    let mut nexts: Vec<Option<Speaker>> = Vec::with_capacity(turns.len() - instructions);
    for turn in turns[instructions..].iter().rev() {
        nexts.push(next);
        next = Some(turn.speaker).filter(|_| !is_instruction(&turn)).or(next);
    }
    let (first, said) = turns.split_at_mut(instructions);
    for turn in first {
        for part in &mut turn.parts {
            if let Part::Text(text) = part
                && !text.text.trim().is_empty()
            {
                system.push(writing.text(text));
            }
        }
    }
    for ((place, turn), next) in (instructions..).zip(said).zip(nexts.into_iter().rev()) {
        writing.turn(place, turn, next)?;
    }
    let has_breakpoints = writing.breakpoints > 0;
    let messages = writing.finish()?;
    Ok(Turns { system, messages, has_breakpoints })
}

struct Writing<'crossing, 'facts> {
    crossing: &'crossing mut Crossing<'facts>,
    breakpoints: usize,
    /// A short-lived one was sent: long-lived ones may not follow it.
    had_short: bool,
    messages: Vec<(&'static str, Vec<Value>)>,
}

impl Writing<'_, '_> {
    /// Writes a turn; `next` is who speaks behind it, the system apart.
    fn turn(&mut self, place: usize, turn: &mut Turn, next: Option<Speaker>) -> Result<(), Failure> {
        match turn.speaker {
            Speaker::System | Speaker::Developer => {
                let text = words(&turn.parts);
                if text.is_empty() {
                    return Ok(());
                }
                // The protocol has a place for one behind the user and before the assistant or the end.
                let follows_user =
                    self.messages.last().is_some_and(|(role, _)| matches!(*role, "user" | "system"));
                let is_before_user = next.is_some_and(|next| next != Speaker::Assistant);
                if self.crossing.facts.system_turns.is_yes() && follows_user && !is_before_user {
                    self.append("system", vec![json!({"type": "text", "text": text})]);
                } else {
                    let wrapped = format!("<system>\n{text}\n</system>");
                    self.append("user", vec![json!({"type": "text", "text": wrapped})]);
                }
            }
            Speaker::Assistant => {
                let blocks = self.assistant(place, turn)?;
                self.append("assistant", blocks);
            }
            Speaker::User | Speaker::Tool => {
                let blocks = self.parts(&mut turn.parts, &format!("messages[{place}]"))?;
                // Results come first whatever stands before them.
                let (results, others): (Vec<Value>, Vec<Value>) =
                    blocks.into_iter().partition(|block| block["type"] == "tool_result");
                self.append("user", results.into_iter().chain(others).collect());
            }
        }
        Ok(())
    }

    fn append(&mut self, role: &'static str, blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        match self.messages.last_mut() {
            Some((last, known)) if *last == role => known.extend(blocks),
            _ => self.messages.push((role, blocks)),
        }
    }

    /// Reasoning goes before everything else: the protocol wants it before the calls that it led to.
    fn assistant(&mut self, place: usize, turn: &mut Turn) -> Result<Vec<Value>, Failure> {
        let thoughts = turn.parts.iter().filter_map(|part| match part {
            Part::Thought(thought) => {
                let seal = thought.seal.as_ref()?;
                self.crossing.made(seal, Dialect::Anthropic).then(|| own_thought(thought))
            }
            _ => None,
        });
        let mut blocks: Vec<Value> = thoughts.collect();
        blocks.extend(self.parts(&mut turn.parts, &format!("messages[{place}]"))?);
        Ok(blocks)
    }

    fn parts(&mut self, parts: &mut [Part], path: &str) -> Result<Vec<Value>, Failure> {
        let mut blocks = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter_mut().enumerate() {
            let path = || format!("{path}.content[{number}]");
            match part {
                Part::Text(text) | Part::Refusal(text) if text.text.trim().is_empty() => {}
                Part::Text(text) | Part::Refusal(text) => blocks.push(self.text(text)),
                Part::Media(media) => blocks.push(self.media(media, &path())?),
                Part::Thought(_) => {}
                Part::Use(call) => blocks.push(self.call(call, path)),
                Part::Result(result) => blocks.push(self.result(result, &path())?),
                Part::Opaque(opaque) => {
                    let gist = self.crossing.gist(opaque, path());
                    blocks.extend(gist.map(|gist| json!({"type": "text", "text": gist})));
                }
            }
        }
        Ok(blocks)
    }

    fn text(&mut self, text: &mut Text) -> Value {
        let told = Value::String(std::mem::take(&mut text.text));
        let block = object_of([("type", json!("text")), ("text", told)]);
        self.with_breakpoint(block, text.breakpoint)
    }

    fn with_breakpoint(&mut self, mut block: Value, breakpoint: Option<Breakpoint>) -> Value {
        if let Some(breakpoint) = breakpoint
            && self.breakpoints < BREAKPOINTS
        {
            self.breakpoints += 1;
            self.had_short |= breakpoint == Breakpoint::Short;
            let breakpoint = if self.had_short { Breakpoint::Short } else { breakpoint };
            block["cache_control"] = match breakpoint {
                Breakpoint::Short => json!({"type": "ephemeral"}),
                Breakpoint::Long => json!({"type": "ephemeral", "ttl": "1h"}),
            };
        }
        block
    }

    fn media(&mut self, media: &Media, path: &str) -> Result<Value, Failure> {
        if let Some(note) = unseen(media, path, self.crossing) {
            return Ok(json!({"type": "text", "text": note}));
        }
        let what = match (media.kind, &media.source) {
            (MediaKind::Audio | MediaKind::Video, _) => "sound and film",
            (_, MediaSource::File { .. }) => "files that are kept with another provider",
            (MediaKind::Image, MediaSource::Text { .. }) => "an image of text",
            (MediaKind::Image, MediaSource::Bytes { media_type, data }) => {
                let source =
                    MediaSource::Bytes { media_type: proper(media_type).to_owned(), data: data.clone() };
                let block = own_media(&Media { source, name: None, ..media.clone() });
                return Ok(self.with_breakpoint(block, media.breakpoint));
            }
            (MediaKind::Image, MediaSource::Url { .. }) => {
                return Ok(
                    self.with_breakpoint(own_media(&Media { name: None, ..media.clone() }), media.breakpoint)
                );
            }
            (MediaKind::Document, MediaSource::Bytes { media_type, .. }) if !is_pdf(media_type) => {
                match text_of(media) {
                    Some(text) => {
                        return Ok(self.with_breakpoint(text_document(media, text), media.breakpoint));
                    }
                    None => "documents other than PDF and text",
                }
            }
            (MediaKind::Document, _) => return Ok(self.with_breakpoint(own_media(media), media.breakpoint)),
        };
        Err(refused_media(path, what))
    }

    fn call(&mut self, call: &Use, path: impl Fn() -> String) -> Value {
        let name = self.crossing.asked.names.given(call.namespace.as_deref(), &call.name);
        let input = if is_custom(call.custom) {
            json!({"input": call.arguments})
        } else {
            object(&call.arguments).unwrap_or_else(|| {
                self.crossing.warnings.changed(path(), "arguments that are no JSON object went under '_raw'");
                json!({"_raw": call.arguments})
            })
        };
        let (id, name) = (json!(call.id), Value::String(name));
        let block = object_of([("type", json!("tool_use")), ("id", id), ("name", name), ("input", input)]);
        self.with_breakpoint(block, call.breakpoint)
    }

    fn result(&mut self, result: &mut CallResult, path: &str) -> Result<Value, Failure> {
        let mut block = json!({"type": "tool_result", "tool_use_id": result.call_id});
        match &mut result.parts[..] {
            [] => {}
            [Part::Text(text)] => block["content"] = Value::String(std::mem::take(&mut text.text)),
            parts => block["content"] = Value::Array(self.parts(parts, path)?),
        }
        if let Some(true) = result.is_error {
            block["is_error"] = json!(true);
        }
        Ok(self.with_breakpoint(block, result.breakpoint))
    }

    fn finish(mut self) -> Result<Vec<Value>, Failure> {
        if self.messages.is_empty() {
            return Err(says_nothing());
        }
        if self.messages.first().is_some_and(|(role, _)| *role != "user") {
            self.messages.insert(0, ("user", vec![json!({"type": "text", "text": "."})]));
            self.crossing
                .warnings
                .changed("messages", "the first turn has to be the user's; one was put before it");
        }
        if let Some(("assistant", blocks)) = self.messages.last_mut() {
            if !self.crossing.facts.prefill.is_yes() {
                return Err(goes_on_from_nothing());
            }
            if let Some(text) = blocks.last_mut().and_then(|block| block.get_mut("text")) {
                *text = json!(text.as_str().unwrap_or_default().trim_end());
            }
        }
        let messages = self.messages.into_iter();
        Ok(messages
            .map(|(role, content)| object_of([("role", json!(role)), ("content", Value::Array(content))]))
            .collect())
    }
}
