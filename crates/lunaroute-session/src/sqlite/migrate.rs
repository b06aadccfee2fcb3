//! Numbered migrations: each one transaction with its checksum, applied once, never altered.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use lunaroute_core::Timestamp;

/// Marks a database file as one of ours, in its header (`LUNA`).
const APPLICATION_ID: i64 = 0x4C55_4E41;

/// One step of the schema.
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        [$(Migration { name: $name, sql: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")) }),*]
    };
}

/// Every migration; its version is its place, counted from 1.
pub(crate) const MIGRATIONS: [Migration; 4] =
    migrations!["0001_record", "0002_translation", "0003_removed", "0004_small_bodies"];

/// Why a database's schema cannot be used. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer program migrated it.
    #[error(
        "database schema {found} is newer than this build's {known}: start a newer lunaroute, or go on without the \
         database by recording.sqlite: false (journal-only); nothing was changed"
    )]
    Newer {
        /// The database's version.
        found: u32,
        /// The highest version that this build knows.
        known: u32,
    },
    /// A migration that was applied is not the one of this build.
    #[error(
        "migration {version} ('{name}') of the database is not the one of this build: the database was made by \
         another build; move the file and its -wal and -shm files away and start again: a new one is filled from the \
         JSON Lines files and the journal (or go on without it by recording.sqlite: false); nothing was changed"
    )]
    Altered {
        /// The migration's number.
        version: u32,
        /// Its name in the database.
        name: String,
    },
    /// The file is a database of another program.
    #[error("the file is a SQLite database of another program; choose another path; nothing was changed")]
    Foreign,
    /// A migration failed and was rolled back.
    #[error("migration {version} ('{name}') failed and was rolled back: {source}")]
    Failed {
        /// The migration's number.
        version: u32,
        /// Its name.
        name: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The schema could not be read.
    #[error("the schema could not be read: {source}")]
    Unreadable {
        /// What SQLite said.
        #[from]
        source: rusqlite::Error,
    },
}

/// The checksum of a migration: BLAKE3 of its file, in hex.
pub(crate) fn checksum(sql: &str) -> String {
    blake3::hash(sql.as_bytes()).to_hex().to_string()
}

/// The version of the database, 0 when it is empty. Reads only.
pub(crate) fn examine(connection: &Connection) -> Result<u32, MigrationError> {
    let application_id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 && application_id == 0 {
        return Ok(0);
    }
    let ours: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if application_id != APPLICATION_ID || ours.is_none() {
        return Err(MigrationError::Foreign);
    }
    let mut statement =
        connection.prepare("SELECT version, name, checksum FROM schema_version ORDER BY version")?;
    let applied = statement
        .query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let known = u32::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    for (place, migration) in (1_u32..).zip(&MIGRATIONS) {
        match applied.get(place as usize - 1) {
            Some((version, name, applied_checksum)) => {
                let is_same = *version == place
                    && name == migration.name
                    && *applied_checksum == checksum(migration.sql);
                if !is_same {
                    return Err(MigrationError::Altered { version: *version, name: name.clone() });
                }
            }
            None if place == 1 => {
                return Err(MigrationError::Altered { version: 1, name: migration.name.to_owned() });
            }
            None => break,
        }
    }
    let current = applied.last().map_or(0, |(version, ..)| *version);
    if current > known {
        return Err(MigrationError::Newer { found: current, known });
    }
    Ok(current)
}

/// Brings the schema to `target` (a version, counted from 1).
pub(crate) fn migrate_to(connection: &mut Connection, target: usize) -> Result<(), MigrationError> {
    for (version, migration) in (1_u32..).zip(&MIGRATIONS[..target]) {
        let name = migration.name;
        let failed = |source| MigrationError::Failed { version, name, source };
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(failed)?;
        // Read under the write lock: another process may just have migrated.
        if examine(&transaction)? >= version {
            continue;
        }
        transaction.execute_batch(migration.sql).map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
                (version, name, checksum(migration.sql), Timestamp::now().as_millis()),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Brings the schema to this build's version.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    migrate_to(connection, MIGRATIONS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .expect("prepares");
        statement.query_map([], |row| row.get(0)).expect("queries").collect::<Result<_, _>>().expect("reads")
    }

    #[test]
    fn a_fresh_database_equals_every_older_one_migrated() {
        let mut fresh = Connection::open_in_memory().expect("opens");
        migrate(&mut fresh).expect("migrates");
        for old in 0..=MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().expect("opens");
            migrate_to(&mut connection, old).expect("migrates to the older version");
            assert_eq!(examine(&connection).expect("is ours"), u32::try_from(old).expect("small"));
            let before: Vec<(u32, i64)> = versions(&connection, old);
            migrate(&mut connection).expect("migrates");
            assert_eq!(schema(&connection), schema(&fresh), "from version {old}");
            assert_eq!(
                &versions(&connection, MIGRATIONS.len())[..old],
                &before[..],
                "nothing is re-inserted"
            );
        }
    }

    fn versions(connection: &Connection, expected: usize) -> Vec<(u32, i64)> {
        if expected == 0 {
            return Vec::new();
        }
        let mut statement = connection
            .prepare("SELECT version, applied_at FROM schema_version ORDER BY 1")
            .expect("prepares");
        let rows: Vec<_> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("queries")
            .collect::<Result<_, _>>()
            .expect("reads");
        assert_eq!(rows.len(), expected);
        rows
    }
}
