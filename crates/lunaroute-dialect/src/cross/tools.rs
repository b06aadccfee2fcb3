//! Tools, as far as every dialect treats them alike.

use std::collections::HashSet;

use lunaroute_core::conversation::{
    AllowedTools, Conversation, Hosted, OutputFormat, Rest, Search, Tool, ToolChoice, ToolKind,
};
use lunaroute_core::{Dialect, Failure, FailureKind};
use serde_json::{Value, json};

use super::asked::Crossing;
use super::schema::is_strict;

/// Why a request is refused whose forced tool the target has not.
const LOST_CHOICE: &str = "'tool_choice' asks for a tool that the provider which serves this model does not run; leave it out or choose another model";

/// Why one is refused of whose tools the target has none.
const LOST_TOOLS: &str = "'tools' asks for a tool that the provider which serves this model does not run; leave it out or choose another model";

/// Takes out what a tool is told to do, with the examples of its input that one dialect has a place for.
pub(crate) fn described(tool: &mut Tool) -> Option<String> {
    let told = tool.description.take();
    let examples = tool.rest.get("input_examples").and_then(Value::as_array).filter(|list| !list.is_empty());
    let Some(examples) = examples else { return told };
    let lines: Vec<String> = examples.iter().map(Value::to_string).collect();
    let told = told.unwrap_or_default();
    Some(format!("{told}\n\nExamples of its input:\n{}", lines.join("\n")).trim_start().to_owned())
}

/// Keywords that say what a schema is of where it has no type of its own.
const COMBINATORS: [&str; 8] = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if", "enum"];

/// A function's parameters: a function without any takes an empty object. Providers want to read that it is an object, and
/// which properties it has, also where JSON Schema lets both go without saying.
pub(crate) fn parameters(schema: Option<Value>) -> Value {
    let Value::Object(mut members) = schema.unwrap_or_else(|| json!({})) else {
        return json!({"type": "object", "properties": {}});
    };
    let is_absent = |members: &Rest, name: &str| members.get(name).is_none_or(Value::is_null);
    if is_absent(&members, "type") && !COMBINATORS.iter().any(|keyword| members.contains_key(*keyword)) {
        members.insert("type".to_owned(), json!("object"));
    }
    if members.get("type").is_some_and(|kind| kind == "object") && is_absent(&members, "properties") {
        members.insert("properties".to_owned(), json!({}));
    }
    Value::Object(members)
}

/// A tool with free text as a function of one `input`: what it is told to do, and its parameters.
pub(crate) fn flattened(tool: &Tool, format: Option<&Value>) -> (String, Value) {
    let mut description = tool.description.clone().unwrap_or_default();
    if let Some(format) = format {
        description.push_str(&format!("\n\nThe input is free text of this form: {format}"));
    }
    let input = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
    (description.trim_start().to_owned(), input)
}

/// Whether OpenAI shall hold the arguments to the schema. It refuses many schemas for that, such as open ones, so for those
/// it is not asked to.
pub(crate) fn held_strictly(
    wanted: Option<bool>,
    schema: &Value,
    path: impl FnOnce() -> String,
    crossing: &mut Crossing<'_>,
) -> Option<bool> {
    if wanted != Some(true) || is_strict(schema) {
        return wanted;
    }
    crossing
        .warnings
        .changed(path(), "the provider cannot hold the model to such a schema; it is told but not enforced");
    Some(false)
}

/// Whether OpenAI shall hold the answer to the schema; see [`held_strictly`]. Where nothing is said, OpenAI's own clients do
/// not want that, and those of providers that always hold it do.
pub(crate) fn format_held(conversation: &Conversation, crossing: &mut Crossing<'_>) -> bool {
    let Some(OutputFormat::JsonSchema { schema, strict, .. }) = &conversation.format else { return false };
    let always = matches!(conversation.origin, Dialect::Anthropic | Dialect::Gemini);
    let wanted = Some(strict.unwrap_or(always));
    held_strictly(wanted, schema, || "output_format.strict".to_owned(), crossing).unwrap_or_default()
}

/// Where a search looks, out of a list of domains and the user's place as a request has them.
pub(crate) fn search_of(domains: Option<&Value>, place: Option<&Value>) -> Search {
    let domains = domains.and_then(Value::as_array).into_iter().flatten();
    Search {
        allowed_domains: domains.filter_map(|domain| Some(domain.as_str()?.to_owned())).collect(),
        location: place.and_then(Value::as_object).filter(|place| !place.is_empty()).cloned(),
    }
}

/// Says that limits of a web search other than where it looks, such as how often, were not carried over.
pub(crate) fn lose_limits(tool: &Tool, place: usize, crossing: &mut Crossing<'_>) {
    const CARRIED: [&str; 4] = ["type", "name", "allowed_domains", "user_location"];
    let is_carried = |(name, value): (&String, &Value)| match value.as_object() {
        Some(filters) if name == "filters" => filters.keys().all(|name| CARRIED.contains(&name.as_str())),
        _ => value.is_null() || CARRIED.contains(&name.as_str()),
    };
    if !tool.rest.iter().all(is_carried) {
        crossing.warnings.dropped(tool_path(tool, place), "the search goes without its own limits");
    }
}

