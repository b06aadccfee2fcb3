//! Decodes a Messages request.

use lunaroute_core::conversation::{
    Breakpoint, CallResult, Conversation, Custom, Effort, Hosted, Media, MediaKind, MediaSource, Opaque,
    OutputFormat, Part, Reasoning, Rest, Seal, Speaker, Summary, Text, Thinking, Thought, Tier, Tool,
    ToolChoice, ToolKind, Turn, Use,
};
use lunaroute_core::{Dialect, Failure};
use serde_json::Value;

use crate::cross::{Asked, Leftovers, Members, json_text, open_seal, search_of, wrong};

pub(super) static LEFTOVERS: Leftovers = Leftovers {
    silent: &["metadata", "cache_control", "stream", "betas"],
    refused: &[
        ("mcp_servers", "take the servers out, or use a model of Anthropic"),
        ("container_upload", "take it out, or use a model of Anthropic"),
        ("container", "take it out, or use a model of Anthropic"),
        ("fallbacks", "take them out, or use a model of Anthropic"),
        ("thread", "take it out, or use a model of Anthropic"),
        ("inference_geo", "take it out, or use a model of Anthropic"),
    ],
    harmless: &[("inference_geo", "global")],
    in_part: &[],
    of_turns: &[],
    spelled: &[
        ("reasoning_effort", "thinking"),
        ("stop", "stop_sequences"),
        ("response_format", "output_config.format"),
        ("output_format", "output_config.format"),
    ],
};

/// What the answer depends on: thoughts that are not to be shown are blocks without words, which carry their seals.
pub(super) fn asks(conversation: &Conversation, asked: &mut Asked) {
    asked.shows_seals_only =
        conversation.reasoning.and_then(|reasoning| reasoning.summary) == Some(Summary::Omitted);
}

pub(super) fn decode(body: Rest) -> Result<Conversation, Failure> {
    let mut members = Members::of_body(body);
    let mut conversation = Conversation::new(Dialect::Anthropic, members.required("model")?);
    conversation.stream = members.peek("stream").and_then(Value::as_bool).unwrap_or_default();
    if conversation.stream {
        members.value("stream");
    }
    if let Some(system) = members.value("system") {
        // The mark tells it from a message of the same speaker.
        let mark = Rest::from_iter([("system".to_owned(), Value::Bool(true))]);
        conversation.turns.push(turn(Speaker::System, system, "system", mark)?);
    }
    for (place, message) in members.list("messages")?.unwrap_or_default().into_iter().enumerate() {
        conversation.turns.push(message_turn(message, place)?);
    }
    for (place, tool) in members.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        conversation.tools.push(decode_tool(Members::of(tool, format!("tools[{place}]"))?)?);
    }
    choice(&mut members, &mut conversation)?;
    conversation.max_output = members.count("max_tokens")?;
    conversation.sampling.temperature = members.number("temperature")?;
    conversation.sampling.top_p = members.number("top_p")?;
    conversation.sampling.top_k = members.number("top_k")?;
    conversation.sampling.stop = stop(&mut members)?;
    reasoning(&mut members, &mut conversation)?;
    conversation.tier = match members.word("service_tier") {
        "auto" => Some(Tier::Auto),
        "standard_only" => Some(Tier::Standard),
        _ => None,
    };
    if conversation.tier.is_some() {
        members.value("service_tier");
    }
    conversation.rest = members.rest();
    Ok(conversation)
}

/// Stop sequences; a list that is empty or holds anything but strings stays where it is.
fn stop(members: &mut Members) -> Result<Vec<String>, Failure> {
    let Some(list) = members.list("stop_sequences")? else { return Ok(Vec::new()) };
    let words: Vec<String> = list.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
    if words.is_empty() || words.len() != list.len() {
        members.restore("stop_sequences", Value::Array(list));
        return Ok(Vec::new());
    }
    Ok(words)
}

fn message_turn(message: Value, place: usize) -> Result<Turn, Failure> {
    let path = format!("messages[{place}]");
    let mut members = Members::of(message, path.clone())?;
    let speaker = match members.required("role")?.as_str() {
        "assistant" => Speaker::Assistant,
        "system" => Speaker::System,
        "user" => Speaker::User,
        _ => return Err(wrong(&format!("{path}.role"), "user, assistant or system")),
    };
    let content = members.value("content").unwrap_or(Value::Array(Vec::new()));
    turn(speaker, content, &path, members.rest())
}

fn turn(speaker: Speaker, content: Value, path: &str, rest: Rest) -> Result<Turn, Failure> {
    let (parts, is_plain) = content_parts(content, path)?;
    Ok(Turn { speaker, parts, is_plain, rest })
}

