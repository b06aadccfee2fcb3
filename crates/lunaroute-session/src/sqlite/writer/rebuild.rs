//! A database that is damaged or gone: set aside, made again, and filled from what was recorded before.

use lunaroute_core::Ending;
use lunaroute_storage::journal::Position;

use super::SqliteWriter;
use crate::event::{Body, EventKind, SessionEvent};
use crate::sqlite::failure::StepError;
use crate::sqlite::heal;
use crate::sqlite::open::{Database, OpenError};
use crate::sqlite::removed;
use crate::sqlite::state::{State, WRITER};
use crate::writer::WriteError;

/// Events of the history that are brought in with one transaction.
const HISTORY_BATCH: usize = 2_048;

impl SqliteWriter {
    /// Ends the requests that the history began and that the journal did not go on with: nothing will come of them.
    pub(super) fn end_forgotten(&mut self) {
        let forgotten = self.pending.values_mut().filter(|pending| pending.position.is_none());
        for pending in forgotten {
            let event = SessionEvent {
                session: pending.session.clone(),
                request: pending.request,
                seq: u32::MAX,
                at: pending.first_at,
                kind: EventKind::Completed {
                    ending: Ending::Interrupted,
                    status: None,
                    error: None,
                    message: Some("the rest of the request was not recorded".to_owned()),
                },
                body: Body::default(),
            };
            if pending.absorb(&event, 0, None) {
                self.ended.push((Position::default(), pending.request));
            }
        }
    }

    /// Brings in everything that was recorded before the journal begins.
    fn bring_in_history(&mut self) -> Result<(), StepError> {
        let Some(history) = self.config.history.clone() else { return Ok(()) };
        let mut brought = 0_u64;
        for event in history.events() {
            self.absorb(&event, None)?;
            brought += 1;
            if brought.is_multiple_of(HISTORY_BATCH as u64) {
                self.commit()?;
            }
        }
        self.commit()?;
        (self.history_is_due, self.history_is_open) = (false, true);
        if brought > 0 {
            tracing::info!(events = brought, "the database was filled from what was recorded before");
        }
        Ok(())
    }

    /// The journal has gone on with what the history left open, or it is ended: the history need not come again.
    pub(super) fn close_history(&mut self) -> Result<(), StepError> {
        if self.history_is_open {
            let Some(database) = &self.database else { return Err(StepError::Closed) };
            heal::mark_history(&database.connection)?;
            self.history_is_open = false;
        }
        Ok(())
    }

    /// Makes sure that there is a database to write to: sound, in its place, and with its history.
    pub(super) fn prepare(&mut self) -> Result<(), WriteError> {
        match &self.database {
            None => return Err(self.replace("no new database could be made before")),
            Some(database) if !database.is_in_place() => {
                return Err(self.replace("it was removed or replaced while it was in use"));
            }
            Some(_) => {}
        }
        if let Some(damage) = self.watch.damage() {
            return Err(self.replace(&damage));
        }
        if self.history_is_due {
            self.bring_in_history().map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Sets the database aside and makes a new one. The error asks to be fed again from the new one's checkpoint.
    pub(super) fn replace(&mut self, reason: &str) -> WriteError {
        // Closed first: a connection that closes removes its log by name, and that name is soon another log's.
        self.database = None;
        match self.make_anew(reason) {
            Ok(aside) => WriteError {
                writer: WRITER.to_owned(),
                message: format!(
                    "{}: {reason}; what was left of it is now {aside}, and a new database is filled from the JSON Lines \
                     files and the journal",
                    self.config.path.display()
                ),
                transient: true,
                rewind: true,
            },
            Err(error) => WriteError {
                writer: WRITER.to_owned(),
                message: format!("{reason}, and no new database could be made: {error}"),
                transient: false,
                rewind: true,
            },
        }
    }

    fn make_anew(&mut self, reason: &str) -> Result<String, OpenError> {
        let path = self.config.path.clone();
        let file = |source| OpenError::File { path: path.clone(), source };
        let aside = heal::set_aside(&path, reason, &mut self.upkeep).map_err(file)?;
        let database = Database::open(&self.config)?;
        aside.iter().for_each(|aside| removed::take_over(&database.connection, aside));
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        self.state = State::load(&database.connection).map_err(sqlite)?;
        self.watch.begin_anew();
        self.database = Some(database);
        self.start_over();
        self.history_is_due = self.config.history.is_some();
        Ok(heal::name_of(aside.as_deref()))
    }

    /// Lets go of what memory holds: everything since the checkpoint is to come again, and the history when it left
    /// something open.
    pub(super) fn start_over(&mut self) {
        self.history_is_due |= std::mem::take(&mut self.history_is_open);
        self.memory.forget();
        self.pending.clear();
        self.ended.clear();
        self.count();
        self.known_until = self.known_until.max(self.read);
        self.read = self.state.checkpoint;
    }
}
