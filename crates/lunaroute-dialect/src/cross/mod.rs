//! From one vendor's language to another's, through the words of [`lunaroute_core::conversation`].
//!
//! A dialect decodes and encodes; what the ways between them share stands here once: how turns are put in order, how ids
//! and names are made legal and restored, how an answer's pieces are brought into a sequence that every grammar takes.

mod asked;
mod check;
mod effort;
mod estimate;
mod exchange;
mod flow;
mod leftovers;
mod limits;
mod meaning;
mod media;
mod members;
mod names;
mod open;
mod put;
mod rates;
mod schema;
mod seal;
mod settle;
mod step;
mod stream;
mod told;
mod tools;
mod warnings;
mod whole;

#[cfg(test)]
mod tests;

pub use asked::{Asked, Crossing, Profile};
pub use check::check_stream;
pub use estimate::{estimate, estimate_by_samples};
pub use exchange::{Endpoint, endpoint, request_id_header, share_credentials, told_error, told_tokens};
pub use meaning::Meaning;
pub use rates::{rate_limits, room_after};
pub use stream::Translation;
pub use warnings::{Warning, Warnings};

pub(crate) use effort::{asks_to_think, budget_of, effort_of, wanted_effort};
pub(crate) use flow::Flow;
pub(crate) use leftovers::{Leftovers, leave_behind, own_path};
use leftovers::{own_tool, spelled, spelling};
pub(crate) use limits::Limits;
pub(crate) use media::{
    OTHER_SOUND, address, document_name, from_base64, held_source, is_pdf, own_address, proper,
    refused_media, sound_format, source_of, text_of, titled, unseen,
};
pub(crate) use members::{Members, merge, object_of, wrong};
pub use put::body_of;
pub(crate) use put::{json_text, put};
pub(crate) use rates::{LimitHeaders, Reset};
pub(crate) use schema::{describes_object, each_schema, every_schema, is_strict, optional_properties};
pub(crate) use seal::{TAG, open_seal, tag_seal};
pub(crate) use settle::{settled, words};
pub(crate) use step::{Block, Step};
pub(crate) use told::{goes_on_from_nothing, has_media, one_answer, result_text, result_words, says_nothing};
pub(crate) use tools::{
    allowed_names, chosen_among, client_schema, described, flattened, format_held, held_strictly,
    lose_hosted, lose_limits, parameters, refuse_lost_tools, search_of,
};
pub(crate) use whole::{Said, Whole};

use std::sync::Arc;

use lunaroute_core::conversation::{Conversation, Part, Rest};
use lunaroute_core::{Addressed, Delta, Dialect, Failure, FailureKind, StopReason, Usage};
use serde_json::Value;

use crate::dispatch::language;
use crate::error::ProviderError;
use crate::json::Json;

/// Decodes a generation request.
///
/// # Errors
/// `bad_request` when the body is no request of this dialect; the message names the field. A body of Responses at the path
/// of Chat is taken; its origin says so.
pub fn decode_request(from: Dialect, body: &[u8]) -> Result<Conversation, Failure> {
    let refused = |what: String| Failure::client(FailureKind::BadRequest, what);
    // To see once that all of it is text is cheaper than to look at each string.
    let value = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    match value {
        Ok(Value::Object(mut members)) => {
            let spoken = spoken(from, &members);
            if spoken != from {
                flatten_tools(&mut members);
            }
            language(spoken).decode(members)
        }
        Ok(_) => Err(refused("the body is no JSON object".to_owned())),
        Err(error) => Err(refused(format!("the body is no JSON: {error}"))),
    }
}

/// Decodes a generation request of a dialect whose path names the model and asks for a stream.
///
/// # Errors
/// Those of [`decode_request`].
pub fn decode_addressed(from: Dialect, addressed: &Addressed, body: &[u8]) -> Result<Conversation, Failure> {
    let mut conversation = decode_request(from, body)?;
    conversation.model.clone_from(&addressed.model);
    conversation.stream = addressed.stream;
    Ok(conversation)
}

