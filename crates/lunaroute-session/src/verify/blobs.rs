//! Stretches of bytes: each with its hash, each owned by one session and held by those whose bodies name it.

use rusqlite::Connection;

use super::report::Report;
use crate::sqlite::{Recipe, read_blob};

/// Every blob gives the bytes whose hash it has.
pub(super) fn contents(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("blobs");
    let mut statement = connection.prepare("SELECT id, hash, key FROM blobs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.checked += 1;
        let id: i64 = row.get(0)?;
        let hash: [u8; 32] = row.get(1)?;
        let key: Option<i64> = row.get(2)?;
        let place = format!("blobs {id}");
        match read_blob(connection, id) {
            Ok(content) => {
                let found = blake3::hash(&content);
                let expected = blake3::Hash::from_bytes(hash);
                check.same(&place, "its content has another hash", &expected.to_hex(), &found.to_hex());
            }
            Err(error) => check.problem(&place, "it cannot be given back", "its content", error),
        }
        let begins = hash.first_chunk().map(|first| i64::from_le_bytes(*first));
        if key.is_some() && key != begins {
            check.problem(
                &place,
                "its key is not that of its hash",
                format!("{begins:?}"),
                format!("{key:?}"),
            );
        }
    }
    Ok(())
}

/// Every blob is named by the session that owns it and by those that hold it, and by no other; every name has its blob.
/// The names are kept in a temporary table, which SQLite moves to a file when it is large.
pub(super) fn references(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE named (blob INTEGER NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (blob, session)) \
         WITHOUT ROWID",
    )?;
    connection.execute_batch(
        "INSERT OR IGNORE INTO named \
         SELECT q.blob, s.number FROM ( \
           SELECT content AS blob, session_id FROM requests UNION ALL SELECT answer, session_id FROM requests \
           UNION ALL SELECT provider_head, session_id FROM requests \
           UNION ALL SELECT provider_answer, session_id FROM requests \
           UNION ALL SELECT a.value ->> 11, r.session_id FROM requests r, json_each(r.attempt_list) a \
           UNION ALL SELECT arguments, session_id FROM tool_calls \
         ) q JOIN sessions s ON s.id = q.session_id WHERE q.blob IS NOT NULL",
    )?;
    name_parts(connection)?;
    let check = report.check("references");
    let mut statement = connection.prepare(
        "SELECT n.blob, n.session, b.session IS n.session OR h.session IS NOT NULL, b.id IS NULL \
         FROM named n LEFT JOIN blobs b ON b.id = n.blob \
         LEFT JOIN blob_holders h ON h.blob = n.blob AND h.session = n.session",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.checked += 1;
        let place = format!("blobs {}", row.get::<_, i64>(0)?);
        let session: i64 = row.get(1)?;
        if row.get(3)? {
            check.problem(place, "it is named and not there", "the blob", "nothing");
        } else if !row.get::<_, bool>(2)? {
            check.problem(place, "a session names it and does not hold it", session, "no holder");
        }
    }
    unnamed(connection, report)
}

/// Names what the recipes of the requests name.
fn name_parts(connection: &Connection) -> rusqlite::Result<()> {
    let mut recipes = connection.prepare(
        "SELECT s.number, q.recipe FROM ( \
           SELECT session_id, body AS recipe FROM requests UNION ALL SELECT session_id, decoded FROM requests \
           UNION ALL SELECT session_id, provider_body FROM requests \
         ) q JOIN sessions s ON s.id = q.session_id WHERE q.recipe IS NOT NULL",
    )?;
    let mut name = connection.prepare("INSERT OR IGNORE INTO named VALUES (?1, ?2)")?;
    let mut rows = recipes.query([])?;
    while let Some(row) = rows.next()? {
        let session: i64 = row.get(0)?;
        let recipe: Vec<u8> = row.get(1)?;
        // A recipe that is none is told where requests are checked.
        let Some(recipe) = Recipe::decode(&recipe) else { continue };
        for blob in recipe.blobs() {
            name.execute((blob, session))?;
        }
    }
    Ok(())
}

/// Whatever is owned or held is named. What is about to be removed is no problem.
fn unnamed(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("references");
    for (what, sql) in [
        (
            "its session does not name it",
            "SELECT b.id, b.session FROM blobs b WHERE NOT EXISTS ( \
               SELECT 1 FROM named n WHERE n.blob = b.id AND n.session = b.session) AND NOT EXISTS ( \
               SELECT 1 FROM released_blobs r WHERE r.blob = b.id AND r.session = b.session)",
        ),
        (
            "a session holds it and does not name it",
            "SELECT h.blob, h.session FROM blob_holders h WHERE NOT EXISTS ( \
               SELECT 1 FROM named n WHERE n.blob = h.blob AND n.session = h.session) AND NOT EXISTS ( \
               SELECT 1 FROM released_blobs r WHERE r.blob = h.blob AND r.session = h.session)",
        ),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (blob, session): (i64, i64) = (row.get(0)?, row.get(1)?);
            check.problem(format!("blobs {blob}"), what, format!("a request of session {session}"), "none");
        }
    }
    Ok(())
}
