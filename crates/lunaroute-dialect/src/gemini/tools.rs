//! Tools, and which of them a model has to call.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{
    AllowedTools, Conversation, Hosted, Rest, Search, Tool, ToolChoice, ToolKind,
};
use serde_json::{Value, json};

use super::schema::{from_open_api, is_empty_object};
use super::spelling::{inner, members};
use crate::cross::{
    Crossing, Members, allowed_names, client_schema, described, flattened, lose_hosted, merge, parameters,
    wrong,
};

/// How the list of functions is called.
const FUNCTIONS: &str = "functionDeclarations";

/// What a function takes, as JSON Schema.
const SCHEMA: &str = "parametersJsonSchema";

/// How what was not understood of the choice is named in the conversation's rest.
pub(super) const CHOICE_PREFIX: &str = "toolConfig.";

/// Takes the tools apart. What is left of their list stays in the conversation's rest, with the number of functions where
/// they were, so that the list can be made again.
pub(super) fn decode(body: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let choice = inner(body, "toolConfig")?;
    let mut left = Vec::new();
    for (place, entry) in body.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut entry = members(entry, format!("tools[{place}]"))?;
        let functions = entry.list(FUNCTIONS)?.unwrap_or_default();
        let count = functions.len();
        for (number, function) in functions.into_iter().enumerate() {
            let path = format!("tools[{place}].{FUNCTIONS}[{number}]");
            conversation.tools.push(function_tool(members(function, path)?)?);
        }
        let mut entry = entry.rest();
        let hosted = entry.iter().filter(|(kind, value)| *kind != FUNCTIONS && !value.is_null());
        conversation.tools.extend(hosted.map(|(kind, value)| hosted_tool(kind.clone(), value.clone())));
        if count > 0 {
            entry.insert(FUNCTIONS.to_owned(), json!(count));
        }
        left.push(Value::Object(entry));
    }
    if !left.is_empty() {
        conversation.rest.insert("tools".to_owned(), Value::Array(left));
    }
    match choice {
        Some(config) => decode_choice(config, conversation),
        None => Ok(()),
    }
}

/// Where in the list each tool stands: an entry holds functions and tools of the provider.
pub(super) fn places(conversation: &Conversation) -> Option<Vec<usize>> {
    let entries = conversation.rest.get("tools")?.as_array()?.iter().enumerate();
    let each = entries.flat_map(|(place, entry)| {
        let members = entry.as_object().into_iter().flatten();
        let count = |(kind, value): (&String, &Value)| match value {
            Value::Null => 0,
            value if kind == FUNCTIONS => {
                value.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
            }
            _ => 1,
        };
        std::iter::repeat_n(place, members.map(count).sum())
    });
    Some(each.collect())
}

/// A function. A schema in the words of OpenAPI is understood, and stays as it is for its own dialect.
fn function_tool(mut function: Members) -> Result<Tool, Failure> {
    let (name, description) = (function.required("name")?, function.name("description")?);
    let schema = match (function.peek("parameters").cloned(), function.peek(SCHEMA).cloned()) {
        (_, Some(schema)) => Some(schema),
        (Some(open), None) => Some(from_open_api(open)),
        (None, None) => None,
    };
    if function.peek("parameters").is_none() {
        function.value(SCHEMA);
    }
    let kind = ToolKind::Function { schema, strict: None };
    Ok(Tool {
        name,
        namespace: None,
        description: Some(description).filter(|description| !description.is_empty()),
        kind,
        breakpoint: None,
        is_flat: false,
        rest: function.rest(),
    })
}

fn hosted_tool(kind: String, value: Value) -> Tool {
    let hosted = match kind.as_str() {
        "googleSearch" | "googleSearchRetrieval" => Hosted::WebSearch(Search::default()),
        "codeExecution" => Hosted::CodeExecution,
        "urlContext" => Hosted::WebFetch,
        _ => Hosted::Other(kind.clone()),
    };
    let (mut rest, own) = (Rest::new(), value);
    rest.insert("type".to_owned(), json!(kind));
    if own.as_object().is_none_or(|members| !members.is_empty()) {
        rest.insert("value".to_owned(), own);
    }
    let kind = ToolKind::Hosted(hosted);
    let name = String::new();
    Tool { name, namespace: None, description: None, kind, breakpoint: None, is_flat: false, rest }
}

