//! Decodes a Chat Completions request.

use lunaroute_core::conversation::{
    Breakpoint, CallResult, Conversation, Custom, Effort, Media, MediaKind, MediaSource, Opaque,
    OutputFormat, Part, Reasoning, Rest, Speaker, Text, Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::Value;

use super::completions;
use super::tools::{choice, tools};
use crate::cross::{Asked, Leftovers, Members, held_source, open_seal, source_of, wrong};
use crate::openai::tier;

pub(super) static LEFTOVERS: Leftovers = Leftovers {
    silent: &[
        "stream",
        "stream_options",
        "store",
        "metadata",
        "prompt_cache_options",
        "prompt_cache_retention",
        // Told by words of their own, and kept beside them as they were.
        "response_format",
        "tool_choice",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "safety_identifier",
        "logprobs",
        "top_logprobs",
        "functions",
        "function_call",
        "web_search_options",
        "user",
        "include_reasoning",
    ],
    refused: &[
        ("audio", "answers in sound are given by models of OpenAI only"),
        ("modalities", "ask for text, or use a model of OpenAI"),
        ("echo", "put the prompt before the answer yourself"),
        ("suffix", "text is filled in between by models of completions only"),
    ],
    in_part: &[],
    // What the assistant said in sound.
    of_turns: &["audio"],
    spelled: &[
        ("thinking", "reasoning_effort"),
        ("max_tokens", "max_completion_tokens"),
        ("stop_sequences", "stop"),
        ("output_format", "response_format"),
    ],
    harmless: &[("modalities", "text")],
};

/// What the answer depends on.
pub(super) fn asks(conversation: &Conversation, asked: &mut Asked) {
    let options = conversation.rest.get("stream_options");
    asked.include_usage =
        options.and_then(|options| options.get("include_usage")) == Some(&Value::Bool(true));
    if conversation.prompt.is_some() {
        completions::ask(asked);
    }
    if conversation.rest.contains_key("functions") {
        asked.takes_one_call = true;
    }
    // Clients that carry reasoning from turn to turn say so, in the words of the hosts that began with it.
    let asks = ["include_reasoning", "reasoning"].iter().any(|name| conversation.rest.contains_key(*name));
    if asks || conversation.turns.iter().any(|turn| turn.rest.contains_key("reasoning_details")) {
        asked.echo.insert("reasoning_details".to_owned(), Value::Bool(true));
    }
}

pub(super) fn decode(body: Rest) -> Result<Conversation, Failure> {
    let mut members = Members::of_body(body);
    let mut conversation = Conversation::new(Dialect::OpenaiChat, members.required("model")?);
    conversation.stream = members.peek("stream").and_then(Value::as_bool).unwrap_or_default();
    if conversation.stream {
        members.value("stream");
    }
    completions::prompt(&mut members, &mut conversation)?;
    for (place, message) in members.list("messages")?.unwrap_or_default().into_iter().enumerate() {
        conversation.turns.push(turn(message, format!("messages[{place}]"))?);
    }
    tools(&mut members, &mut conversation)?;
    controls(&mut members, &mut conversation)?;
    conversation.tool_choice = members.peek("tool_choice").or(members.peek("function_call")).map(choice);
    conversation.parallel_calls = members.flag("parallel_tool_calls")?;
    conversation.format = members.peek("response_format").and_then(format);
    conversation.verbosity = members.text("verbosity")?;
    conversation.end_user = match members.text("safety_identifier")? {
        Some(user) => {
            if members.peek("user").is_some() {
                members.restore("safety_identifier", Value::from(user.clone()));
            }
            Some(user)
        }
        None => members.peek("user").and_then(Value::as_str).map(str::to_owned),
    };
    conversation.cache_key = members.text("prompt_cache_key")?;
    conversation.tier = members.text("service_tier")?.map(|word| tier(&word));
    conversation.rest = members.rest();
    Ok(conversation)
}

fn controls(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    conversation.max_output = match members.count("max_completion_tokens")? {
        Some(most) => {
            if members.peek("max_tokens").is_some() {
                members.restore("max_completion_tokens", Value::from(most));
            }
            Some(most)
        }
        // It stays where it is: hosts know one of the two only.
        None => members.peek_count("max_tokens")?,
    };
    let sampling = &mut conversation.sampling;
    sampling.temperature = members.number("temperature")?;
    sampling.top_p = members.number("top_p")?;
    sampling.top_k = members.number("top_k")?;
    sampling.frequency_penalty = members.number("frequency_penalty")?;
    sampling.presence_penalty = members.number("presence_penalty")?;
    sampling.seed = members.number("seed")?;
    sampling.candidates = members.count("n")?;
    sampling.stop = stop(members)?;
    sampling.alternatives = match members.peek("logprobs") {
        Some(Value::Bool(true)) => {
            Some(members.peek("top_logprobs").and_then(Value::as_u64).unwrap_or_default())
        }
        // The legacy completions have one word for both.
        Some(Value::Number(alternatives)) => alternatives.as_u64(),
        _ => None,
    };
    if let Some(effort) = Effort::parse(members.word("reasoning_effort")) {
        members.value("reasoning_effort");
        conversation.reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
    }
    Ok(())
}

/// Stop sequences, which stay where they are: one alone has another form than a list of one.
fn stop(members: &Members) -> Result<Vec<String>, Failure> {
    let words = match members.peek("stop") {
        None => Some(Vec::new()),
        Some(Value::String(word)) => Some(vec![word.clone()]),
        Some(Value::Array(words)) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    words.ok_or_else(|| wrong(&members.path("stop"), "a string or a list of strings"))
}

fn format(value: &Value) -> Option<OutputFormat> {
    let word = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    match value.get("type")?.as_str()? {
        "text" => Some(OutputFormat::Text),
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => {
            let held = value.get("json_schema")?;
            Some(OutputFormat::JsonSchema {
                name: word(held, "name"),
                description: word(held, "description"),
                schema: held.get("schema").cloned().unwrap_or_else(|| serde_json::json!({"type": "object"})),
                strict: held.get("strict").and_then(Value::as_bool),
            })
        }
        _ => None,
    }
}

fn turn(message: Value, path: String) -> Result<Turn, Failure> {
    let mut members = Members::of(message, path.clone())?;
    let role = members.required("role")?;
    // A list without parts stays where it is: it is not the same as no content.
    let is_empty = members.peek("content").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let content = if is_empty { None } else { members.value("content") };
    let (content, is_plain) =
        content.map_or_else(|| Ok((Vec::new(), false)), |content| parts(content, &path))?;
    let (speaker, parts) = match role.as_str() {
        "system" => (Speaker::System, content),
        "developer" => (Speaker::Developer, content),
        "assistant" => (Speaker::Assistant, assistant(&mut members, content)?),
        "tool" | "function" => {
            let (call_id, name) = match role.as_str() {
                "tool" => (members.name("tool_call_id")?, None),
                _ => (String::new(), Some(members.required("name")?)),
            };
            let result = CallResult { call_id, name, parts: content, is_plain, ..CallResult::default() };
            (Speaker::Tool, vec![Part::Result(result)])
        }
        "user" => (Speaker::User, content),
        other => {
            let what =
                format!("'{path}.role' is '{other}'; known are developer, system, user, assistant and tool");
            return Err(Failure::client(FailureKind::BadRequest, what));
        }
    };
    Ok(Turn { speaker, parts, is_plain, rest: members.rest() })
}

/// Everything that an assistant message says. Reasoning stays in the message as it came, too: hosts differ in its form.
fn assistant(members: &mut Members, content: Vec<Part>) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    parts.extend(thoughts(members).into_iter().map(Part::Thought));
    parts.extend(content);
    if let Some(refusal) = members.text("refusal")? {
        parts.push(Part::Refusal(Text::from(refusal)));
    }
    let is_empty = members.peek("tool_calls").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if !is_empty {
        for (place, value) in members.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
            let path = members.path(&format!("tool_calls[{place}]"));
            parts.push(Part::Use(call(Members::of(value, path)?)?));
        }
    }
    if let Some(legacy) = members.peek("function_call").cloned() {
        let word = |name: &str| legacy.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, arguments) = (word("name"), word("arguments"));
        let rest = Rest::from_iter([("function_call".to_owned(), Value::Bool(true))]);
        parts.push(Part::Use(Use { name, arguments, rest, ..Use::default() }));
    }
    Ok(parts)
}

