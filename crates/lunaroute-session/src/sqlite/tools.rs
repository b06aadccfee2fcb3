//! Tool calls, from the model's ask to the tool's result. Ask and result may come in either order and many times.

use lunaroute_core::{Timestamp, ToolResultSpan};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::blobs::BlobStore;
use super::failure::StepError;
use super::pending::{AskedTool, Pending};
use super::table::{Fields, TOOL_CALLS, word};
use crate::event::Body;

/// What changed among a session's tool calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ToolChange {
    /// Calls that were not known before.
    pub(crate) added: i64,
    /// Results whose call was not known.
    pub(crate) out_of_order: u64,
}

/// What is in the database of a call.
struct Known {
    request: Option<String>,
    started_at: Option<i64>,
    /// When its result came, and with which request.
    completed: Option<(i64, String)>,
}

fn known(connection: &Connection, session: &str, id: &str) -> Result<Option<Known>, StepError> {
    let mut statement = connection.prepare_cached(
        "SELECT request_id, started_at, completed_at, result_request_id FROM tool_calls WHERE session_id = ?1 AND id = ?2",
    )?;
    let known = statement
        .query_row((session, id), |row| {
            let completed = row.get::<_, Option<i64>>(2)?.zip(row.get(3)?);
            Ok(Known { request: row.get(0)?, started_at: row.get(1)?, completed })
        })
        .optional()?;
    Ok(known)
}

/// Takes the calls that an answer asks for.
pub(crate) fn ask(
    connection: &Connection,
    store: &mut BlobStore,
    pending: &Pending,
) -> Result<ToolChange, StepError> {
    let mut change = ToolChange::default();
    let session = pending.session.as_str();
    let request = pending.request.to_string();
    for tool in &pending.tools {
        match known(connection, session, &tool.id)? {
            // A stub that a result made: the call's own half is still missing.
            Some(stub) if stub.request.is_none() => {
                let arguments = Arguments::hold(connection, store, tool)?;
                fill_stub(connection, session, &request, tool, &arguments, &stub)?;
            }
            // A provider that uses an id again (some count calls per answer): the second call keeps a row of its own.
            Some(_) => {
                let id = format!("{}@{request}", tool.id);
                if known(connection, session, &id)?.is_none() {
                    let arguments = Arguments::hold(connection, store, tool)?;
                    insert_asked(connection, session, &request, &id, tool, &arguments)?;
                    change.added += 1;
                }
            }
            None => {
                let arguments = Arguments::hold(connection, store, tool)?;
                insert_asked(connection, session, &request, &tool.id, tool, &arguments)?;
                change.added += 1;
            }
        }
    }
    Ok(change)
}

/// Where a call's arguments are, and their hash.
struct Arguments {
    blob: Value,
    hash: Value,
}

impl Arguments {
    fn hold(connection: &Connection, store: &mut BlobStore, tool: &AskedTool) -> Result<Self, StepError> {
        let raw = tool.arguments.as_bytes();
        if raw.is_empty() {
            return Ok(Self { blob: Value::Null, hash: Value::Null });
        }
        let blob = Value::Integer(store.hold(connection, raw)?);
        Ok(Self { blob, hash: Value::Blob(blake3::hash(raw).as_bytes().to_vec()) })
    }
}

fn insert_asked(
    connection: &Connection,
    session: &str,
    request: &str,
    id: &str,
    tool: &AskedTool,
    arguments: &Arguments,
) -> Result<(), StepError> {
    let row = vec![
        ("session_id", word(Some(session))),
        ("id", word(Some(id))),
        ("request_id", word(Some(request))),
        ("name", word(Some(&tool.name))),
        ("started_at", Value::Integer(tool.at.as_millis())),
        ("completed_at", Value::Null),
        ("status", word(Some("running"))),
        ("success", Value::Null),
        ("duration_ms", Value::Null),
        ("arguments", arguments.blob.clone()),
        ("arguments_blake3", arguments.hash.clone()),
        ("result_request_id", Value::Null),
        ("result_offset", Value::Null),
        ("result_bytes", Value::Null),
        ("result_blake3", Value::Null),
    ];
    TOOL_CALLS.put_sealed(connection, &row)
}

