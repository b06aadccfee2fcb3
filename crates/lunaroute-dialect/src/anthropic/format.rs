//! The form of an answer: by the field for it, by a tool that has to be called, or in words.

use lunaroute_core::conversation::{Conversation, OutputFormat, Rest, ToolChoice};
use lunaroute_core::{Failure, FailureKind};
use serde_json::{Value, json};

use super::encode::is_forced;
use super::schema::{Room, hold, measured};
use crate::cross::{Crossing, merge, own_path, parameters};

/// The tool by which a model that knows no output format is made to answer in one.
const FORMAT_TOOL: &str = "json_output";

/// Keywords that the protocol refuses at the root of a tool's schema, or that make it one of something else.
const NOT_AT_ROOT: [&str; 6] = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const"];

/// Where a request says the form of its answer.
pub(super) struct Place<'a> {
    /// Its members.
    pub(super) body: &'a mut Rest,
    /// Blocks of the `system` field.
    pub(super) system: &'a mut Vec<Value>,
    /// Its tools.
    pub(super) tools: &'a mut Vec<Value>,
    /// Which of them have to be called.
    pub(super) choice: &'a mut Option<ToolChoice>,
}

/// The member by which an answer is held to a schema.
pub(super) fn format_member(schema: Value) -> Rest {
    let mut member = Rest::new();
    member.insert("output_config".to_owned(), json!({"format": {"type": "json_schema", "schema": schema}}));
    member
}

/// Whether the provider can hold the answer to the schema that is asked for.
pub(super) fn holds_format(conversation: &Conversation, crossing: &Crossing<'_>, room: &mut Room) -> bool {
    let Some(OutputFormat::JsonSchema { schema, .. }) = &conversation.format else { return false };
    crossing.facts.json_schema.is_yes() && measured(schema).is_some_and(|size| room.take(size))
}

/// Puts the wanted form of the answer into the request. `is_held` says that the provider can hold it to the schema,
/// `is_prefilled` that it goes on from words of the assistant.
///
/// # Errors
/// `bad_request` for a schema in a request whose last turn is the assistant's: what goes on from words is no JSON.
pub(super) fn format(
    conversation: &Conversation,
    (is_held, is_prefilled): (bool, bool),
    place: Place<'_>,
    crossing: &mut Crossing<'_>,
) -> Result<(), Failure> {
    match &conversation.format {
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::JsonObject) => {
            place.system.push(json!({"type": "text", "text": "Reply with one JSON object only."}));
        }
        Some(OutputFormat::JsonSchema { .. }) if is_prefilled => {
            let what = format!(
                "'{}' asks for an answer of its own, and the last message is the assistant's, from which the model would \
                 go on; leave out one of them",
                own_path(conversation, "response_format")
            );
            return Err(Failure::client(FailureKind::BadRequest, what));
        }
        Some(OutputFormat::JsonSchema { schema, description, .. }) => {
            if !is_held {
                by_tool(schema, description.as_deref(), place, crossing);
                return Ok(());
            }
            let mut schema = schema.clone();
            if hold(&mut schema) {
                let what = "limits that the provider does not enforce became words";
                crossing.warnings.changed("response_format.schema", what);
            }
            merge(place.body, &format_member(schema));
        }
    }
    Ok(())
}

/// Holds the answer to a schema by a tool that takes it. Where the caller's tools may be called as well, one of all has to be:
/// to answer is to call this one. Where one of the caller's has to be called there is no other answer.
fn by_tool(schema: &Value, description: Option<&str>, place: Place<'_>, crossing: &mut Crossing<'_>) {
    if is_forced(place.choice.as_ref()) {
        return;
    }
    if !takes_object(schema) || !crossing.facts.forced_tools.is_yes() {
        let what = "the model cannot be held to it; it was told in words";
        crossing.warnings.dropped("response_format", what);
        let told = format!("When you reply in words, reply with JSON of this schema only: {schema}");
        place.system.push(json!({"type": "text", "text": told}));
        return;
    }
    let mut name = FORMAT_TOOL.to_owned();
    while crossing.asked.names.is_given(&name) {
        name.push('_');
    }
    *place.choice = Some(match &place.choice {
        Some(ToolChoice::None) => ToolChoice::Tool { name: name.clone(), is_custom: false },
        _ if place.tools.is_empty() => ToolChoice::Tool { name: name.clone(), is_custom: false },
        _ => ToolChoice::Required,
    });
    let told = description.unwrap_or("Gives the answer in the form that was asked for.");
    let schema = parameters(Some(schema.clone()));
    place.tools.push(json!({"name": name, "description": told, "input_schema": schema}));
    crossing.asked.format_tool = Some(name);
}

/// Whether a schema is one of an object, as the arguments of a tool are.
fn takes_object(schema: &Value) -> bool {
    schema.get("type").is_none_or(|kind| kind == "object")
        && !NOT_AT_ROOT.iter().any(|keyword| schema.get(*keyword).is_some())
}
