//! What is old goes: the bytes of requests first, whole sessions later, a little at a time between two batches.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_core::{SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::failure::StepError;
use super::open::{Database, OpenError, SqliteConfig};
use super::removal::{self, Removal};
use crate::jsonl::{self, JsonlError, RemovedSession};
use crate::writer::Upkeep;

/// How long the writer's batches wait for a step at most.
const STEP: Duration = Duration::from_millis(50);
/// Pause between two passes.
const PAUSE: Duration = Duration::from_secs(3_600);
/// A pass removes at most this share of all sessions, one in so many.
const SHARE: usize = 20;
/// So few sessions are no mass.
const FEW: usize = 20;
/// Free pages that are given back to the file system at a time.
const PAGES_AT_ONCE: u32 = 1_024;

const MILLIS_OF_A_DAY: i64 = 86_400_000;

/// How long what is recorded stays, counted from a session's last activity.
#[derive(Debug, Clone)]
pub struct Retention {
    /// After so many days the headers, bodies and answers of a session's requests are removed.
    pub bodies_days: u32,
    /// After so many days everything of a session is removed.
    pub rows_days: u32,
    /// What else goes with a session, such as its JSON Lines files.
    pub files: Option<SessionFiles>,
}

/// Works through what is old.
pub(crate) struct Keeper {
    retention: Option<Retention>,
    next_pass: Instant,
    due: VecDeque<(RemovedSession, Removal)>,
    /// Whether pages may be free that the file system could have back.
    has_freed: bool,
}

impl Keeper {
    pub(crate) fn new(retention: Option<Retention>) -> Self {
        Self { retention, next_pass: Instant::now(), due: VecDeque::new(), has_freed: false }
    }

    /// Whether there is something to do.
    pub(crate) fn is_due(&self) -> bool {
        self.retention.is_some()
            && (!self.due.is_empty() || self.has_freed || Instant::now() >= self.next_pass)
    }

    /// Does some of it.
    pub(crate) fn step(&mut self, connection: &Connection, upkeep: &mut Upkeep) -> Result<(), StepError> {
        let Some(retention) = &self.retention else { return Ok(()) };
        let until = Instant::now() + STEP;
        if self.due.is_empty() && Instant::now() >= self.next_pass {
            self.next_pass = Instant::now() + PAUSE;
            self.due = pass(connection, retention, Timestamp::now().as_millis())?;
        }
        while Instant::now() < until
            && let Some((session, removal)) = self.due.front_mut()
        {
            if !removal::proceed(connection, session, *removal, until)? {
                return Ok(());
            }
            if *removal == Removal::Session {
                upkeep.removed_sessions += 1;
                retention.files.iter().for_each(|files| files.remove(session));
            }
            self.has_freed = true;
            self.due.pop_front();
        }
        if self.due.is_empty() && self.has_freed {
            self.has_freed = give_pages_back(connection)?;
        }
        Ok(())
    }
}

/// Gives free pages back to the file system; tells whether there are more.
fn give_pages_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free = || connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free()?;
    connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
    let after = free()?;
    Ok(after > 0 && after < before)
}

/// What one pass removes: the oldest first, and never a large share of everything at once, because a clock may be wrong.
fn pass(
    connection: &Connection,
    retention: &Retention,
    now: i64,
) -> Result<VecDeque<(RemovedSession, Removal)>, StepError> {
    let all: i64 = connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))?;
    let all = usize::try_from(all).unwrap_or(0);
    let mut due = VecDeque::new();
    for (what, days, removal) in [
        ("sessions", retention.rows_days, Removal::Session),
        ("bodies", retention.bodies_days, Removal::Bodies),
    ] {
        let before = now.saturating_sub(i64::from(days).saturating_mul(MILLIS_OF_A_DAY));
        let old = older(connection, before, removal)?;
        if old.len() > FEW.max(all / 2) {
            tracing::error!(
                what,
                due = old.len(),
                all,
                "more than half of what is recorded is old at once; is the clock right? Nothing is removed; \
                 `lunaroute sessions prune` removes it when that is meant"
            );
            continue;
        }
        let some = old.into_iter().take(FEW.max(all / SHARE));
        due.extend(some.map(|session| (RemovedSession::new(session), removal)));
    }
    Ok(due)
}

