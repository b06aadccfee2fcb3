//! Requests: each with all that hangs on it as it was written, and in exactly one state.

use std::fmt::Write;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::database::each_row;
use super::report::{Check, Report};
use crate::sqlite::{Fields, REQUESTS, request_digest};

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
        answer(place, fields, check);
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

/// The answer's body is the one whose hash was taken while it flowed.
fn answer(place: &str, fields: &Fields, check: &mut Check) {
    let loss_is_told = value(fields, "gap_cause") != &Value::Null;
    match (value(fields, "response_blob"), value(fields, "response_bytes")) {
        (Value::Blob(blob), _) => {
            let mut kept = String::with_capacity(64);
            for byte in blob {
                // Writing to a String cannot fail.
                let _ = write!(kept, "{byte:02x}");
            }
            let flowed = word(fields, "response_blake3");
            if kept != flowed && !loss_is_told {
                check.problem(place, "its answer is not the one that flowed", flowed, kept);
            }
        }
        (_, Value::Integer(bytes)) if *bytes > 0 && !loss_is_told => {
            check.problem(
                place,
                "its answer is missing and no loss is told",
                format!("{bytes} bytes"),
                "none",
            );
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
