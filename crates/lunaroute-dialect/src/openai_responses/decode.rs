//! Decodes a Responses request.

use lunaroute_core::conversation::{
    Breakpoint, CallResult, Conversation, Custom, Effort, Media, MediaKind, MediaSource, Opaque,
    OutputFormat, Part, Reasoning, Rest, Seal, Speaker, Summary, Text, Thought, Turn, Use,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::{Value, json};

use super::tools::{choice, tools};
use crate::cross::{Asked, Leftovers, Members, held_source, open_seal, source_of, wrong};
use crate::openai::tier;

pub(super) static LEFTOVERS: Leftovers = Leftovers {
    silent: &[
        "model",
        "stream",
        "stream_options",
        "store",
        "metadata",
        "include",
        "client_metadata",
        "truncation",
        "prompt_cache_options",
        "prompt_cache_retention",
        "access_programs",
        // Told by words of their own, and kept beside them as they were.
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "reasoning",
        "text",
        "top_logprobs",
        "user",
        "safety_identifier",
    ],
    refused: &[
        ("previous_response_id", "send the whole conversation instead"),
        ("conversation", "send the whole conversation instead"),
        ("prompt", "send the prompt's text instead"),
        ("background", "ask without it"),
        ("item_reference", "send the item itself instead"),
        ("compaction", "only its maker can read it; send the conversation instead"),
    ],
    in_part: &[("reasoning", &["effort", "summary", "generate_summary"]), ("text", &["format", "verbosity"])],
    of_turns: &[],
    spelled: &[
        ("thinking", "reasoning"),
        ("reasoning_effort", "reasoning"),
        ("max_tokens", "max_output_tokens"),
        ("response_format", "text.format"),
        ("output_format", "text.format"),
        ("verbosity", "text.verbosity"),
        ("logprobs", "top_logprobs"),
        ("messages", "input"),
    ],
    harmless: &[],
};

/// Members of a request that its answer repeats.
const ECHOED: [&str; 14] = [
    "instructions",
    "tools",
    "tool_choice",
    "reasoning",
    "text",
    "truncation",
    "metadata",
    "previous_response_id",
    "store",
    "top_logprobs",
    "user",
    "background",
    "prompt",
    "max_tool_calls",
];

/// What the answer depends on.
pub(super) fn asks(conversation: &Conversation, asked: &mut Asked) {
    for name in ECHOED {
        if let Some(value) = conversation.rest.get(name) {
            asked.echo.insert(name.to_owned(), value.clone());
        }
    }
    let sampling = &conversation.sampling;
    for (name, value) in [
        ("parallel_tool_calls", conversation.parallel_calls.map(Value::Bool)),
        ("max_output_tokens", conversation.max_output.map(Value::from)),
        ("temperature", sampling.temperature.clone().map(Value::Number)),
        ("top_p", sampling.top_p.clone().map(Value::Number)),
    ] {
        if let Some(value) = value {
            asked.echo.insert(name.to_owned(), value);
        }
    }
    for (name, value) in
        [("tools", json!([])), ("tool_choice", json!("auto")), ("parallel_tool_calls", json!(true))]
    {
        asked.echo.entry(name).or_insert(value);
    }
}

pub(super) fn decode(body: Rest) -> Result<Conversation, Failure> {
    let mut members = Members::of_body(body);
    // A stored prompt may name the model.
    let model = members.name("model")?;
    let mut conversation = Conversation::new(Dialect::OpenaiResponses, model);
    conversation.stream = members.peek("stream").and_then(Value::as_bool).unwrap_or_default();
    if conversation.stream {
        members.value("stream");
    }
    if let Some(instructions) = members.peek("instructions").and_then(Value::as_str) {
        let mut turn = Turn::new(Speaker::System, vec![Part::Text(Text::from(instructions.to_owned()))]);
        turn.rest.insert("instructions".to_owned(), Value::Bool(true));
        conversation.turns.push(turn);
    }
    match members.peek("input") {
        Some(Value::String(text)) => {
            conversation.turns.push(Turn::new(Speaker::User, vec![Part::Text(Text::from(text.clone()))]));
        }
        _ => {
            for (place, item) in members.list("input")?.unwrap_or_default().into_iter().enumerate() {
                conversation.turns.push(turn(item, format!("input[{place}]"))?);
            }
        }
    }
    for tool in members.peek("tools").and_then(Value::as_array).cloned().unwrap_or_default() {
        tools(&tool, None, &mut conversation.tools);
    }
    controls(&mut members, &mut conversation)?;
    conversation.rest = members.rest();
    Ok(conversation)
}

fn controls(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    conversation.tool_choice = members.peek("tool_choice").map(choice);
    conversation.parallel_calls = members.flag("parallel_tool_calls")?;
    conversation.max_output = members.count("max_output_tokens")?;
    conversation.sampling.temperature = members.number("temperature")?;
    conversation.sampling.top_p = members.number("top_p")?;
    conversation.sampling.alternatives = members.peek("top_logprobs").and_then(Value::as_u64);
    if let Some(reasoning) = members.peek("reasoning") {
        let word = |name: &str| reasoning.get(name).and_then(Value::as_str);
        let summary = match word("summary").or(word("generate_summary")) {
            Some("auto") => Some(Summary::Auto),
            Some("concise") => Some(Summary::Concise),
            Some("detailed") => Some(Summary::Detailed),
            _ => None,
        };
        let effort = word("effort").and_then(Effort::parse);
        let told = Reasoning { effort, thinking: None, summary };
        conversation.reasoning = (told != Reasoning::default()).then_some(told);
    }
    conversation.format = members.peek("text").and_then(|text| format(text.get("format")?));
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
    let verbosity = members.peek("text").and_then(|text| text.get("verbosity")?.as_str());
    conversation.verbosity = verbosity.map(str::to_owned);
    Ok(())
}

fn format(value: &Value) -> Option<OutputFormat> {
    let word = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    match value.get("type")?.as_str()? {
        "text" => Some(OutputFormat::Text),
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => Some(OutputFormat::JsonSchema {
            name: word("name"),
            description: word("description"),
            schema: value.get("schema").cloned().unwrap_or_else(|| json!({"type": "object"})),
            strict: value.get("strict").and_then(Value::as_bool),
        }),
        _ => None,
    }
}

fn turn(item: Value, path: String) -> Result<Turn, Failure> {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let whole = item.clone();
    let mut members = Members::of(item, path.clone())?;
    let (speaker, part) = match kind.as_str() {
        "" | "message" if members.peek("role").is_some() => return message(members, &path),
        "function_call" | "custom_tool_call" => (Speaker::Assistant, Part::Use(call(&kind, &mut members)?)),
        "function_call_output" | "custom_tool_call_output" => {
            let call_id = members.required("call_id")?;
            let is_empty = members.peek("output").and_then(Value::as_array).is_some_and(Vec::is_empty);
            let output = if is_empty { None } else { members.value("output") };
            let (parts, is_plain) = output
                .map_or_else(|| Ok((Vec::new(), false)), |output| parts(output, &format!("{path}.output")))?;
            let custom = if kind.starts_with("custom") { Custom::Yes } else { Custom::No };
            (
                Speaker::Tool,
                Part::Result(CallResult { call_id, parts, is_plain, custom, ..CallResult::default() }),
            )
        }
        "reasoning" => (Speaker::Assistant, Part::Thought(thought(&whole))),
        "" => {
            let what = format!("'{path}' has neither a type nor a role");
            return Err(Failure::client(FailureKind::BadRequest, what));
        }
        _ => {
            let gist = gist(&kind, &whole);
            (speaker_of(&kind), Part::Opaque(Opaque { gist, kind, value: whole }))
        }
    };
    Ok(Turn { speaker, parts: vec![part], is_plain: false, rest: members.rest() })
}

/// Who an item of another kind is from: what tools gave and what a person allowed come from the client, all else from the
/// model.
fn speaker_of(kind: &str) -> Speaker {
    let is_clients = kind.ends_with("_output") || kind == "mcp_approval_response";
    if is_clients { Speaker::User } else { Speaker::Assistant }
}

fn message(mut members: Members, path: &str) -> Result<Turn, Failure> {
    let speaker = match members.required("role")?.as_str() {
        "system" => Speaker::System,
        "developer" => Speaker::Developer,
        "assistant" => Speaker::Assistant,
        "user" => Speaker::User,
        _ => return Err(wrong(&format!("{path}.role"), "user, assistant, system or developer")),
    };
    let is_empty = members.peek("content").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let content = if is_empty { None } else { members.value("content") };
    let (parts, is_plain) = content
        .map_or_else(|| Ok((Vec::new(), false)), |content| parts(content, &format!("{path}.content")))?;
    Ok(Turn { speaker, parts, is_plain, rest: members.rest() })
}

fn call(kind: &str, members: &mut Members) -> Result<Use, Failure> {
    let is_custom = kind.starts_with("custom");
    Ok(Use {
        id: members.required("call_id")?,
        name: members.required("name")?,
        namespace: members.text("namespace")?,
        arguments: members.text(if is_custom { "input" } else { "arguments" })?.unwrap_or_default(),
        custom: if is_custom { Custom::Yes } else { Custom::No },
        ..Use::default()
    })
}

/// Reasoning is kept whole beside its words: its maker wants it back as it was.
fn thought(item: &Value) -> Thought {
    let texts = |name: &str| -> Vec<String> {
        let pieces = item.get(name).and_then(Value::as_array).into_iter().flatten();
        pieces.filter_map(|piece| Some(piece.get("text")?.as_str()?.to_owned())).collect()
    };
    let (summary, content) = (texts("summary"), texts("content"));
    let id = item.get("id").and_then(Value::as_str).map(str::to_owned);
    let sealed = item.get("encrypted_content").and_then(Value::as_str).map(|data| {
        open_seal(data).unwrap_or((
            Seal { maker: Dialect::OpenaiResponses, provider: None, data: data.to_owned(), id },
            false,
        ))
    });
    Thought {
        text: if summary.is_empty() { content } else { summary },
        is_redacted: sealed.as_ref().is_some_and(|(_, is_redacted)| *is_redacted),
        seal: sealed.map(|(seal, _)| seal),
        rest: item.as_object().cloned().unwrap_or_default(),
    }
}

/// What an item of a provider's own tools says to a reader.
fn gist(kind: &str, item: &Value) -> Option<String> {
    match kind {
        "web_search_call" => Some(format!("[web search: {}]", item.pointer("/action/query")?.as_str()?)),
        "file_search_call" => Some(format!("[file search: {}]", item.get("queries")?)),
        "local_shell_call" | "shell_call" => Some(format!("[shell: {}]", item.get("action")?)),
        "apply_patch_call" => Some(format!("[apply_patch: {}]", item.get("operation")?)),
        "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output" => {
            let output = item.get("output")?;
            Some(output.as_str().map_or_else(|| output.to_string(), str::to_owned))
        }
        "tool_search_call" => Some(format!("[tool search: {}]", item.get("arguments")?)),
        "tool_search_output" => {
            let tools = item.get("tools")?.as_array()?.iter();
            let names: Vec<&str> = tools.filter_map(|tool| tool.get("name")?.as_str()).collect();
            Some(format!("[tools found: {}]", names.join(", ")))
        }
        "code_interpreter_call" => Some(format!("```\n{}\n```", item.get("code")?.as_str()?)),
        _ => None,
    }
}

fn parts(content: Value, path: &str) -> Result<(Vec<Part>, bool), Failure> {
    match content {
        Value::String(text) => Ok((vec![Part::Text(Text::from(text))], true)),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            let parts = parts.map(|(place, value)| part(value, format!("{path}[{place}]")));
            Ok((parts.collect::<Result<_, _>>()?, false))
        }
        _ => {
            Err(Failure::client(FailureKind::BadRequest, format!("'{path}' has to be a string or an array")))
        }
    }
}