/// Reasoning with its seals where the client brings them back, else what it shows of it.
fn thoughts(members: &Members) -> Vec<Thought> {
    let details = members.peek("reasoning_details").and_then(Value::as_array).into_iter().flatten();
    let sealed: Vec<Thought> = details
        .filter_map(|detail| {
            let word = |name: &str| detail.get(name).and_then(Value::as_str);
            let (seal, is_redacted) = word("signature").or(word("data")).and_then(open_seal)?;
            let text = word("text").filter(|text| !text.is_empty()).map(str::to_owned);
            Some(Thought {
                text: text.into_iter().collect(),
                seal: Some(seal),
                is_redacted,
                rest: Rest::new(),
            })
        })
        .collect();
    if !sealed.is_empty() {
        return sealed;
    }
    let words = ["reasoning_content", "reasoning"].into_iter().map(|name| members.word(name));
    let shown = words.into_iter().find(|text| !text.is_empty());
    shown.map(|text| Thought { text: vec![text.to_owned()], ..Thought::default() }).into_iter().collect()
}

fn call(mut members: Members) -> Result<Use, Failure> {
    let id = members.name("id")?;
    let custom = members.object("custom")?;
    let is_custom = custom.is_some();
    let Some(mut inner) = custom.map_or_else(|| members.object("function"), |custom| Ok(Some(custom)))?
    else {
        return Ok(Use { id, rest: members.rest(), ..Use::default() });
    };
    let name = inner.name("name")?;
    let member = if is_custom { "input" } else { "arguments" };
    let arguments = match inner.value(member) {
        Some(Value::String(text)) => {
            if text.is_empty() {
                inner.restore(member, Value::from(""));
            }
            text
        }
        // Some hosts send the JSON itself.
        Some(value) => {
            let text = value.to_string();
            inner.restore(member, value);
            text
        }
        None => String::new(),
    };
    members.put_back(if is_custom { "custom" } else { "function" }, inner.rest());
    let custom = if is_custom { Custom::Yes } else { Custom::No };
    let signature =
        members.peek("extra_content").and_then(|extra| extra.pointer("/google/thought_signature"));
    let seal = signature.and_then(Value::as_str).and_then(open_seal).map(|(seal, _)| seal);
    Ok(Use { id, name, arguments, custom, seal, rest: members.rest(), ..Use::default() })
}

