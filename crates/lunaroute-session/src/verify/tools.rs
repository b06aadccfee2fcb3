//! Tool calls: the arguments and the result are the bytes whose hashes the row has.

use rusqlite::{Connection, Row};

use super::report::Report;
use crate::sqlite::{StoredBytes, read_blob};

/// What a row says of its bytes.
struct Call {
    place: String,
    arguments: Option<i64>,
    arguments_blake3: Option<Vec<u8>>,
    result_request: Option<String>,
    result: (Option<usize>, Option<usize>),
    result_blake3: Option<Vec<u8>>,
}

fn call(row: &Row<'_>) -> rusqlite::Result<Call> {
    let size = |column: usize| -> rusqlite::Result<Option<usize>> {
        Ok(row.get::<_, Option<i64>>(column)?.and_then(|size| usize::try_from(size).ok()))
    };
    Ok(Call {
        place: format!("tool_calls {} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?),
        arguments: row.get(2)?,
        arguments_blake3: row.get(3)?,
        result_request: row.get(4)?,
        result: (size(5)?, size(6)?),
        result_blake3: row.get(7)?,
    })
}

pub(super) fn check(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("tool_calls");
    let mut statement = connection.prepare(
        "SELECT session_id, id, arguments, arguments_blake3, result_request_id, result_offset, result_bytes, \
         result_blake3 FROM tool_calls ORDER BY result_request_id",
    )?;
    let mut rows = statement.query([])?;
    // Many results come with one request: its body is made once.
    let mut body: (String, Option<Vec<u8>>) = Default::default();
    while let Some(row) = rows.next()? {
        let call = call(row)?;
        if let Some(arguments) = call.arguments {
            match read_blob(connection, arguments) {
                Ok(bytes) => {
                    let found = Some(blake3::hash(&bytes).as_bytes().to_vec());
                    check.same(
                        &call.place,
                        "its arguments have another hash",
                        &call.arguments_blake3,
                        &found,
                    );
                }
                Err(error) => check.problem(&call.place, "its arguments are not there", "bytes", error),
            }
        }
        let Some(request) = &call.result_request else { continue };
        if body.0 != *request {
            // What is wrong with the request itself is told where requests are checked.
            let stored = StoredBytes::load(connection, request).ok().flatten();
            let stored = stored.filter(|stored| !stored.are_removed);
            let readable = stored.and_then(|stored| stored.readable(connection).ok());
            body = (request.clone(), readable.map(|(body, _)| body));
        }
        let (Some(bytes), (Some(offset), Some(length))) = (&body.1, call.result) else { continue };
        let result = offset.checked_add(length).and_then(|end| bytes.get(offset..end));
        let found = result.map(|result| blake3::hash(result).as_bytes().to_vec());
        check.same(&call.place, "its result has another hash", &call.result_blake3, &found);
    }
    Ok(())
}