/// A part; its type stays in the rest, because the same words have other types in other places.
fn part(value: Value, path: String) -> Result<Part, Failure> {
    let (kind, whole) =
        (value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(), value.clone());
    let mut members = Members::of(value, path)?;
    let breakpoint =
        members.peek("prompt_cache_breakpoint").map(|mark| match mark.get("ttl").and_then(Value::as_str) {
            Some("12h") => Breakpoint::Long,
            _ => Breakpoint::Short,
        });
    let part = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            members.text("text")?.map(|text| Part::Text(Text { text, ..Text::default() }))
        }
        "refusal" => members.text("refusal")?.map(|text| Part::Refusal(Text { text, ..Text::default() })),
        "input_image" => {
            let source = match members.text("image_url")? {
                Some(url) => Some(source_of(url)),
                None => members.text("file_id")?.map(|id| MediaSource::File { id }),
            };
            let detail = members.text("detail")?;
            source.map(|source| media(MediaKind::Image, source, None, detail))
        }
        "input_file" => {
            let source = match members.text("file_data")? {
                Some(data) => Some(held_source(data, || members.path("file_data"))?),
                None => match members.text("file_url")? {
                    Some(url) => Some(MediaSource::Url { url, media_type: None }),
                    None => members.text("file_id")?.map(|id| MediaSource::File { id }),
                },
            };
            let name = members.text("filename")?;
            source.map(|source| media(MediaKind::Document, source, name, None))
        }
        "input_audio" => sound(&mut members)?,
        _ => None,
    };
    Ok(match part {
        Some(Part::Text(text)) => Part::Text(Text { rest: members.rest(), breakpoint, ..text }),
        Some(Part::Refusal(text)) => Part::Refusal(Text { rest: members.rest(), ..text }),
        Some(Part::Media(media)) => Part::Media(Media { rest: members.rest(), breakpoint, ..media }),
        _ => Part::Opaque(Opaque { kind, value: whole, gist: None }),
    })
}

/// Sound; what is left of its object stays.
fn sound(members: &mut Members) -> Result<Option<Part>, Failure> {
    let Some(mut inner) = members.object("input_audio")? else { return Ok(None) };
    let Some((data, format)) = inner.text("data")?.zip(inner.text("format")?) else { return Ok(None) };
    members.put_back("input_audio", inner.rest());
    let source = MediaSource::Bytes { media_type: format!("audio/{format}"), data };
    Ok(Some(media(MediaKind::Audio, source, None, None)))
}

fn media(kind: MediaKind, source: MediaSource, name: Option<String>, detail: Option<String>) -> Part {
    Part::Media(Media { kind, source, name, detail, breakpoint: None, rest: Rest::new() })
}