/// The choice; as it is it stays for its own dialect, and what is not understood of it is named.
fn decode_choice(mut config: Members, conversation: &mut Conversation) -> Result<(), Failure> {
    if let Some(mut calling) = inner(&mut config, "functionCallingConfig")? {
        let own = calling.clone().rest();
        let names = calling.list("allowedFunctionNames")?.unwrap_or_default();
        let names = names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        let names = names.ok_or_else(|| wrong(&calling.path("allowedFunctionNames"), "a list of strings"))?;
        let choice = match (calling.word("mode"), &names[..]) {
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", []) => Some(ToolChoice::Required),
            ("ANY", [name]) => Some(ToolChoice::Tool { name: name.clone(), is_custom: false }),
            ("ANY", _) => Some(ToolChoice::Allowed(AllowedTools { is_required: true, names })),
            ("AUTO" | "", []) => Some(ToolChoice::Auto),
            ("AUTO" | "", _) => Some(ToolChoice::Allowed(AllowedTools { is_required: false, names })),
            // Calls that fit their schemas, or words: what others call strict tools.
            ("VALIDATED", _) => {
                for tool in &mut conversation.tools {
                    if let ToolKind::Function { strict, .. } = &mut tool.kind {
                        *strict = Some(true);
                    }
                }
                Some(match names.is_empty() {
                    true => ToolChoice::Auto,
                    false => ToolChoice::Allowed(AllowedTools { is_required: false, names }),
                })
            }
            _ => None,
        };
        if choice.is_some() {
            calling.value("mode");
            conversation.tool_choice = choice;
        }
        for (name, value) in calling.rest() {
            conversation.rest.insert(format!("{CHOICE_PREFIX}functionCallingConfig.{name}"), value);
        }
        config.restore("functionCallingConfig", Value::Object(own));
    }
    let config = config.rest();
    for (name, value) in config.iter().filter(|(name, _)| *name != "functionCallingConfig") {
        conversation.rest.insert(format!("{CHOICE_PREFIX}{name}"), value.clone());
    }
    conversation.rest.insert("toolConfig".to_owned(), Value::Object(config));
    Ok(())
}

/// The list of tools that were decoded from this dialect, out of what was left of it.
pub(super) fn own(conversation: &Conversation, mut left: Value) -> Value {
    let mut functions = conversation.tools.iter().filter_map(own_function);
    for entry in left.as_array_mut().into_iter().flatten() {
        let count =
            entry.get(FUNCTIONS).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        if let Some(count) = count {
            entry[FUNCTIONS] = functions.by_ref().take(count).collect();
        }
    }
    left
}

fn own_function(tool: &Tool) -> Option<Value> {
    let ToolKind::Function { schema, .. } = &tool.kind else { return None };
    let is_open = tool.rest.get("parameters").is_some_and(|open| !open.is_null());
    let schema = schema.clone().filter(|_| !is_open);
    let mut value = declaration(&tool.name, tool.description.clone(), schema);
    merge(&mut value, &tool.rest);
    Some(Value::Object(value))
}

fn declaration(name: &str, description: Option<String>, schema: Option<Value>) -> Rest {
    let mut value = Rest::new();
    value.insert("name".to_owned(), json!(name));
    if let Some(description) = description.filter(|description| !description.is_empty()) {
        value.insert("description".to_owned(), Value::String(description));
    }
    if let Some(schema) = schema {
        value.insert(SCHEMA.to_owned(), schema);
    }
    value
}

