//! What is old goes: the bytes of requests first, whole sessions later, a little at a time between two batches.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_core::{SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::failure::{Reach, StepError};
use super::open::{Database, OpenError, SqliteConfig};
use super::removal::{self, Progress, Removal};
use super::removed;
use crate::jsonl::{self, JsonlError, RemovedSession};
use crate::writer::Upkeep;

/// How long the writer's batches wait for a step at most.
const STEP: Duration = Duration::from_millis(50);
/// Pause between two passes.
const PAUSE: Duration = Duration::from_secs(3_600);
/// A pass removes at most this share of all sessions, one in so many.
const SHARE: usize = 20;
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

/// A session that was old when it was looked for.
struct Due {
    session: RemovedSession,
    removal: Removal,
    /// Milliseconds: it had no activity since.
    before: i64,
}

/// Works through what is old.
pub(crate) struct Keeper {
    retention: Option<Retention>,
    next_pass: Instant,
    due: VecDeque<Due>,
    /// The last failure that was told: one that comes again and again is told once.
    told: Option<String>,
    /// Whether pages may be free that the file system could have back.
    has_freed: bool,
}

impl Keeper {
    pub(crate) fn new(retention: Option<Retention>) -> Self {
        Self { retention, next_pass: Instant::now(), due: VecDeque::new(), told: None, has_freed: false }
    }

    /// Whether there is something to do.
    pub(crate) fn is_due(&self) -> bool {
        self.retention.is_some()
            && (!self.due.is_empty() || self.has_freed || Instant::now() >= self.next_pass)
    }

    /// Does some of it. What cannot be done is told once per cause and tried again in the next pass; it holds up nobody.
    ///
    /// # Errors
    /// When the database is damaged.
    pub(crate) fn step(
        &mut self,
        (connection, journal): (&Connection, &Path),
        upkeep: &mut Upkeep,
    ) -> Result<(), StepError> {
        let failure = match self.try_step((connection, journal), upkeep) {
            Ok(()) => {
                self.told.take_if(|_| self.due.is_empty());
                return Ok(());
            }
            Err(damage) if matches!(damage.reach(), Reach::Damage) => return Err(damage),
            Err(failure) => failure,
        };
        let cause = failure.to_string();
        if self.told.as_ref() != Some(&cause) {
            tracing::error!(%failure, "what is old could not be removed from the database; it is tried again in an hour");
            self.told = Some(cause);
        }
        (self.due, self.has_freed) = (VecDeque::new(), false);
        Ok(())
    }

    fn try_step(
        &mut self,
        (connection, journal): (&Connection, &Path),
        upkeep: &mut Upkeep,
    ) -> Result<(), StepError> {
        let Some(retention) = &self.retention else { return Ok(()) };
        let until = Instant::now() + STEP;
        if self.due.is_empty() && Instant::now() >= self.next_pass {
            self.next_pass = Instant::now() + PAUSE;
            removed::forget(connection, journal)?;
            self.due = pass(connection, retention, Timestamp::now().as_millis())?;
        }
        while Instant::now() < until
            && let Some(Due { session, removal, before }) = self.due.front_mut()
        {
            match removal::proceed(connection, session, (*removal, Some(*before)), until)? {
                Progress::Unfinished => return Ok(()),
                Progress::Left => {}
                Progress::Removed => {
                    self.has_freed = true;
                    if *removal == Removal::Session {
                        upkeep.removed_sessions += 1;
                        retention.files.iter().for_each(|files| files.remove(session));
                    }
                }
            }
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
/// That holds for few sessions too: one of them an hour, and none when more than half are old.
fn pass(connection: &Connection, retention: &Retention, now: i64) -> Result<VecDeque<Due>, StepError> {
    let all: i64 = connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))?;
    let all = usize::try_from(all).unwrap_or(0);
    let mut due = VecDeque::<Due>::new();
    for (what, days, removal) in [
        ("sessions", retention.rows_days, Removal::Session),
        ("bodies", retention.bodies_days, Removal::Bodies),
    ] {
        let before = now.saturating_sub(i64::from(days).saturating_mul(MILLIS_OF_A_DAY));
        let old = older(connection, before, removal)?;
        if old.len() * 2 > all {
            tracing::error!(
                what,
                due = old.len(),
                all,
                "more than half of what is recorded is old at once; is the clock right? Nothing is removed; \
                 `lunaroute sessions prune` removes it when that is meant"
            );
            continue;
        }
        let goes_whole: HashSet<SessionId> = due.iter().map(|due| due.session.session.clone()).collect();
        let due_now = old.into_iter().filter(|session| !goes_whole.contains(session));
        let due_now = due_now.take((all / SHARE).max(1));
        due.extend(due_now.map(|session| Due { session: RemovedSession::new(session), removal, before }));
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
        let removal = (Removal::Session, None);
        loop {
            match removal::proceed(connection, &mut removed, removal, Instant::now() + STEP)? {
                Progress::Removed => break,
                Progress::Unfinished => {}
                // It was there and nothing ran a moment ago.
                Progress::Left => return Err(RemovalError::Running { session: session.clone() }),
            }
        }
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
