//! Sessions as lines of JSON: one line per session, then one per request with its bodies.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{QueryError, SessionQuery};
use lunaroute_core::RequestId;

/// Requests that are read at a time.
const CHUNK: usize = 100;

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The record could not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lines could not be written.
    #[error("the export could not be written: {source}")]
    Write {
        /// What the system said.
        #[from]
        source: std::io::Error,
    },
}

/// Writes sessions, each with all its requests and their bodies, as lines of JSON. A body is text under `..._body` when
/// it is UTF-8, else base64 under `..._body_base64`; one that was not kept is `null`, and its hash is in the line.
///
/// # Errors
/// [`ExportError`] when a session is not there, the record cannot be read or `output` cannot be written to.
pub fn export(query: &dyn SessionQuery, names: &[String], output: &mut dyn Write) -> Result<(), ExportError> {
    for name in names {
        let mut detail = query.session_detail(name)?;
        let id = detail.session.id.clone();
        detail.request_list.clear();
        line(output, "session", &detail.session)?;
        for tool in &detail.tool_call_list {
            line(output, "tool_call", tool)?;
        }
        let mut after = None;
        loop {
            let requests = query.requests_of(&id, after, CHUNK)?;
            let Some(last) = requests.last() else { break };
            after = Some(last.id);
            for request in &requests {
                request_line(query, request.id, output)?;
            }
        }
    }
    Ok(())
}

fn request_line(query: &dyn SessionQuery, id: RequestId, output: &mut dyn Write) -> Result<(), ExportError> {
    let mut value = serde_json::to_value(query.request(id)?).map_err(std::io::Error::from)?;
    let kept = |body: Result<Vec<u8>, QueryError>| match body {
        Err(QueryError::NotKept { .. }) => Ok(None),
        other => other.map(Some),
    };
    let mut bodies = vec![
        ("request_body", kept(query.request_body(id))?),
        ("response_body", kept(query.response_body(id))?),
    ];
    if !value["provider_dialect"].is_null() {
        bodies.push(("provider_request_body", kept(query.provider_request_body(id))?));
        bodies.push(("provider_response_body", kept(query.provider_response_body(id))?));
    }
    for (key, body) in bodies {
        let (key, body) = match body.map(String::from_utf8) {
            None => (key.to_owned(), Value::Null),
            Some(Ok(text)) => (key.to_owned(), Value::String(text)),
            Some(Err(error)) => {
                (format!("{key}_base64"), Value::String(BASE64_STANDARD.encode(error.as_bytes())))
            }
        };
        value[key] = body;
    }
    line(output, "request", &value)
}

fn line(output: &mut dyn Write, kind: &str, content: &impl serde::Serialize) -> Result<(), ExportError> {
    let line = json!({ "type": kind, kind: content });
    serde_json::to_writer(&mut *output, &line).map_err(std::io::Error::from)?;
    output.write_all(b"\n")?;
    Ok(())
}
