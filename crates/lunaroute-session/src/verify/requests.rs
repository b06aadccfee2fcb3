//! Requests: each with all that hangs on it as it was written, and in exactly one state.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::database::each_row;
use super::report::{Check, Report};
use crate::sqlite::{Fields, REQUESTS, StoredBytes, request_digest};

pub(super) fn check(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("requests");
    each_row(connection, &REQUESTS, |place, fields, digest| {
        check.checked += 1;
        let status = word(fields, "status");
        if status == "running" {
            check.pending += 1;
            if digest.is_some() || value(fields, "ending") != &Value::Null {
                check.problem(place, "it is running and over at once", "one state", status);
            }
            return Ok(());
        }
        if digest.as_deref() != Some(&request_digest(connection, fields)?[..]) {
            let what = "the request or what hangs on it was changed by other hands";
            check.problem(place, what, "its digest", "another content");
        }
        state(place, fields, check);
        bytes(connection, place, fields, check);
        Ok(())
    })
}

/// Exactly one terminal state, and the ending that goes with it.
fn state(place: &str, fields: &Fields, check: &mut Check) {
    let (status, ending) = (word(fields, "status"), word(fields, "ending"));
    let goes = match status {
        "success" => ending == "completed",
        "error" => matches!(ending, "completed" | "upstream_error" | "gateway_error"),
        "cancelled" => ending == "cancelled",
        "interrupted" => ending == "interrupted",
        _ => false,
    };
    if !goes || value(fields, "completed_at") == &Value::Null {
        check.problem(
            place,
            "its state is no terminal state",
            "a status and the ending that goes with it",
            status,
        );
    }
}

/// The body has the length that is told, its messages lie in it, and the answer is the one whose hash was taken while it
/// flowed.
fn bytes(connection: &Connection, place: &str, fields: &Fields, check: &mut Check) {
    let stored = match StoredBytes::load(connection, word(fields, "id")) {
        Ok(Some(stored)) if !stored.are_removed => stored,
        Ok(_) => return,
        Err(error) => return check.problem(place, "its bytes cannot be given back", "its content", error),
    };
    match stored.body(connection) {
        Ok(body) => {
            let length = i64::try_from(body.len()).map_or(Value::Null, Value::Integer);
            let told = value(fields, "request_bytes");
            // One that was cut off early may have no body, and says so.
            let is_lost = value(fields, "body") == &Value::Null && value(fields, "gap_cause") != &Value::Null;
            if told != &Value::Null && !is_lost {
                check.same(place, "its body has another length", told, &length);
            }
        }
        Err(error) => check.problem(place, "its body cannot be given back", "its content", error),
    }
    if let Err(error) = stored.readable(connection) {
        check.problem(place, "its decoded body cannot be given back", "its content", error);
    }
    let provider = stored
        .provider_head(connection)
        .and_then(|_| stored.provider_body(connection))
        .and_then(|_| stored.provider_answer(connection));
    if let Err(error) = provider {
        check.problem(place, "its provider's form cannot be given back", "its content", error);
    }
    match stored.answer(connection) {
        Ok(answer) => of_answer(place, fields, answer.as_deref(), check),
        Err(error) => check.problem(place, "its answer cannot be given back", "its content", error),
    }
}

fn of_answer(place: &str, fields: &Fields, answer: Option<&[u8]>, check: &mut Check) {
    if value(fields, "gap_cause") != &Value::Null {
        return;
    }
    match (answer, value(fields, "response_bytes")) {
        (Some(answer), _) => {
            let kept = blake3::hash(answer);
            let flowed = value(fields, "response_blake3");
            if flowed != &Value::Blob(kept.as_bytes().to_vec()) {
                let flowed = format!("{flowed:?}");
                check.problem(place, "its answer is not the one that flowed", flowed, kept.to_hex());
            }
        }
        (None, Value::Integer(bytes)) if *bytes > 0 => {
            let expected = format!("{bytes} bytes");
            check.problem(place, "its answer is missing and no loss is told", expected, "none");
        }
        _ => {}
    }
}

fn value<'row>(fields: &'row Fields, column: &str) -> &'row Value {
    fields.iter().find(|(name, _)| *name == column).map_or(&Value::Null, |(_, value)| value)
}

/// Text of a column; empty when it holds none.
fn word<'row>(fields: &'row Fields, column: &str) -> &'row str {
    match value(fields, column) {
        Value::Text(word) => word,
        _ => "",
    }
}