/// The dialect of a request's body. Cursor sends requests of Responses to the path of Chat, and reads chunks of Chat.
fn spoken(from: Dialect, members: &Rest) -> Dialect {
    let is_responses = members.contains_key("input") && !members.contains_key("messages");
    if from == Dialect::OpenaiChat && is_responses { Dialect::OpenaiResponses } else { from }
}

/// Tools as Responses has them: Cursor sends some in the form of Chat, whose members stand in an object of their own.
fn flatten_tools(members: &mut Rest) {
    for tool in members.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(tool) = tool.as_object_mut() else { continue };
        for kind in ["function", "custom"] {
            if tool.get(kind).is_some_and(Value::is_object)
                && let Some(Value::Object(inner)) = tool.shift_remove(kind)
            {
                tool.extend(inner);
            }
        }
    }
}

/// Encodes a generation request for a target of this dialect. It is taken apart for that: what is said in it is not copied.
/// What could not be carried over is in the crossing's warnings afterwards, and what the way back has to know in its
/// `asked`.
///
/// # Errors
/// `bad_request` when a value is beyond what the caller's own dialect takes, or when the request asks for something that
/// cannot be had there at all; the message names the field.
pub fn encode_request(
    to: Dialect,
    mut conversation: Conversation,
    crossing: &mut Crossing<'_>,
) -> Result<Value, Failure> {
    if to != conversation.origin {
        limits::check(&conversation)?;
        limits::simplify(&mut conversation);
    }
    crossing.asked.model.clone_from(&conversation.model);
    crossing.asked.stream = conversation.stream;
    crossing.asked.maker = Some(to);
    crossing.asked.interleaved_calls = crossing.profile.interleaved_calls;
    let said = conversation.turns.iter().flat_map(|turn| &turn.parts);
    crossing.asked.earlier_calls = said.filter(|part| matches!(part, Part::Use(_))).count();
    language(conversation.origin).asks(&conversation, &mut crossing.asked);
    if crossing.asked.takes_one_call && to != conversation.origin {
        conversation.parallel_calls = Some(false);
    }
    let spelling = spelling(&conversation);
    let places = language(conversation.origin).tool_places(&conversation);
    let encoded = language(to).encode(conversation, crossing);
    crossing.warnings.rename(|path| own_tool(places.as_deref(), path).or_else(|| spelled(&spelling, path)));
    encoded
}

/// A provider's whole answer in the caller's dialect, or what the answer says that it failed at; `None` when the body is
/// no answer.
#[must_use]
pub fn translate_answer(
    from: Dialect,
    to: Dialect,
    body: &[u8],
    asked: &Asked,
) -> Option<Result<Value, ProviderError>> {
    let json = Json::new(body).filter(Json::is_object)?;
    let mut deltas = Vec::new();
    if !language(from).answer(json, &mut deltas) {
        return None;
    }
    deltas.push(Delta::End);
    let (mut flow, mut whole, mut steps) = (Flow::new(asked), Whole::default(), Vec::new());
    for delta in deltas {
        flow.take(delta, &mut steps);
        steps.drain(..).for_each(|step| whole.take(step));
    }
    Some(match whole.failure {
        Some(error) => Err(error),
        None => Ok(language(to).whole(&whole, asked)),
    })
}

/// The answer to a request for no tokens at all: JSON or, where a stream was asked for, events.
#[must_use]
pub fn told_nothing(to: Dialect, asked: &Asked) -> Vec<u8> {
    let usage = Usage { input: Some(0), output: Some(0), ..Usage::default() };
    let stop = Delta::Stop { reason: StopReason::Length, raw: String::new() };
    let (mut flow, mut steps) = (Flow::new(asked), Vec::new());
    for delta in [Delta::Usage(usage), stop, Delta::End] {
        flow.take(delta, &mut steps);
    }
    if !asked.stream {
        let mut whole = Whole::default();
        steps.into_iter().for_each(|step| whole.take(step));
        return language(to).whole(&whole, asked).to_string().into_bytes();
    }
    let (mut writer, mut out) = (language(to).writer(Arc::new(asked.clone())), Vec::new());
    steps.into_iter().for_each(|step| writer.write(step, &mut out));
    out
}
