//! A damaged database is set aside, never overwritten, and made again from what else was recorded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lunaroute_core::Timestamp;
use rusqlite::Connection;

use crate::event::SessionEvent;
use crate::writer::Upkeep;

/// The events of a history, one after the other.
type Events = Box<dyn Iterator<Item = SessionEvent>>;

/// Everything that was recorded earlier, for a database that begins anew: the events of each request in their order.
/// What it holds besides the journal comes in; a request that comes twice changes nothing.
#[derive(Clone)]
pub struct History(Arc<dyn Fn() -> Events + Send + Sync>);

impl History {
    /// A history that `read` begins to tell each time it is called.
    pub fn new(read: impl Fn() -> Events + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn events(&self) -> Events {
        (self.0)()
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("History")
    }
}

/// Gives a database and its companions names with the time in them; tells the new name of the database, `None` when there was
/// nothing left of it.
pub(crate) fn set_aside(path: &Path, reason: &str, upkeep: &mut Upkeep) -> io::Result<Option<PathBuf>> {
    upkeep.replaced += 1;
    let time: String =
        Timestamp::now().to_string().chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    let mut aside = None;
    for companion in ["", "-wal", "-shm"] {
        let from = beside(path, companion);
        let to = beside(path, &format!(".damaged-{time}{companion}"));
        match fs::rename(&from, &to) {
            Ok(()) if companion.is_empty() => aside = Some(to),
            Ok(()) => {}
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    let name = name_of(aside.as_deref());
    tracing::error!(path = %path.display(), reason, aside = name, "the database cannot be used and is made anew");
    Ok(aside)
}

/// What was set aside, for people.
pub(crate) fn name_of(aside: Option<&Path>) -> String {
    aside.map_or_else(|| "nothing, it was gone".to_owned(), |aside| aside.display().to_string())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Whether everything that was recorded earlier is in the database.
pub(crate) fn has_history(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Everything that was recorded earlier is in the database now.
pub(crate) fn mark_history(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA user_version = 1")
}
