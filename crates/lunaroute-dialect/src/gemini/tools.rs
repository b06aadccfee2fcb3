//! Tools, and which of them a model has to call.

use lunaroute_core::Failure;
use lunaroute_core::conversation::{AllowedTools, Conversation, Hosted, Rest, Tool, ToolChoice, ToolKind};
use serde_json::{Value, json};

use super::schema::{from_open_api, is_empty_object};
use super::spelling::{inner, members};
use crate::cross::{Crossing, Members, client_schema, described, flattened, lose_hosted, merge, parameters};

/// How the list of functions is called.
const FUNCTIONS: &str = "functionDeclarations";

pub(super) fn decode(body: &mut Members, conversation: &mut Conversation) -> Result<(), Failure> {
    let choice = inner(body, "toolConfig")?;
    for (place, entry) in body.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut entry = members(entry, format!("tools[{place}]"))?;
        for (number, function) in entry.list(FUNCTIONS)?.unwrap_or_default().into_iter().enumerate() {
            let path = format!("tools[{place}].{FUNCTIONS}[{number}]");
            conversation.tools.push(function_tool(members(function, path)?)?);
        }
        for (kind, value) in entry.rest() {
            conversation.tools.push(hosted_tool(kind, value));
        }
    }
    match choice {
        Some(config) => decode_choice(config, body, conversation),
        None => Ok(()),
    }
}

fn function_tool(mut function: Members) -> Result<Tool, Failure> {
    let (name, description) = (function.required("name")?, function.text("description")?);
    let open = function.value("parameters").map(from_open_api);
    let schema = function.value("parametersJsonSchema").or(open);
    let kind = ToolKind::Function { schema, strict: None };
    Ok(Tool {
        name,
        namespace: None,
        description,
        kind,
        breakpoint: None,
        is_flat: false,
        rest: function.rest(),
    })
}

fn hosted_tool(kind: String, value: Value) -> Tool {
    let hosted = match kind.as_str() {
        "googleSearch" | "googleSearchRetrieval" => Hosted::WebSearch,
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

fn decode_choice(
    mut config: Members,
    body: &mut Members,
    conversation: &mut Conversation,
) -> Result<(), Failure> {
    if let Some(mut calling) = inner(&mut config, "functionCallingConfig")? {
        let names =
            calling.peek("allowedFunctionNames").and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<String> =
            names.into_iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let mode = calling.word("mode").to_owned();
        let choice = match (mode.as_str(), &names[..]) {
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
                Some(ToolChoice::Auto)
            }
            _ => None,
        };
        if choice.is_some() {
            calling.value("mode");
            calling.value("allowedFunctionNames");
            conversation.tool_choice = choice;
        }
        config.put_back("functionCallingConfig", calling.rest());
    }
    body.put_back("toolConfig", config.rest());
    Ok(())
}

/// Tools that were decoded from this dialect, and their choice.
pub(super) fn own(conversation: &Conversation, body: &mut Rest) {
    let (mut functions, mut hosted) = (Vec::new(), Vec::new());
    let mut strict = false;
    for tool in &conversation.tools {
        if let ToolKind::Function { schema, strict: held } = &tool.kind {
            strict |= *held == Some(true);
            let mut value = declaration(&tool.name, tool.description.clone(), schema.clone());
            merge(&mut value, &tool.rest);
            functions.push(Value::Object(value));
        } else if let Some(kind) = tool.rest.get("type").and_then(Value::as_str) {
            hosted.push(json!({kind: tool.rest.get("value").cloned().unwrap_or_else(|| json!({}))}));
        }
    }
    let declared = (!functions.is_empty()).then(|| json!({FUNCTIONS: functions}));
    let tools: Vec<Value> = declared.into_iter().chain(hosted).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    if let Some(choice) = &conversation.tool_choice {
        let mut config = choice_config(choice, str::to_owned);
        if strict && *choice == ToolChoice::Auto {
            config = json!({"mode": "VALIDATED"});
        }
        body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": config}));
    }
}

fn declaration(name: &str, description: Option<String>, schema: Option<Value>) -> Rest {
    let mut value = Rest::new();
    value.insert("name".to_owned(), json!(name));
    if let Some(description) = description.filter(|description| !description.is_empty()) {
        value.insert("description".to_owned(), Value::String(description));
    }
    if let Some(schema) = schema {
        value.insert("parametersJsonSchema".to_owned(), schema);
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
    for (place, tool) in conversation.tools.iter_mut().enumerate() {
        if is_left_out(conversation.tool_choice.as_ref(), &tool.name) {
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
        crossing.lost_tools.push(tool.name.clone());
    }
    Ok(vec![json!({FUNCTIONS: functions})])
}

/// A choice among some tools without having to call one is told by leaving out the others.
fn is_left_out(choice: Option<&ToolChoice>, name: &str) -> bool {
    match choice {
        Some(ToolChoice::Allowed(AllowedTools { is_required: false, names })) => {
            names.iter().all(|allowed| allowed != name)
        }
        _ => false,
    }
}

const fn google_name(hosted: &Hosted) -> Option<&'static str> {
    match hosted {
        Hosted::WebSearch => Some("googleSearch"),
        Hosted::CodeExecution => Some("codeExecution"),
        Hosted::WebFetch => Some("urlContext"),
        Hosted::Other(_) => None,
    }
}

/// The choice of another dialect's request.
pub(super) fn foreign_choice(conversation: &Conversation, crossing: &mut Crossing<'_>) -> Option<Value> {
    if conversation.parallel_calls == Some(false) {
        let what = "the provider has no such field; it may ask for several tools at once";
        crossing.warnings.dropped("parallel_tool_calls", what);
    }
    let choice = conversation.tool_choice.as_ref().filter(|choice| **choice != ToolChoice::Other)?;
    let is_hosted =
        |tool: &&Tool| matches!(&tool.kind, ToolKind::Hosted(kind) if client_schema(kind).is_none());
    if let ToolChoice::Tool { name, .. } = choice
        && conversation.tools.iter().filter(is_hosted).any(|tool| tool.name == *name)
    {
        let what = "a tool that the provider runs cannot be forced; the model chooses by itself";
        crossing.warnings.changed("tool_choice", what);
        return None;
    }
    let forced = matches!(choice, ToolChoice::Required | ToolChoice::Tool { .. })
        || matches!(choice, ToolChoice::Allowed(AllowedTools { is_required: true, .. }));
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
            choice_config(&left, |name| crossing.asked.names.given(None, name))
        }
        choice => choice_config(choice, |name| crossing.asked.names.given(None, name)),
    };
    Some(json!({"functionCallingConfig": config}))
}
