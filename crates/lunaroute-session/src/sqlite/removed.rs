//! Requests that were removed and are still in the journal: their ids are kept for as long as it holds them.
//!
//! The journal is read again after a crash and when a database is made anew. What was removed on purpose would come back
//! from it.

use std::path::{Path, PathBuf};

use lunaroute_core::RequestId;
use lunaroute_storage::journal::oldest_segment;
use rusqlite::{Connection, OpenFlags};

use super::failure::StepError;
use super::state::WRITER;

/// Remembers the requests of the session, which are about to be removed.
pub(crate) fn remember(connection: &Connection, session: i64) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO removed_requests (id, segment) SELECT id, coalesce( \
               (SELECT read_segment FROM projector_state WHERE writer = ?2), 0) FROM requests WHERE session = ?1";
    connection.prepare_cached(sql)?.execute((session, WRITER)).map(drop)
}

/// Whether the request was removed not long ago.
pub(crate) fn is_removed(connection: &Connection, request: RequestId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM removed_requests WHERE id = ?1)";
    connection.prepare_cached(sql)?.query_row([request.to_string()], |row| row.get(0))
}

/// Forgets the requests that the journal in this directory does not hold any more.
pub(crate) fn forget(connection: &Connection, journal: &Path) -> Result<(), StepError> {
    let oldest = match oldest_segment(journal) {
        Ok(Some(oldest)) => i64::try_from(oldest).unwrap_or(i64::MAX),
        // There is none, or none yet.
        Ok(None) => return Ok(()),
        Err(failure) => {
            tracing::warn!(%failure, "it is not known what the journal still holds of removed sessions");
            return Ok(());
        }
    };
    connection.prepare_cached("DELETE FROM removed_requests WHERE segment < ?1")?.execute([oldest])?;
    Ok(())
}

/// Takes over what the database that was set aside remembers, as far as it can be read.
pub(crate) fn take_over(connection: &Connection, aside: &Path) {
    if let Err(failure) = try_take_over(connection, aside) {
        tracing::warn!(
            %failure,
            "the damaged database does not tell which sessions were removed; those that the journal still holds come back"
        );
    }
}

fn try_take_over(connection: &Connection, aside: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let former = Connection::open_with_flags(address(aside), flags)?;
    let mut statement = former.prepare("SELECT id, segment FROM removed_requests")?;
    let mut rows = statement.query([])?;
    let mut insert =
        connection.prepare("INSERT OR REPLACE INTO removed_requests (id, segment) VALUES (?1, ?2)")?;
    while let Some(row) = rows.next()? {
        insert.execute((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))?;
    }
    Ok(())
}

/// The database as a URI. Without a log it is said not to change, so that SQLite makes no files beside it.
fn address(aside: &Path) -> String {
    let path = aside.display().to_string();
    let log = PathBuf::from(format!("{path}-wal"));
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}{}", if log.exists() { "" } else { "?immutable=1" })
}
