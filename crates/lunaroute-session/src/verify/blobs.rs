//! Content: each under the hash of its bytes, each counted as often as it is named.

use blake3::Hash;
use rusqlite::{Connection, Row};

use super::report::Report;
use crate::sqlite::{BlobHash, read_blob};

/// Every column that names a blob and is counted.
const COUNTED: [(&str, &str); 7] = [
    ("requests", "request_blob"),
    ("requests", "decoded_blob"),
    ("requests", "response_blob"),
    ("responses", "body_blob"),
    ("attempts", "provider_response_blob"),
    ("tool_calls", "arguments_blob"),
    ("tool_calls", "result_blob"),
];

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    Ok(Hash::from_bytes(row.get::<_, BlobHash>(column)?))
}

/// Every blob gives the bytes whose hash it is stored under; parts are put together for it.
pub(super) fn contents(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let check = report.check("blobs");
    let mut statement = connection.prepare("SELECT hash FROM blobs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.checked += 1;
        let hash = hash(row, 0)?;
        match read_blob(connection, hash.as_bytes()) {
            Ok(content) => check.same(
                &format!("blobs {hash}"),
                "its content has another hash",
                &hash.to_hex(),
                &blake3::hash(&content).to_hex(),
            ),
            Err(error) => {
                check.problem(format!("blobs {hash}"), "it cannot be given back", "its content", error)
            }
        }
    }
    Ok(())
}

/// Every blob is named as often as it says, and every name has its blob. The counts are kept in a temporary table, which
/// SQLite moves to a file when it is large.
pub(super) fn references(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE named (hash BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID",
    )?;
    let columns =
        COUNTED.map(|(table, column)| format!("SELECT {column} AS hash FROM {table}")).join(" UNION ALL ");
    connection.execute_batch(&format!(
        "INSERT INTO named SELECT hash, count(*) FROM ({columns}) WHERE hash IS NOT NULL GROUP BY hash"
    ))?;
    let mut parts = connection.prepare("SELECT data FROM blobs WHERE codec = 'parts'")?;
    let mut name = connection
        .prepare("INSERT INTO named VALUES (?1, 1) ON CONFLICT (hash) DO UPDATE SET times = times + 1")?;
    let mut rows = parts.query([])?;
    while let Some(row) = rows.next()? {
        let data: Vec<u8> = row.get(0)?;
        for part in data.as_chunks::<32>().0 {
            name.execute([part.as_slice()])?;
        }
    }
    let check = report.check("references");
    let mut statement = connection.prepare(
        "SELECT b.hash, b.refcount, coalesce(n.times, 0) FROM blobs b LEFT JOIN named n ON n.hash = b.hash",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.checked += 1;
        let (counted, named): (i64, i64) = (row.get(1)?, row.get(2)?);
        let place = format!("blobs {}", hash(row, 0)?);
        check.same(&place, "its count of references is wrong", &named, &counted);
    }
    let mut statement = connection.prepare(
        "SELECT n.hash FROM named n WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.hash = n.hash)",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.problem(format!("blobs {}", hash(row, 0)?), "it is named and not there", "the blob", "nothing");
    }
    Ok(())
}