fn content_parts(content: Value, path: &str) -> Result<(Vec<Part>, bool), Failure> {
    match content {
        Value::String(text) => Ok((vec![Part::Text(Text::from(text))], true)),
        Value::Array(blocks) => {
            let blocks = blocks.into_iter().enumerate();
            let parts = blocks.map(|(place, block)| part(block, format!("{path}.content[{place}]")));
            Ok((parts.collect::<Result<_, _>>()?, false))
        }
        _ => Err(wrong(&format!("{path}.content"), "a string or an array")),
    }
}

fn part(block: Value, path: String) -> Result<Part, Failure> {
    let mut members = Members::of(block, path)?;
    let kind = members.word("type").to_owned();
    let is_known = match kind.as_str() {
        "text" | "thinking" => members.peek(&kind).is_some(),
        "image" | "document" => members.peek("source").is_some_and(|source| is_known_source(&kind, source)),
        kind => matches!(kind, "redacted_thinking" | "tool_use" | "tool_result"),
    };
    if !is_known {
        return Ok(opaque(kind, Value::Object(members.rest())));
    }
    members.value("type");
    let breakpoint = breakpoint(members.peek("cache_control"));
    Ok(match kind.as_str() {
        "text" => {
            let text = members.text("text")?.unwrap_or_default();
            Part::Text(Text { text, breakpoint, rest: members.rest() })
        }
        "image" | "document" => {
            let (source, name) = media(&mut members)?;
            let kind = if kind == "image" { MediaKind::Image } else { MediaKind::Document };
            Part::Media(Media { kind, source, name, detail: None, breakpoint, rest: members.rest() })
        }
        "thinking" => {
            let text = members.text("thinking")?.unwrap_or_default();
            let seal = seal(&mut members, "signature");
            let text = if text.is_empty() { Vec::new() } else { vec![text] };
            Part::Thought(Thought {
                text,
                seal: seal.map(|(seal, _)| seal),
                is_redacted: false,
                rest: members.rest(),
            })
        }
        "redacted_thinking" => {
            let seal = seal(&mut members, "data");
            Part::Thought(Thought {
                text: Vec::new(),
                seal: seal.map(|(seal, _)| seal),
                is_redacted: true,
                rest: members.rest(),
            })
        }
        "tool_use" => {
            let (id, name) = (members.required("id")?, members.required("name")?);
            let arguments = members.value("input").map_or_else(|| "{}".to_owned(), |input| json_text(&input));
            let rest = members.rest();
            Part::Use(Use { id, name, arguments, breakpoint, rest, ..Use::default() })
        }
        _ => result(members, breakpoint)?,
    })
}

fn result(mut members: Members, breakpoint: Option<Breakpoint>) -> Result<Part, Failure> {
    let call_id = members.required("tool_use_id")?;
    let is_error = members.flag("is_error")?;
    // A list without blocks stays where it is: it is not the same as no content.
    let is_empty = members.peek("content").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let content = if is_empty { None } else { members.value("content") };
    let (parts, is_plain) =
        content.map_or_else(|| Ok((Vec::new(), false)), |content| content_parts(content, members.place()))?;
    let rest = members.rest();
    Ok(Part::Result(CallResult {
        call_id,
        parts,
        is_plain,
        is_error,
        breakpoint,
        rest,
        ..CallResult::default()
    }))
}

/// A seal; one that the gateway tagged for a foreign maker stays where it is, too.
fn seal(members: &mut Members, name: &str) -> Option<(Seal, bool)> {
    let word = members.word(name).to_owned();
    if let Some(tagged) = open_seal(&word) {
        return Some(tagged);
    }
    if word.is_empty() {
        return None;
    }
    members.value(name);
    Some((Seal { maker: Dialect::Anthropic, provider: None, data: word, id: None }, false))
}

fn breakpoint(cache_control: Option<&Value>) -> Option<Breakpoint> {
    let long = cache_control?.get("ttl").and_then(Value::as_str) == Some("1h");
    Some(if long { Breakpoint::Long } else { Breakpoint::Short })
}

/// Whether media are in a form that has a word; what is no object at all is told as a mistake when it is taken.
fn is_known_source(kind: &str, source: &Value) -> bool {
    let Some(members) = source.as_object() else { return true };
    let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
    let says = |name: &str, word: &str| members.get(name).and_then(Value::as_str) == Some(word);
    (says("type", "base64") && has("media_type") && has("data"))
        || (says("type", "url") && has("url"))
        || (says("type", "file") && has("file_id"))
        || (says("type", "text") && kind == "document" && says("media_type", "text/plain") && has("data"))
}

fn media(members: &mut Members) -> Result<(MediaSource, Option<String>), Failure> {
    let missing = members.path("source");
    let mut source = members.object("source")?.ok_or_else(|| wrong(&missing, "a source"))?;
    let kind = source.word("type").to_owned();
    let mut text = |name: &str| source.text(name).map(Option::unwrap_or_default);
    let found = match kind.as_str() {
        "base64" => MediaSource::Bytes { media_type: text("media_type")?, data: text("data")? },
        "url" => MediaSource::Url { url: text("url")?, media_type: None },
        "file" => MediaSource::File { id: text("file_id")? },
        _ => {
            let data = text("data")?;
            source.value("media_type");
            MediaSource::Text { text: data }
        }
    };
    source.value("type");
    members.put_back("source", source.rest());
    Ok((found, members.text("title")?))
}

