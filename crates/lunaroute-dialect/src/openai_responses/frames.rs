//! Responses over WebSocket: each of the client's messages is an event with the members of a request beside its type, each
//! of the server's is the data of an event of the stream.
//!
//! Source: OpenAI's guide to the WebSocket mode and the client events of its SDKs.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lunaroute_core::{Failure, FailureKind};
use serde_json::{Map, Value, json};

use super::chain::without;
use crate::cross::Meaning;
use crate::error::upstream_error;
use crate::json::Json;
use crate::openai::error::meant;

/// Members of a frame that are none of the request over HTTP.
const ENVELOPE: [&str; 5] = ["type", "generate", "stream_id", "stream", "background"];

/// Members of a request that a response repeats, and what stands there when the request has none.
const ECHOED: [(&str, &str); 11] = [
    ("model", "\"\""),
    ("instructions", "null"),
    ("tools", "[]"),
    ("tool_choice", "\"auto\""),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", "null"),
    ("text", "null"),
    ("metadata", "{}"),
    ("store", "true"),
    ("temperature", "null"),
];

/// Headers of an answer that an error over WebSocket repeats: limits, and names of the request.
const TOLD_HEADERS: [&str; 4] = ["retry-after", "x-codex-", "x-ratelimit-", "x-request-id"];

/// What a client says in one message.
#[derive(Debug)]
pub struct ClientFrame {
    /// The lane that the client has put it on; every event of the answer says the same.
    pub stream_id: Option<String>,
    /// What it asks for.
    pub asked: Result<Create, Failure>,
}

/// `response.create`.
#[derive(Debug)]
pub struct Create {
    /// The body of the same request over HTTP, for a stream. Its members are the client's bytes.
    pub body: Bytes,
    /// With `generate: false` nothing is asked of the model; the answer is an id from which the next request goes on.
    pub is_warm_up: bool,
}

/// Reads one of the client's messages. What it asks for is `bad_request` when it is no `response.create`.
#[must_use]
pub fn read_frame(frame: &[u8]) -> ClientFrame {
    let refuse = |message: String| Err(Failure::client(FailureKind::BadRequest, message));
    let Some(event) = Json::whole(frame).filter(Json::is_object) else {
        let asked = refuse("the message is no JSON object; send an event such as response.create".to_owned());
        return ClientFrame { stream_id: None, asked };
    };
    let [kind, generate, stream_id] = event.fields(["type", "generate", "stream_id"]);
    let stream_id = stream_id.and_then(Json::text).map(std::borrow::Cow::into_owned);
    let kind = kind.and_then(|kind| kind.text_start(64)).unwrap_or_default();
    let body = (kind == "response.create").then(|| without(frame, &ENVELOPE)).flatten();
    let Some(mut body) = body else {
        let kind: String = kind.chars().take(64).collect();
        return ClientFrame {
            stream_id,
            asked: refuse(format!("the event '{kind}' is not known here; response.create is")),
        };
    };
    let comma: &[u8] = if body.len() > 1 { b"," } else { b"" };
    body.extend_from_slice(comma);
    body.extend_from_slice(b"\"stream\":true}");
    let is_warm_up = generate.and_then(Json::truth) == Some(false);
    ClientFrame { stream_id, asked: Ok(Create { body: body.into(), is_warm_up }) }
}

/// The message for an event of the stream; `None` for a mark that is no event. An error gets the status that it would have
/// had as an answer.
#[must_use]
pub fn event_frame(data: &[u8], stream_id: Option<&str>) -> Option<String> {
    let event = Json::new(data).filter(Json::is_object)?;
    if event.field("type").is_some_and(|kind| kind.says("error")) {
        let error = upstream_error(StatusCode::OK, &HeaderMap::new(), data)?;
        let (status, kind, code) = meant(Meaning::of(None, &error, false));
        let told = json!({
            "type": kind, "code": error.code.as_deref().or(code), "message": error.message, "param": null,
        });
        return Some(told_error(status, &told, &HeaderMap::new(), stream_id));
    }
    let text = String::from_utf8_lossy(event.bytes());
    Some(match stream_id {
        None => text.into_owned(),
        Some(lane) => {
            let comma = if event.members().next().is_some() { "," } else { "" };
            format!("{{\"stream_id\":{}{comma}{}", Value::from(lane), &text[1..])
        }
    })
}

/// The message for an answer that is an error: its status, and the error as its body has it.
#[must_use]
pub fn error_frame(status: StatusCode, headers: &HeaderMap, body: &[u8], stream_id: Option<&str>) -> String {
    let own = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|mut body| body.get_mut("error").map(Value::take));
    let own = own.filter(Value::is_object);
    let error = own.unwrap_or_else(|| {
        let error = upstream_error(status, &HeaderMap::new(), body);
        let (kind, code, message) =
            error.map_or_else(Default::default, |error| (error.kind, error.code, error.message));
        json!({"type": kind, "code": code, "message": message, "param": null})
    });
    told_error(status, &error, headers, stream_id)
}

fn told_error(status: StatusCode, error: &Value, headers: &HeaderMap, stream_id: Option<&str>) -> String {
    let mut event = json!({"type": "error", "status": status.as_u16(), "error": error});
    let is_told = |name: &str| TOLD_HEADERS.iter().any(|told| name.starts_with(told));
    let told: Map<String, Value> = headers
        .iter()
        .filter(|(name, _)| is_told(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), Value::from(value.to_str().ok()?))))
        .collect();
    if !told.is_empty() {
        event["headers"] = Value::Object(told);
    }
    if let Some(lane) = stream_id {
        event["stream_id"] = Value::from(lane);
    }
    event.to_string()
}

/// The two messages that answer a request with `generate: false`: a response that begins and is over, without output.
/// `created` is in seconds since 1970.
#[must_use]
pub fn warm_up(body: &[u8], id: &str, created: u64, stream_id: Option<&str>) -> [String; 2] {
    let asked = Json::new(body);
    let mut response = json!({
        "id": id, "object": "response", "created_at": created, "error": null, "incomplete_details": null, "output": [],
    });
    for (name, default) in ECHOED {
        let value =
            asked.and_then(|asked| asked.field(name)).map_or(default.as_bytes(), |value| value.bytes());
        response[name] = serde_json::from_slice(value).unwrap_or_default();
    }
    let event = |place: usize, (kind, status): (&str, &str)| {
        let mut response = response.clone();
        response["status"] = Value::from(status);
        if status == "completed" {
            response["usage"] = json!({
                "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
            });
        }
        let mut event = json!({"type": kind, "sequence_number": place, "response": response});
        if let Some(lane) = stream_id {
            event["stream_id"] = Value::from(lane);
        }
        event.to_string()
    };
    [event(0, ("response.created", "in_progress")), event(1, ("response.completed", "completed"))]
}