fn choice_config(choice: &ToolChoice, name_of: impl Fn(&str) -> String) -> Value {
    match choice {
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Auto | ToolChoice::Other => json!({"mode": "AUTO"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Tool { name, .. } => json!({"mode": "ANY", "allowedFunctionNames": [name_of(name)]}),
        ToolChoice::Allowed(AllowedTools { is_required, names }) => {
            let names: Vec<String> = names.iter().map(|name| name_of(name)).collect();
            json!({"mode": if *is_required { "ANY" } else { "AUTO" }, "allowedFunctionNames": names})
        }
    }
}

/// The tools of another dialect's request, whose descriptions and schemas are taken out of it.
pub(super) fn foreign(
    conversation: &mut Conversation,
    crossing: &mut Crossing<'_>,
) -> Result<Vec<Value>, Failure> {
    let (mut functions, mut hosted) = (Vec::new(), Vec::new());
    crossing.asked.names.begin_with_letter = true;
    // A choice among some tools without having to call one is told by leaving out the others.
    let is_free =
        |choice: &&ToolChoice| matches!(choice, ToolChoice::Allowed(AllowedTools { is_required: false, .. }));
    let allowed = allowed_names(conversation.tool_choice.as_ref().filter(is_free));
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(tool.name.as_str())) {
            continue;
        }
        let (description, schema, is_custom) = match &mut tool.kind {
            ToolKind::Function { schema, .. } => {
                let schema = parameters(schema.take());
                (described(tool), schema, false)
            }
            ToolKind::Custom { format } => {
                let format = format.take();
                let (description, schema) = flattened(tool, format.as_ref());
                (Some(description), schema, true)
            }
            ToolKind::Hosted(kind) => match (client_schema(kind), google_name(kind)) {
                (Some(schema), _) => (tool.description.clone(), schema, false),
                (None, Some(name)) => {
                    hosted.push((place, tool, name));
                    continue;
                }
                (None, None) => {
                    lose_hosted(tool, place, crossing)?;
                    continue;
                }
            },
        };
        let name = crossing.asked.names.give(tool.namespace.as_deref(), &tool.name)?;
        // A schema of no members is refused for a function; one without any is taken.
        let schema = Some(schema).filter(|schema| !is_empty_object(schema));
        functions.push(Value::Object(declaration(&name, description, schema)));
        if is_custom {
            crossing.asked.flattened.insert(name);
        }
    }
    if functions.is_empty() {
        let tools = hosted.into_iter().map(|(place, tool, name)| {
            if tool.rest.keys().any(|name| name != "type" && name != "name") {
                let what = "the provider's own tool goes without its limits";
                crossing.warnings.dropped(format!("tools[{place}]"), what);
            }
            json!({name: {}})
        });
        return Ok(tools.collect());
    }
    for (place, tool, _) in hosted {
        let what = "the provider runs none of its own tools beside the caller's";
        crossing.warnings.dropped(format!("tools[{place}]"), what);
        crossing.lost_tools.insert(tool.name.clone());
    }
    Ok(vec![json!({FUNCTIONS: functions})])
}

/// Whether an entry of the list holds functions.
pub(super) fn holds_functions(entry: &Value) -> bool {
    entry.get(FUNCTIONS).is_some()
}

const fn google_name(hosted: &Hosted) -> Option<&'static str> {
    match hosted {
        Hosted::WebSearch(_) => Some("googleSearch"),
        Hosted::CodeExecution => Some("codeExecution"),
        Hosted::WebFetch => Some("urlContext"),
        Hosted::Other(_) => None,
    }
}

/// The choice of another dialect's request. It is refused in a request without functions.
pub(super) fn foreign_choice(
    conversation: &Conversation,
    has_functions: bool,
    crossing: &mut Crossing<'_>,
) -> Option<Value> {
    // A caller whose answer has room for one call did not ask for it.
    if conversation.parallel_calls == Some(false) && has_functions && !crossing.asked.takes_one_call {
        let what = "the provider has no such field; it may ask for several tools at once";
        crossing.warnings.dropped("parallel_tool_calls", what);
    }
    let choice = conversation.tool_choice.as_ref().filter(|choice| **choice != ToolChoice::Other)?;
    let forced = matches!(choice, ToolChoice::Required | ToolChoice::Tool { .. })
        || matches!(choice, ToolChoice::Allowed(AllowedTools { is_required: true, .. }));
    if !has_functions {
        if forced {
            let what = "a tool that the provider runs cannot be forced; the model chooses by itself";
            crossing.warnings.changed("tool_choice", what);
        }
        return None;
    }
    let config = match choice {
        _ if forced && !crossing.facts.forced_tools.is_yes() => {
            let what = "the model refuses a forced choice of tools; it chooses by itself";
            crossing.warnings.changed("tool_choice", what);
            choice_config(&ToolChoice::Auto, str::to_owned)
        }
        ToolChoice::Allowed(AllowedTools { is_required: false, .. }) => {
            crossing.warnings.changed("tool_choice", "only the allowed tools were sent");
            choice_config(&ToolChoice::Auto, str::to_owned)
        }
        ToolChoice::Allowed(AllowedTools { is_required, names }) => {
            let names = crossing.left(names).map(str::to_owned).collect();
            let left = ToolChoice::Allowed(AllowedTools { is_required: *is_required, names });
            choice_config(&left, |name| crossing.asked.names.chosen(name))
        }
        choice => choice_config(choice, |name| crossing.asked.names.chosen(name)),
    };
    Some(json!({"functionCallingConfig": config}))
}