/// Where a request has a tool: Chat asks for a search by a member of its own, and that has no type.
fn tool_path(tool: &Tool, place: usize) -> String {
    let is_member = tool.name.is_empty() && !tool.rest.contains_key("type");
    if is_member { "web_search_options".to_owned() } else { format!("tools[{place}]") }
}

/// A tool that its own provider runs and the target has not: left out with a warning, unless its work is on the caller's
/// machine by a contract that only its own models know.
///
/// # Errors
/// `bad_request` for tools that work a screen.
pub(crate) fn lose_hosted(tool: &Tool, place: usize, crossing: &mut Crossing<'_>) -> Result<(), Failure> {
    if let ToolKind::Hosted(Hosted::Other(kind)) = &tool.kind
        && ["computer", "browser"].iter().any(|family| kind.starts_with(family))
    {
        return Err(Failure::client(
            FailureKind::BadRequest,
            format!("'tools[{place}]' ({kind}) works with its own provider's models only; leave it out"),
        ));
    }
    crossing.warnings.dropped(tool_path(tool, place), "a tool that only its own provider runs");
    if !tool.name.is_empty() {
        crossing.lost_tools.insert(tool.name.clone());
    }
    Ok(())
}

/// OpenAI's choice among some tools, in whichever of its dialects. Where none is allowed and none has to be called, it is
/// the choice of none.
pub(crate) fn chosen_among(choice: &Value, names: Vec<String>) -> ToolChoice {
    let is_required = choice.get("mode").and_then(Value::as_str) == Some("required");
    match names.is_empty() && !is_required {
        true => ToolChoice::None,
        false => ToolChoice::Allowed(AllowedTools { is_required, names }),
    }
}

/// The tools among which the model may choose; `None` for all of them.
pub(crate) fn allowed_names(choice: Option<&ToolChoice>) -> Option<HashSet<&str>> {
    match choice? {
        ToolChoice::Allowed(AllowedTools { names, .. }) => Some(names.iter().map(String::as_str).collect()),
        _ => None,
    }
}

impl Crossing<'_> {
    /// Those of some tools that the target has.
    pub(crate) fn left<'names>(&self, names: &'names [String]) -> impl Iterator<Item = &'names str> {
        names.iter().filter(|name| !self.lost_tools.contains(name.as_str())).map(String::as_str)
    }
}

/// Refuses a request whose only tools, or whose forced tool, the target has not: its answer would be another one. So is one
/// that allows none of its tools.
///
/// # Errors
/// `bad_request` that names the field.
pub(crate) fn refuse_lost_tools(
    conversation: &Conversation,
    is_left: bool,
    crossing: &Crossing<'_>,
) -> Result<(), Failure> {
    let (forced, allowed) = match &conversation.tool_choice {
        Some(ToolChoice::Tool { name, .. }) => (crossing.lost_tools.contains(name), None),
        Some(ToolChoice::Allowed(AllowedTools { is_required: true, names })) => {
            (!names.is_empty() && crossing.left(names).next().is_none(), Some(names))
        }
        Some(ToolChoice::Allowed(AllowedTools { names, .. })) => (false, Some(names)),
        _ => (false, None),
    };
    let no_tool = !conversation.tools.is_empty() && !is_left;
    let what = if forced {
        LOST_CHOICE
    } else if allowed.is_some_and(|names| names.is_empty() || no_tool && crossing.lost_tools.is_empty()) {
        "'tool_choice' allows none of the tools of this request; name those that may be called"
    } else if no_tool {
        LOST_TOOLS
    } else {
        return Ok(());
    };
    Err(Failure::client(FailureKind::BadRequest, what))
}

/// The arguments of tools that Anthropic defines and the client runs, as its documentation publishes them.
pub(crate) fn client_schema(hosted: &Hosted) -> Option<Value> {
    let Hosted::Other(kind) = hosted else { return None };
    let string = || json!({"type": "string"});
    let range = || json!({"type": "array", "items": {"type": "integer"}});
    if kind.starts_with("bash_") {
        return Some(
            json!({"type": "object", "properties": {"command": string(), "restart": {"type": "boolean"}}}),
        );
    }
    if kind.starts_with("text_editor_") {
        return Some(json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                "path": string(), "file_text": string(), "old_str": string(), "new_str": string(),
                "insert_line": {"type": "integer"}, "insert_text": string(), "view_range": range(),
            },
            "required": ["command", "path"],
        }));
    }
    if kind.starts_with("memory_") {
        let commands = ["view", "create", "str_replace", "insert", "delete", "rename"];
        return Some(json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": commands},
                "path": string(), "file_text": string(), "old_str": string(), "new_str": string(),
                "insert_line": {"type": "integer"}, "insert_text": string(), "old_path": string(),
                "new_path": string(), "view_range": range(),
            },
            "required": ["command"],
        }));
    }
    None
}
