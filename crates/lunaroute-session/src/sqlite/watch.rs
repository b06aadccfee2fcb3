//! Looks for damage in the database while it is in use, on a thread and a connection of its own.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::open::{OpenError, SqliteConfig, open_read_only};

/// A check waits at least this many times as long as the one before took, so that it costs a few per cent of one core.
const REST: u32 = 20;

#[derive(Default)]
struct Shared {
    damage: Option<String>,
    stop: bool,
    /// Number of the database that is watched: what a check of an earlier one found says nothing.
    generation: u64,
}

/// The thread that looks; it ends with this.
pub(crate) struct Watch {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch the database of `config`.
    pub(crate) fn start(config: &SqliteConfig) -> io::Result<Self> {
        let shared = Arc::<(Mutex<Shared>, Condvar)>::default();
        let (watched, path, every) = (shared.clone(), config.path.clone(), config.check_every);
        let thread = std::thread::Builder::new()
            .name("sqlite-watch".to_owned())
            .spawn(move || follow(&watched, &path, every))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What was found in the database that is watched.
    pub(crate) fn damage(&self) -> Option<String> {
        lock(&self.shared.0).damage.clone()
    }

    /// From now on the database is another one.
    pub(crate) fn begin_anew(&self) {
        let mut shared = lock(&self.shared.0);
        shared.damage = None;
        shared.generation += 1;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.shared.0).stop = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks for damage in the database has panicked");
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow((shared, wake): &(Mutex<Shared>, Condvar), path: &Path, every: Duration) {
    let mut pause = every;
    loop {
        let until = Instant::now() + pause;
        let mut guard = lock(shared);
        while !guard.stop && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            guard = wake.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if guard.stop {
            return;
        }
        let generation = guard.generation;
        drop(guard);
        let begun = Instant::now();
        let found = look(path);
        pause = every.max(begun.elapsed() * REST);
        let mut guard = lock(shared);
        if let Some(damage) = found.filter(|_| guard.generation == generation) {
            if guard.damage.is_none() {
                tracing::error!(path = %path.display(), damage, "the database is damaged; it is made anew");
            }
            guard.damage = Some(damage);
        }
    }
}

/// What is wrong with the database, if anything is.
fn look(path: &Path) -> Option<String> {
    let connection = match open_read_only(path) {
        Ok(connection) => connection,
        Err(error @ OpenError::Damaged { .. }) => return Some(error.to_string()),
        // Locked, or gone: the writer sees the latter by itself.
        Err(_) => return None,
    };
    let finding = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match finding {
        Ok(finding) if finding == "ok" => None,
        Ok(finding) => Some(finding),
        Err(error) => super::failure::is_damage(&error).then(|| error.to_string()),
    }
}
