//! Decodes the tools of a Chat Completions request.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{Conversation, Hosted, Rest, Tool, ToolChoice, ToolKind};
use serde_json::Value;

use crate::cross::{Members, chosen_among, search_of, wrong};

/// Which tools have to be called.
pub(super) fn choice(value: &Value) -> ToolChoice {
    let named = |member: &str| Some(value.get(member)?.get("name")?.as_str()?.to_owned());
    // The legacy form has the name without a type; some clients send the flat form of Responses.
    let flat = || Some(value.get("name")?.as_str()?.to_owned());
    match (value.as_str(), value.get("type").and_then(Value::as_str)) {
        (Some("none"), _) => ToolChoice::None,
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("required" | "any"), _) => ToolChoice::Required,
        (None, Some("custom")) => named("custom")
            .or_else(flat)
            .map_or(ToolChoice::Other, |name| ToolChoice::Tool { name, is_custom: true }),
        (None, Some("allowed_tools")) => allowed(value.get("allowed_tools").unwrap_or(value)),
        (None, _) => named("function")
            .or_else(flat)
            .map_or(ToolChoice::Other, |name| ToolChoice::Tool { name, is_custom: false }),
        _ => ToolChoice::Other,
    }
}

fn allowed(value: &Value) -> ToolChoice {
    let tools = value.get("tools").and_then(Value::as_array).into_iter().flatten();
    let name = |tool: &Value| {
        let nested = tool.get("function").or(tool.get("custom")).unwrap_or(tool);
        Some(nested.get("name")?.as_str()?.to_owned())
    };
    chosen_among(value, tools.filter_map(name).collect())
}

/// The tools of a request, in whichever form.
pub(super) fn tools(members: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    for (place, value) in members.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        conversation.tools.push(tool(Members::of(value, format!("tools[{place}]"))?)?);
    }
    let legacy = members.peek("functions").and_then(Value::as_array).cloned().unwrap_or_default();
    for (place, value) in legacy.into_iter().enumerate() {
        let (function, _) = function(Members::of(value, format!("functions[{place}]"))?)?;
        conversation.tools.push(function);
    }
    if let Some(options) = members.peek("web_search_options") {
        // The place has a level of its own here, beside its type.
        let place: Option<Value> =
            options.pointer("/user_location/approximate").and_then(Value::as_object).map(|place| {
                let kind = [("type".to_owned(), Value::from("approximate"))];
                kind.into_iter().chain(place.clone()).collect()
            });
        let mut rest = options.as_object().cloned().unwrap_or_default();
        rest.shift_remove("type");
        conversation.tools.push(Tool {
            name: String::new(),
            namespace: None,
            description: None,
            kind: ToolKind::Hosted(Hosted::WebSearch(search_of(None, place.as_ref()))),
            breakpoint: None,
            is_flat: false,
            rest,
        });
    }
    Ok(())
}

fn tool(mut members: Members) -> Result<Tool, Failure> {
    let kind = members.word("type").to_owned();
    if kind.is_empty() {
        return Err(wrong(&members.path("type"), "the type of a tool, such as function"));
    }
    match kind.as_str() {
        "function" | "custom" => {
            let Some(inner) = members.object(&kind)? else {
                // The flat form of Responses, as Cursor sends it to this path.
                let (mut tool, left) = if kind == "custom" { custom(members)? } else { function(members)? };
                tool.rest = left;
                tool.is_flat = true;
                return Ok(tool);
            };
            let (mut tool, left) = if kind == "custom" { custom(inner)? } else { function(inner)? };
            members.put_back(&kind, left);
            tool.rest = members.rest();
            Ok(tool)
        }
        _ => {
            let name = members.text("name")?.unwrap_or_default();
            let kind = ToolKind::Hosted(Hosted::Other(kind));
            Ok(Tool {
                name,
                namespace: None,
                description: None,
                kind,
                breakpoint: None,
                is_flat: false,
                rest: members.rest(),
            })
        }
    }
}

fn function(mut members: Members) -> Result<(Tool, Rest), Failure> {
    let name = members.required("name")?;
    let description = members.text("description")?;
    let kind = ToolKind::Function { schema: members.value("parameters"), strict: members.flag("strict")? };
    Ok((
        Tool {
            name,
            namespace: None,
            description,
            kind,
            breakpoint: None,
            is_flat: false,
            rest: Rest::new(),
        },
        members.rest(),
    ))
}

fn custom(mut members: Members) -> Result<(Tool, Rest), Failure> {
    let name = members.required("name")?;
    let description = members.text("description")?;
    let kind = ToolKind::Custom { format: members.value("format") };
    Ok((
        Tool {
            name,
            namespace: None,
            description,
            kind,
            breakpoint: None,
            is_flat: false,
            rest: Rest::new(),
        },
        members.rest(),
    ))
}