/// Gives a stub the half that the call itself knows; its completion stays.
fn fill_stub(
    connection: &Connection,
    session: &str,
    request: &str,
    tool: &AskedTool,
    arguments: &Arguments,
    stub: &Known,
) -> Result<(), StepError> {
    let started_at = tool.at.as_millis();
    rewrite(connection, session, &tool.id, |column, value| match column {
        "request_id" => *value = word(Some(request)),
        "name" => *value = word(Some(&tool.name)),
        "started_at" => *value = Value::Integer(started_at),
        "duration_ms" => *value = duration(Some(started_at), stub.completed.as_ref().map(|(at, _)| *at)),
        "arguments" => *value = arguments.blob.clone(),
        "arguments_blake3" => *value = arguments.hash.clone(),
        _ => {}
    })
}

/// Takes the results that a request brings back; `body` is the decoded body that the spans speak of. A history that is
/// sent again counts once: the result of the request that began first stays. `known` is how many bytes at the start and the
/// end of the body are those of an earlier request of the session, whose results were taken then.
pub(crate) fn bring_back(
    connection: &Connection,
    pending: &Pending,
    body: &Body,
    results: &[ToolResultSpan],
    (prefix, suffix): (usize, usize),
) -> Result<ToolChange, StepError> {
    let mut change = ToolChange::default();
    let session = pending.session.as_str();
    let request = pending.request.to_string();
    for result in results {
        if result.range.end <= prefix || result.range.start >= body.len().saturating_sub(suffix) {
            continue;
        }
        let Some(content) = body.part(result.range.clone()) else { continue };
        let known = known(connection, session, &result.call_id)?;
        let came = (pending.first_at.as_millis(), &request);
        let completed = known.as_ref().and_then(|known| known.completed.as_ref());
        if completed.is_some_and(|(at, by)| (*at, by) <= came) {
            continue;
        }
        if known.is_none() {
            change.added += 1;
            change.out_of_order += 1;
            TOOL_CALLS.put_sealed(connection, &stub(session, &result.call_id))?;
        }
        let started_at = known.and_then(|known| known.started_at);
        complete(connection, session, &request, pending.first_at, result, &content, started_at)?;
    }
    Ok(change)
}

fn complete(
    connection: &Connection,
    session: &str,
    request: &str,
    at: Timestamp,
    result: &ToolResultSpan,
    content: &[u8],
    started_at: Option<i64>,
) -> Result<(), StepError> {
    let failed = result.is_error == Some(true);
    let size = |bytes: usize| Value::Integer(i64::try_from(bytes).unwrap_or(i64::MAX));
    rewrite(connection, session, &result.call_id, |column, value| match column {
        "completed_at" => *value = Value::Integer(at.as_millis()),
        "status" => *value = word(Some(if failed { "error" } else { "completed" })),
        "success" => *value = result.is_error.map(|is_error| !is_error).into(),
        "duration_ms" => *value = duration(started_at, Some(at.as_millis())),
        "result_request_id" => *value = word(Some(request)),
        "result_offset" => *value = size(result.range.start),
        "result_bytes" => *value = size(content.len()),
        "result_blake3" => *value = Value::Blob(blake3::hash(content).as_bytes().to_vec()),
        _ => {}
    })
}

/// A call of which nothing is known but its id.
fn stub(session: &str, id: &str) -> Fields {
    TOOL_CALLS
        .columns
        .iter()
        .map(|column| {
            let value = match *column {
                "session_id" => word(Some(session)),
                "id" => word(Some(id)),
                "status" => word(Some("running")),
                _ => Value::Null,
            };
            (*column, value)
        })
        .collect()
}

/// Changes columns of a call that is there, and seals its row again.
fn rewrite(
    connection: &Connection,
    session: &str,
    id: &str,
    change: impl Fn(&str, &mut Value),
) -> Result<(), StepError> {
    let sql =
        format!("SELECT {} FROM tool_calls WHERE session_id = ?1 AND id = ?2", TOOL_CALLS.select_list());
    let mut row = connection.prepare_cached(&sql)?.query_row((session, id), |row| TOOL_CALLS.fields(row))?;
    row.iter_mut().for_each(|(column, value)| change(column, value));
    TOOL_CALLS.put_sealed(connection, &row)
}

/// Milliseconds from ask to result; a negative duration is no duration.
fn duration(started_at: Option<i64>, completed_at: Option<i64>) -> Value {
    match (started_at, completed_at) {
        (Some(start), Some(end)) if end >= start => Value::Integer(end - start),
        _ => Value::Null,
    }
}