fn opaque(kind: String, value: Value) -> Part {
    let gist = match kind.as_str() {
        "search_result" => Some(search_gist(&value)),
        "compaction" => value.get("content").and_then(Value::as_str).map(str::to_owned),
        "tool_reference" => value.get("tool_name").and_then(Value::as_str).map(str::to_owned),
        "mcp_tool_result" => value.get("content").map(texts).filter(|text| !text.is_empty()),
        "server_tool_use" | "mcp_tool_use" => {
            let name = value.get("name").and_then(Value::as_str).unwrap_or("tool");
            Some(format!("[{name}: {}]", value.get("input").unwrap_or(&Value::Null)))
        }
        "document" => value.pointer("/source/content").map(texts).filter(|text| !text.is_empty()),
        kind if kind.ends_with("_tool_result") => Some(result_gist(&value)).filter(|gist| !gist.is_empty()),
        _ => None,
    };
    Part::Opaque(Opaque { kind, value, gist })
}

fn search_gist(value: &Value) -> String {
    let word = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let content = value.get("content").map(texts).unwrap_or_default();
    format!("{}\n{}\n{content}", word("title"), word("source"))
}

/// What a search of the provider's own found: titles and addresses.
fn result_gist(value: &Value) -> String {
    let lines = value.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(|found| {
        let word = |name| found.get(name).and_then(Value::as_str);
        Some(format!("{} {}", word("title").unwrap_or_default(), word("url")?))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn texts(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let blocks = content.as_array().into_iter().flatten();
    blocks.filter_map(|block| block.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
}

fn decode_tool(mut members: Members) -> Result<Tool, Failure> {
    let kind = members.word("type").to_owned();
    let name = members.name("name")?;
    let breakpoint = breakpoint(members.peek("cache_control"));
    let hosted = match kind.as_str() {
        "" | "custom" => None,
        kind if kind.starts_with("web_search") => {
            let domains = members.peek("allowed_domains");
            Some(Hosted::WebSearch(search_of(domains, members.peek("user_location"))))
        }
        kind if kind.starts_with("web_fetch") => Some(Hosted::WebFetch),
        kind if kind.starts_with("code_execution") => Some(Hosted::CodeExecution),
        _ => Some(Hosted::Other(kind.clone())),
    };
    let (description, kind) = match hosted {
        Some(hosted) => (None, ToolKind::Hosted(hosted)),
        None => {
            let description = members.text("description")?;
            (
                description,
                ToolKind::Function { schema: members.value("input_schema"), strict: members.flag("strict")? },
            )
        }
    };
    Ok(Tool { name, namespace: None, description, kind, breakpoint, is_flat: false, rest: members.rest() })
}

fn choice(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let Some(mut choice) = members.object("tool_choice")? else { return Ok(()) };
    conversation.parallel_calls = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    conversation.tool_choice = Some(match choice.word("type") {
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Tool { name: choice.required("name")?, is_custom: false },
        "auto" => ToolChoice::Auto,
        _ => ToolChoice::Other,
    });
    if conversation.tool_choice != Some(ToolChoice::Other) {
        choice.value("type");
    }
    members.put_back("tool_choice", choice.rest());
    Ok(())
}

fn reasoning(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let mut reasoning = Reasoning::default();
    if let Some(mut thinking) = members.object("thinking")? {
        reasoning.thinking = match thinking.word("type") {
            "disabled" => Some(Thinking::Disabled),
            "enabled" => thinking.count("budget_tokens")?.map(Thinking::Budget),
            "adaptive" => Some(Thinking::Adaptive),
            _ => None,
        };
        if reasoning.thinking.is_some() {
            thinking.value("type");
        }
        reasoning.summary = match thinking.word("display") {
            "omitted" => Some(Summary::Omitted),
            "summarized" => Some(Summary::Auto),
            _ => None,
        };
        if reasoning.summary.is_some() {
            thinking.value("display");
        }
        members.put_back("thinking", thinking.rest());
    }
    if let Some(mut output) = members.object("output_config")? {
        reasoning.effort = Effort::parse(output.word("effort"));
        if reasoning.effort.is_some() {
            output.value("effort");
        }
        if let Some(mut format) = output.object("format")? {
            if format.word("type") == "json_schema"
                && let Some(schema) = format.value("schema")
            {
                format.value("type");
                conversation.format =
                    Some(OutputFormat::JsonSchema { name: None, description: None, schema, strict: None });
            }
            output.put_back("format", format.rest());
        }
        members.put_back("output_config", output.rest());
    }
    conversation.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    Ok(())
}

/// Whether a call's argument is free text.
pub(super) const fn is_custom(custom: Custom) -> bool {
    matches!(custom, Custom::Yes)
}
