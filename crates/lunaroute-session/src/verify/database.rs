//! The database by itself: its file, its schema, and the tables that need no comparison with others.

use std::path::Path;

use lunaroute_core::Timestamp;
use lunaroute_storage::journal::Position;
use rusqlite::Connection;

use super::report::Report;
use super::{blobs, requests, sessions, tools};
use crate::sqlite::{Fields, QUARANTINE, STATE, State, TOOL_CALLS, Table, conversation_id, open_read_only};

/// The database as it was at one moment.
pub(super) struct Snapshot {
    pub(super) connection: Connection,
    /// How far its writer had read the journal.
    pub(super) state: State,
}

impl Snapshot {
    /// Opens the database and holds on to this moment of it.
    pub(super) fn open(path: &Path, report: &mut Report) -> Option<Self> {
        let check = report.check("schema");
        let place = path.display().to_string();
        let opened = open_read_only(path).map_err(|error| error.to_string()).and_then(|connection| {
            // A read transaction: everything below sees the same moment.
            connection.execute_batch("BEGIN").map_err(|error| error.to_string())?;
            let state = State::load(&connection).map_err(|error| error.to_string())?;
            Ok(Self { connection, state })
        });
        match opened {
            Ok(snapshot) => {
                check.checked += 1;
                Some(snapshot)
            }
            Err(error) => {
                check.finish(&place, Err(error));
                None
            }
        }
    }
}

/// One check of the database.
type Step = fn(&Connection, &mut Report) -> rusqlite::Result<()>;

/// Every check that needs nothing but the database.
pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let connection = &snapshot.connection;
    let steps: [(&'static str, Step); 9] = [
        ("integrity", integrity),
        ("blobs", blobs::contents),
        ("references", blobs::references),
        ("requests", requests::check),
        ("sessions", sessions::check),
        ("conversations", conversations),
        ("tool_calls", |connection, report| {
            sealed(connection, &TOOL_CALLS, report)?;
            tools::check(connection, report)
        }),
        ("projector_state", |connection, report| sealed(connection, &STATE, report)),
        ("quarantine", quarantine),
    ];
    for (name, step) in steps {
        // So that a check with nothing to look at is in the report too.
        report.check(name);
        let result = step(connection, report);
        report.check(name).finish(name, result);
    }
    let result = days(connection, report);
    report.check("requests").finish("requests by day", result);
}

/// A checkpoint beyond the journal's end would skip what is still to be written.
pub(super) fn check_position(snapshot: &Snapshot, end: Position, report: &mut Report) {
    let check = report.check("projector_state");
    for (what, position) in
        [("checkpoint", snapshot.state.checkpoint), ("read position", snapshot.state.read)]
    {
        if position > end {
            check.problem("projector_state", format!("its {what} is beyond the journal"), end, position);
        }
    }
}

fn integrity(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("integrity");
    check.checked += 1;
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let finding: String = row.get(0)?;
        if finding != "ok" {
            check.problem("database file", "SQLite finds damage", "ok", finding);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        let rowid: Option<i64> = row.get(1)?;
        let place = rowid.map_or_else(|| table.clone(), |rowid| format!("{table} (rowid {rowid})"));
        check.problem(place, "names a row that is not there", format!("a row in {parent}"), "none");
    }
    Ok(())
}

/// Calls `look` with every row of a table that carries a digest: its key, its columns and the digest.
pub(super) fn each_row(
    connection: &Connection,
    table: &Table,
    mut look: impl FnMut(&str, &Fields, Option<Vec<u8>>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {}, digest, {} FROM {}", table.select_list(), key_text(table), table.name);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let digest = row.get(table.columns.len())?;
        let key: String = row.get(table.columns.len() + 1)?;
        look(&format!("{} {key}", table.name), &table.fields(row)?, digest)?;
    }
    Ok(())
}

/// The primary key as one text.
fn key_text(table: &Table) -> String {
    format!("'' || {}", table.key.replace(", ", " || ' ' || "))
}

/// Every row of a table whose digest covers the row alone.
fn sealed(connection: &Connection, table: &'static Table, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check(table.name);
    each_row(connection, table, |place, fields, digest| {
        check.checked += 1;
        if digest.as_deref() != Some(&table.seal(fields)[..]) {
            check.problem(place, "the row was changed by other hands", "its digest", "another content");
        }
        Ok(())
    })
}

fn quarantine(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    sealed(connection, &QUARANTINE, report)?;
    let check = report.check("quarantine");
    let mut statement = connection.prepare("SELECT writer, event_id, error FROM quarantine ORDER BY 1, 2")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (writer, event, error): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let place = format!("quarantine {writer} {event}");
        check.problem(place, "could not be brought into the tables and was put aside", "its rows", error);
    }
    Ok(())
}

fn conversations(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("conversations");
    let mut statement = connection.prepare(
        "SELECT c.id, c.tenant_id, c.platform, c.external_id, c.created_at, \
         EXISTS (SELECT 1 FROM sessions s JOIN requests r ON r.session = s.number \
                 WHERE s.conversation_id = c.id AND r.started_at = c.created_at) FROM conversations c",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.checked += 1;
        let (id, tenant, platform): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let external_id: String = row.get(3)?;
        let place = format!("conversations {id}");
        check.same(
            &place,
            "its id goes with another name",
            &conversation_id(&tenant, &platform, &external_id),
            &id,
        );
        if !row.get::<_, bool>(5)? {
            let created_at: i64 = row.get(4)?;
            check.problem(
                &place,
                "no request of it began when it did",
                "the time of its first request",
                created_at,
            );
        }
    }
    Ok(())
}

fn days(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT started_at / 86400000, count(*) FROM requests GROUP BY 1")?;
    let mut rows = statement.query([])?;
    let mut all = 0;
    while let Some(row) = rows.next()? {
        let (day, requests): (i64, i64) = (row.get(0)?, row.get(1)?);
        let requests = requests.unsigned_abs();
        let day = super::parity::day(Timestamp::from_micros(day.saturating_mul(86_400_000_000)));
        report.days.entry(day).or_default().database += requests;
        all += requests;
    }
    report.requests_in_database = Some(all);
    Ok(())
}
