//! Decodes the tools of a Responses request.

use lunaroute_core::conversation::{Conversation, Hosted, Tool, ToolChoice, ToolKind};
use serde_json::Value;

use crate::cross::{chosen_among, is_strict, search_of};

/// Which tools have to be called.
pub(super) fn choice(value: &Value) -> ToolChoice {
    let name = |value: &Value| Some(value.get("name")?.as_str()?.to_owned());
    let kind_of = |value: &Value| Some(hosted_name(value.get("type")?.as_str()?).to_owned());
    match (value.as_str(), value.get("type").and_then(Value::as_str)) {
        (Some("none"), _) => ToolChoice::None,
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("required"), _) => ToolChoice::Required,
        (None, Some(kind @ ("function" | "custom"))) => name(value)
            .map_or(ToolChoice::Other, |name| ToolChoice::Tool { name, is_custom: kind == "custom" }),
        (None, Some("allowed_tools")) => {
            let tools = value.get("tools").and_then(Value::as_array).into_iter().flatten();
            chosen_among(value, tools.filter_map(|tool| name(tool).or_else(|| kind_of(tool))).collect())
        }
        // A tool that the provider runs is chosen by its type.
        (None, Some(kind)) => ToolChoice::Tool { name: hosted_name(kind).to_owned(), is_custom: false },
        _ => ToolChoice::Other,
    }
}

/// By what a tool is chosen that the provider runs: its type, of which the search has several.
fn hosted_name(kind: &str) -> &str {
    if kind.starts_with("web_search") { "web_search" } else { kind }
}

/// Where in the list each tool stands: those of a group stand where it does.
pub(super) fn places(conversation: &Conversation) -> Option<Vec<usize>> {
    let entries = conversation.rest.get("tools")?.as_array()?.iter().enumerate();
    let each = entries.flat_map(|(place, entry)| {
        let is_group = entry.get("type").and_then(Value::as_str) == Some("namespace");
        let inside = || entry.get("tools").and_then(Value::as_array).map_or(0, Vec::len);
        std::iter::repeat_n(place, if is_group { inside() } else { 1 })
    });
    Some(each.collect())
}

/// A tool; a group of tools gives each of its own.
pub(super) fn tools(value: &Value, namespace: Option<&str>, found: &mut Vec<Tool>) {
    let word = |name: &str| value.get(name).and_then(Value::as_str);
    let kind = match word("type").unwrap_or_default() {
        "function" => {
            let schema = value.get("parameters").filter(|schema| !schema.is_null()).cloned();
            // Absent means strict here where the schema allows it.
            let allows = || schema.as_ref().is_some_and(is_strict).then_some(true);
            let strict = value.get("strict").and_then(Value::as_bool).or_else(allows);
            ToolKind::Function { schema, strict }
        }
        "custom" => ToolKind::Custom { format: value.get("format").cloned() },
        "namespace" if namespace.is_none() => {
            for tool in value.get("tools").and_then(Value::as_array).into_iter().flatten() {
                tools(tool, word("name"), found);
            }
            return;
        }
        kind if kind.starts_with("web_search") => {
            let domains = value.pointer("/filters/allowed_domains");
            ToolKind::Hosted(Hosted::WebSearch(search_of(domains, value.get("user_location"))))
        }
        "code_interpreter" => ToolKind::Hosted(Hosted::CodeExecution),
        kind => ToolKind::Hosted(Hosted::Other(kind.to_owned())),
    };
    let own_name = if matches!(kind, ToolKind::Hosted(_)) { word("type").map(hosted_name) } else { None };
    found.push(Tool {
        name: word("name").or(own_name).unwrap_or_default().to_owned(),
        namespace: namespace.map(str::to_owned),
        description: word("description").map(str::to_owned),
        kind,
        breakpoint: None,
        is_flat: true,
        rest: value.as_object().cloned().unwrap_or_default(),
    });
}
