//! Opening a database: for the one writer, and for readers beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lunaroute_storage::parent_of;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::heal::History;
use super::migrate::{self, MigrationError};
use super::retention::Retention;

/// Statements that the writer keeps prepared; it has about thirty.
const PREPARED_STATEMENTS: usize = 64;

/// Where the database is and what its writer may hold in memory.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The file. It and its directory are created when missing, readable by this user alone.
    pub path: PathBuf,
    /// How long a statement waits for another process's lock.
    pub busy_timeout: Duration,
    /// Of an answer's body beyond this many bytes the first MiB and the hash are kept.
    pub response_limit: usize,
    /// All answers that are still open may hold this many bytes together in memory, where one holds about 2 MiB and the rest
    /// in a file; beyond it, of those that grow no more than the first MiB and the hash are kept.
    pub open_limit: usize,
    /// A request that is open for this long gets a row as running; a shorter one is written once, when it is over.
    pub show_running_after: Duration,
    /// How often the database is looked through for damage; less often when a look takes long.
    pub check_every: Duration,
    /// What was recorded before, for a database that begins anew.
    pub history: Option<History>,
    /// The journal's directory: what was removed is remembered for as long as it is in there.
    pub journal_directory: PathBuf,
    /// When old sessions go; `None` keeps everything.
    pub retention: Option<Retention>,
}

impl SqliteConfig {
    /// The usual figures: 5 s for locks, 64 MiB for one answer, 256 MiB for all that are open, running requests after 1 s, a
    /// look for damage every 30 s, the journal in `journal` beside the database, no history, and nothing ever removed.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            journal_directory: path.with_file_name("journal"),
            path,
            busy_timeout: Duration::from_secs(5),
            response_limit: 64 << 20,
            open_limit: 256 << 20,
            show_running_after: Duration::from_secs(1),
            check_every: Duration::from_secs(30),
            history: None,
            retention: None,
        }
    }

    /// Where the database is.
    pub(crate) fn directory(&self) -> &Path {
        parent_of(&self.path)
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, and it is not made for a reader.
    #[error("there is no database at {}; it is made when the gateway records for the first time", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A reader found a schema that the gateway has not brought up to date yet.
    #[error(
        "{} has schema {found}, older than this build's {known}: start the gateway once, it brings the schema up to date",
        path.display()
    )]
    Older {
        /// The path.
        path: PathBuf,
        /// The database's version.
        found: u32,
        /// This build's version.
        known: usize,
    },
    /// The file or its directory could not be made or read.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged or no database.
    #[error(
        "{} is damaged or no SQLite database ({source}); move it and its -wal and -shm files away and start again: it is \
         rebuilt from what the journal still holds, or go on without it by recording.sqlite: false",
        path.display()
    )]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The schema is not one that this build may write to.
    #[error("{}: {source}", path.display())]
    Schema {
        /// The path.
        path: PathBuf,
        /// Why.
        source: MigrationError,
    },
    /// Another error of SQLite.
    #[error("cannot open {}: {source}", path.display())]
    Sqlite {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// The version of the SQLite that is built in.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// A database that is open for writing, at this build's schema.
pub struct Database {
    pub(crate) connection: Connection,
    pub(crate) data_version: DataVersion,
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Database {
    /// Opens the database, creating and migrating it as needed. A database that is newer, altered, damaged or not ours is
    /// refused before anything is written to it.
    ///
    /// # Errors
    /// [`OpenError`] says which and what to do.
    pub fn open(config: &SqliteConfig) -> Result<Self, OpenError> {
        let path = config.path.clone();
        create_private(&path).map_err(|source| OpenError::File { path: path.clone(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = connect(&path, flags, config.busy_timeout)?;
        let schema = |source| schema_error(&path, source);
        migrate::examine(&connection).map_err(schema)?;
        // Foreign keys are declared and checked by `verify`, not while writing: as long as one is open, each row that is
        // written makes SQLite look through whole tables for the rows that may name it. FULL: a checkpoint must not
        // outlive its rows, because the journal before it is deleted. 4,000 pages: one that is written often goes into
        // the file once in 16 MiB of log.
        connection
            .execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; \
                 PRAGMA cache_size = -4096;",
            )
            .map_err(|source| sqlite_error(&path, source))?;
        migrate::migrate(&mut connection).map_err(schema)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        let identity = identity(&path);
        Ok(Self { connection, data_version: DataVersion::default(), path, identity })
    }

    /// Whether the path still names the file that was opened. Writing to a file that was removed succeeds and keeps
    /// nothing.
    pub(crate) fn is_in_place(&self) -> bool {
        identity(&self.path) == self.identity
    }
}

/// Tells when somebody else has written to the database.
#[derive(Default)]
pub(crate) struct DataVersion(Option<i64>);

impl DataVersion {
    /// Whether another connection has committed since the last time.
    pub(crate) fn changed(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let before = self.0.replace(version);
        Ok(before != Some(version))
    }
}

/// Opens an existing database for reading, beside its writer.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags, Duration::from_secs(5))?;
    let version = migrate::examine(&connection).map_err(|source| schema_error(path, source))?;
    let known = migrate::MIGRATIONS.len();
    if version as usize != known {
        return Err(OpenError::Older { path: path.to_owned(), found: version, known });
    }
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags).map_err(|source| sqlite_error(path, source))?;
    connection.busy_timeout(busy_timeout).map_err(|source| sqlite_error(path, source))?;
    Ok(connection)
}

fn sqlite_error(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, source },
        _ => OpenError::Sqlite { path, source },
    }
}

fn schema_error(path: &Path, source: MigrationError) -> OpenError {
    match source {
        MigrationError::Unreadable { source } => sqlite_error(path, source),
        source => OpenError::Schema { path: path.to_owned(), source },
    }
}

/// Makes the file for this user alone; SQLite gives its companions the same rights.
fn create_private(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(parent_of(path))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.exists().then_some((0, 0))
}