fn parts(content: Value, path: &str) -> Result<(Vec<Part>, bool), Failure> {
    match content {
        Value::String(text) => Ok((vec![Part::Text(Text::from(text))], true)),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            let parts = parts.map(|(place, value)| part(value, format!("{path}.content[{place}]")));
            Ok((parts.collect::<Result<_, _>>()?, false))
        }
        _ => Err(Failure::client(
            FailureKind::BadRequest,
            format!("'{path}.content' has to be a string or an array"),
        )),
    }
}

fn part(value: Value, path: String) -> Result<Part, Failure> {
    if let Value::String(text) = &value {
        let (kind, gist) = ("text".to_owned(), Some(text.clone()));
        return Ok(Part::Opaque(Opaque { kind, value, gist }));
    }
    let (kind, whole) =
        (value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(), value.clone());
    let mut members = Members::of(value, path)?;
    let breakpoint =
        ["cache_control", "prompt_cache_breakpoint"].into_iter().find_map(|name| members.peek(name));
    let breakpoint = breakpoint.map(|mark| match mark.get("ttl").and_then(Value::as_str) {
        Some("1h" | "12h") => Breakpoint::Long,
        _ => Breakpoint::Short,
    });
    let part = match kind.as_str() {
        "text" => members.text("text")?.map(|text| Part::Text(Text { text, breakpoint, rest: Rest::new() })),
        "refusal" => {
            members.text("refusal")?.map(|text| Part::Refusal(Text { text, breakpoint, rest: Rest::new() }))
        }
        "image_url" | "input_audio" | "file" => media(&kind, &mut members, breakpoint)?,
        _ => None,
    };
    let Some(mut part) = part else { return Ok(Part::Opaque(Opaque { kind, value: whole, gist: None })) };
    // A refusal among the parts is told from the message's own by its type.
    if kind != "refusal" {
        members.value("type");
    }
    match &mut part {
        Part::Text(text) | Part::Refusal(text) => text.rest = members.rest(),
        Part::Media(media) => media.rest = members.rest(),
        _ => {}
    }
    Ok(part)
}

fn media(kind: &str, members: &mut Members, breakpoint: Option<Breakpoint>) -> Result<Option<Part>, Failure> {
    let Some(mut inner) = members.object(kind)? else { return Ok(None) };
    let (media, source, name, detail) = match kind {
        "image_url" => {
            let Some(url) = inner.text("url")? else { return Ok(None) };
            (MediaKind::Image, source_of(url), None, inner.text("detail")?)
        }
        "input_audio" => {
            let (data, format) = (inner.text("data")?, inner.text("format")?);
            let Some((data, format)) = data.zip(format) else { return Ok(None) };
            (MediaKind::Audio, MediaSource::Bytes { media_type: format!("audio/{format}"), data }, None, None)
        }
        _ => {
            let name = inner.text("filename")?;
            let source = match inner.text("file_data")? {
                Some(data) => held_source(data, || inner.path("file_data"))?,
                None => match inner.text("file_id")? {
                    Some(id) => MediaSource::File { id },
                    None => return Ok(None),
                },
            };
            (MediaKind::Document, source, name, None)
        }
    };
    members.put_back(kind, inner.rest());
    Ok(Some(Part::Media(Media { kind: media, source, name, detail, breakpoint, rest: Rest::new() })))
}