/// The sessions without activity since `before` of which there is something to remove, the oldest first.
fn older(connection: &Connection, before: i64, removal: Removal) -> Result<Vec<SessionId>, StepError> {
    let has_bodies = "AND EXISTS (SELECT 1 FROM requests r WHERE r.session = sessions.number \
                      AND r.bodies_removed_at IS NULL)";
    let sql = format!(
        "SELECT id FROM sessions WHERE last_activity_at < ?1 AND status <> 'running' {} \
         ORDER BY last_activity_at",
        if removal == Removal::Bodies { has_bodies } else { "" }
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([before])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        // An id that is none was written by other hands; `verify` tells.
        let Ok(id) = SessionId::parse(&row.get::<_, String>(0)?) else { continue };
        due.push(id);
    }
    Ok(due)
}

/// What is called for a session that was removed.
type RemoveFiles = dyn Fn(&RemovedSession) -> io::Result<()> + Send + Sync;

/// Removes what other keepers of events have of a session.
#[derive(Clone)]
pub struct SessionFiles(Arc<RemoveFiles>);

impl SessionFiles {
    /// `remove` is called for each session that was removed from the database.
    pub fn new(remove: impl Fn(&RemovedSession) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(remove))
    }

    /// The JSON Lines files in `directory`, of all days, compressed or not, and those that a writer which is behind would
    /// still write.
    #[must_use]
    pub fn json_lines(directory: PathBuf) -> Self {
        Self::new(move |removed| {
            if !directory.exists() {
                return Ok(());
            }
            match jsonl::remove(&directory, removed) {
                Ok(_) => Ok(()),
                Err(JsonlError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(failure) => Err(io::Error::other(failure)),
            }
        })
    }

    fn remove(&self, removed: &RemovedSession) {
        if let Err(failure) = (self.0)(removed) {
            let session = &removed.session;
            tracing::warn!(%session, %failure, "files of a removed session could not be removed");
        }
    }
}

impl std::fmt::Debug for SessionFiles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionFiles")
    }
}

/// Why sessions could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The session has a request that is not over.
    #[error("session {session} has a request under way; it can be removed when that is over")]
    Running {
        /// The session.
        session: SessionId,
    },
    /// SQLite could not do it.
    #[error("a session could not be removed: {message}; what was removed already is gone, the rest is whole")]
    Database {
        /// What SQLite said.
        message: String,
    },
}

impl From<StepError> for RemovalError {
    fn from(error: StepError) -> Self {
        Self::Database { message: error.to_string() }
    }
}

impl From<rusqlite::Error> for RemovalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database { message: error.to_string() }
    }
}

/// Removes sessions on somebody's word, beside a gateway that may be writing.
pub struct Remover {
    database: Database,
    files: Option<SessionFiles>,
}

impl Remover {
    /// Opens the database of `config`; what `files` removes goes with each session.
    ///
    /// # Errors
    /// [`OpenError`] when there is no database, or none that may be written to.
    pub fn open(config: &SqliteConfig, files: Option<SessionFiles>) -> Result<Self, OpenError> {
        if !config.path.exists() {
            return Err(OpenError::Missing { path: config.path.clone() });
        }
        Ok(Self { database: Database::open(config)?, files })
    }

    /// The sessions without activity since `before`, the oldest first; those with a request under way are not among them.
    ///
    /// # Errors
    /// [`RemovalError::Database`].
    pub fn sessions_before(&self, before: Timestamp) -> Result<Vec<SessionId>, RemovalError> {
        Ok(older(&self.database.connection, before.as_millis(), Removal::Session)?)
    }

    /// Removes a session and everything that only it uses; tells whether it was there.
    ///
    /// # Errors
    /// [`RemovalError::Running`] when it has a request under way, or [`RemovalError::Database`].
    pub fn remove(&self, session: &SessionId) -> Result<bool, RemovalError> {
        let connection = &self.database.connection;
        let sql = "SELECT EXISTS (SELECT 1 FROM requests r WHERE r.session = sessions.number \
                   AND r.status IN ('pending', 'running')) FROM sessions WHERE id = ?1";
        let runs =
            connection.prepare_cached(sql)?.query_row([session.as_str()], |row| row.get(0)).optional()?;
        match runs {
            None => return Ok(false),
            Some(true) => return Err(RemovalError::Running { session: session.clone() }),
            Some(false) => {}
        }
        let mut removed = RemovedSession::new(session.clone());
        while !removal::proceed(connection, &mut removed, Removal::Session, Instant::now() + STEP)? {}
        self.files.iter().for_each(|files| files.remove(&removed));
        Ok(true)
    }

    /// Gives the space of what was removed back to the file system.
    ///
    /// # Errors
    /// [`RemovalError::Database`].
    pub fn give_space_back(&self) -> Result<(), RemovalError> {
        while give_pages_back(&self.database.connection)? {}
        Ok(())
    }
}
