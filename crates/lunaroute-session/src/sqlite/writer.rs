//! Writes batches of the journal into the database, each batch in one transaction with the state it leads to.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use lunaroute_core::{RequestId, SessionId};
use lunaroute_storage::journal::Position;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::blobs::BlobStore;
use super::failure::{Reach, StepError};
use super::open::{Database, OpenError, SqliteConfig};
use super::pending::{Pending, Step};
use super::sessions::Sessions;
use super::state::{State, WRITER};
use super::{orphans, quarantine, request};
use crate::writer::{Ack, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, WriteError};

/// The writer of the SQLite projection.
///
/// A request is held in memory until it is over and then written whole; one that is still open at the end of a batch
/// gets a row as `running`. What memory holds is covered by the checkpoint, which stays before it.
pub struct SqliteWriter {
    database: Database,
    config: SqliteConfig,
    store: BlobStore,
    /// The state that is committed.
    state: State,
    /// How far events were taken in.
    read: Position,
    pending: HashMap<RequestId, Pending>,
    /// What the events taken in since the last commit ask for, in journal order.
    steps: Vec<(Position, RequestId, Step)>,
    /// Bytes of open answers in memory.
    held: usize,
    written: u64,
}

/// A request as the database knows it.
enum Known {
    Nothing,
    Running { body: bool },
    Over,
}

impl SqliteWriter {
    /// Opens the database for writing, creating and migrating it as needed.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be used; it says what to do.
    pub fn open(config: SqliteConfig) -> Result<Self, OpenError> {
        let database = Database::open(&config)?;
        let failed = |source| OpenError::Sqlite { path: config.path.clone(), source };
        let state = State::load(&database.connection).map_err(failed)?;
        let store =
            BlobStore::new().map_err(|source| OpenError::File { path: config.path.clone(), source })?;
        Ok(Self {
            database,
            config,
            store,
            state,
            read: state.checkpoint,
            pending: HashMap::new(),
            steps: Vec::new(),
            held: 0,
            written: 0,
        })
    }

    /// Tool results that came without their call, since the database was made.
    #[must_use]
    pub fn out_of_order(&self) -> u64 {
        self.state.out_of_order
    }

    /// Takes an event into memory. Taking the same one again changes nothing.
    fn absorb(&mut self, item: &JournaledEvent) -> Result<(), rusqlite::Error> {
        let event = &item.event;
        if !self.pending.contains_key(&event.request) {
            let mut pending = Pending::new(event, item.position);
            match known(&self.database.connection, event.request)? {
                Known::Over => return Ok(()),
                Known::Running { body } => {
                    pending.row_stored = true;
                    pending.body_stored = body;
                    pending.body_queued = body;
                }
                Known::Nothing => {}
            }
            if !pending.row_stored {
                self.steps.push((item.position, event.request, Step::Begin));
            }
            self.pending.insert(event.request, pending);
        }
        let pending = self.pending.get_mut(&event.request).expect("it was put there just now");
        let held = pending.held();
        let room = self
            .config
            .response_limit
            .saturating_sub(held)
            .min(self.config.open_limit.saturating_sub(self.held));
        let step = pending.absorb(event, room);
        self.held = self.held - held + pending.held();
        if pending.body_stored && pending.references.is_none() && pending.read.is_some() {
            pending.references = Some(request::references(pending));
            pending.body = Bytes::new();
        }
        self.steps.extend(step.map(|step| (item.position, event.request, step)));
        Ok(())
    }

    /// Where reading would have to begin again: the oldest request that is open, or the end of what was read.
    fn reading_begins(&self) -> Position {
        let open = self.pending.values().filter(|pending| pending.completed.is_none());
        open.map(|pending| pending.position).fold(self.read, Position::min)
    }

    /// Commits what the steps ask for, and the state.
    fn commit(&mut self) -> Result<HashMap<Position, String>, StepError> {
        let mut state = State { checkpoint: self.reading_begins(), read: self.read, ..self.state };
        let transaction =
            Transaction::new_unchecked(&self.database.connection, TransactionBehavior::Immediate)?;
        let mut work = Work {
            connection: &transaction,
            store: &mut self.store,
            sessions: Sessions::default(),
            out_of_order: 0,
            refused: HashMap::new(),
        };
        for (position, id, step) in &self.steps {
            if let Some(pending) = self.pending.get_mut(id) {
                work.step(*position, pending, *step)?;
            }
        }
        let mut open = HashSet::<&SessionId>::new();
        for pending in self.pending.values().filter(|pending| pending.completed.is_none()) {
            open.insert(&pending.session);
            // A running request shows up with the batch that it began in, and once more with its body.
            if !pending.row_stored || (pending.references.is_some() && !pending.body_stored) {
                request::write_running(&transaction, pending)?;
            }
        }
        let Work { sessions, out_of_order, refused, .. } = work;
        sessions.store(&transaction, &open)?;
        state.out_of_order += out_of_order;
        state.store(&transaction)?;
        transaction.commit()?;
        self.state = state;
        self.forget();
        Ok(refused)
    }

    /// Lets go of what the commit made durable.
    fn forget(&mut self) {
        self.steps.clear();
        self.pending.retain(|_, pending| pending.completed.is_none());
        for pending in self.pending.values_mut() {
            pending.row_stored = true;
            if pending.references.is_some() {
                pending.body_stored = true;
                pending.body = Bytes::new();
            }
        }
        self.held = self.pending.values().map(Pending::held).sum();
    }

    /// Ends what an earlier process left as running and what did not come again; what is in memory is under way.
    fn interrupt_orphans(&self) -> Result<u64, StepError> {
        let transaction =
            Transaction::new_unchecked(&self.database.connection, TransactionBehavior::Immediate)?;
        let under_way: HashSet<String> = self.pending.keys().map(RequestId::to_string).collect();
        let interrupted = orphans::interrupt(&transaction, |id| under_way.contains(id))?;
        transaction.commit()?;
        Ok(interrupted)
    }

    fn failed(&self, error: &StepError) -> WriteError {
        let (transient, advice) = match error.reach() {
            Reach::Moment => (true, "the events wait in the journal and are offered again"),
            Reach::Item => (false, "the events stay in the journal; please report this"),
            Reach::Database { advice } => (false, advice),
        };
        let message = format!("{}: {error}; {advice}", self.database.path().display());
        WriteError { writer: WRITER.to_owned(), message, transient, rewind: false }
    }

    fn in_place(&self) -> Result<(), WriteError> {
        if self.database.is_in_place() {
            return Ok(());
        }
        let message = format!(
            "{} was removed or replaced while it was in use; start the gateway again: the database is rebuilt from what \
             the journal still holds",
            self.database.path().display()
        );
        Err(WriteError { writer: WRITER.to_owned(), message, transient: false, rewind: false })
    }
}

impl SessionWriter for SqliteWriter {
    fn name(&self) -> &str {
        WRITER
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        Ok(self.state.checkpoint)
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        self.in_place()?;
        for item in batch {
            self.absorb(item).map_err(|error| self.failed(&error.into()))?;
            self.read = self.read.max(item.next);
        }
        // Deltas of requests that go on need no transaction: they are in memory, and the journal holds them.
        let refused = if self.steps.is_empty() && self.reading_begins() == self.state.checkpoint {
            HashMap::new()
        } else {
            self.commit().map_err(|error| self.failed(&error))?
        };
        let outcomes: Vec<ItemOutcome> = batch
            .iter()
            .map(|item| match refused.get(&item.position) {
                Some(reason) => ItemOutcome::Quarantined(reason.clone()),
                None => ItemOutcome::Written,
            })
            .collect();
        self.written += (outcomes.len() - refused.len().min(outcomes.len())) as u64;
        Ok(outcomes)
    }

    fn reconcile(&mut self) -> Result<(), WriteError> {
        self.flush()?;
        let interrupted = self.interrupt_orphans().map_err(|error| self.failed(&error))?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "requests whose journal is gone were ended as interrupted");
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        self.in_place()?;
        if !self.steps.is_empty() || self.read != self.state.read {
            self.commit().map_err(|error| self.failed(&error))?;
        }
        Ok(Ack { position: self.state.checkpoint })
    }

    fn shutdown(&mut self, deadline: Instant) -> DrainReport {
        // What a failed flush leaves behind is still in the journal, before the checkpoint.
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the database was not flushed at shutdown");
        } else if Instant::now() < deadline
            && let Err(error) = self.database.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the write-ahead log was not folded into the database at shutdown");
        }
        DrainReport { written: self.written, lost: 0 }
    }
}

fn known(connection: &Connection, request: RequestId) -> Result<Known, rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("SELECT status, request_blob IS NOT NULL FROM requests WHERE id = ?1")?;
    let row = statement
        .query_row([request.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
        .optional()?;
    Ok(match row {
        None => Known::Nothing,
        Some((status, body)) if status == "running" => Known::Running { body },
        Some(_) => Known::Over,
    })
}

/// One transaction's work.
struct Work<'transaction> {
    connection: &'transaction Connection,
    store: &'transaction mut BlobStore,
    sessions: Sessions,
    out_of_order: u64,
    /// Events that were put aside, by their place in the journal, and why.
    refused: HashMap<Position, String>,
}

impl Work<'_> {
    /// Takes one step; one that cannot be written is put aside and the rest goes on.
    fn step(&mut self, position: Position, pending: &mut Pending, step: Step) -> Result<(), StepError> {
        if step == Step::Begin {
            return self.sessions.begin(self.connection, pending, !pending.row_stored);
        }
        self.savepoint("SAVEPOINT item")?;
        let error = match self.write(pending, step) {
            Ok(()) => return self.savepoint("RELEASE item"),
            Err(error) if matches!(error.reach(), Reach::Item) => error,
            Err(error) => return Err(error),
        };
        self.savepoint("ROLLBACK TO item")?;
        self.savepoint("RELEASE item")?;
        tracing::warn!(request = %pending.request, %error, "an event fits no row and was put aside");
        let seq = pending.completed.as_ref().map_or(1, |completed| completed.seq);
        quarantine::put_aside(self.connection, pending, seq, &error)?;
        self.refused.insert(position, error.to_string());
        // What is left without what may not fit: the request is there, and over when it is over.
        let mut plain = pending.without_figures();
        if step == Step::Body || !pending.body_queued {
            plain.read = None;
        }
        self.write(&mut plain, step)?;
        pending.references = plain.references;
        Ok(())
    }

    fn write(&mut self, pending: &mut Pending, step: Step) -> Result<(), StepError> {
        // A request whose body was never read keeps it when it is over.
        let body_is_due = step == Step::Body || !pending.body_queued;
        let mut body_change = None;
        if body_is_due {
            let (references, change) = request::write_body(self.connection, self.store, pending)?;
            pending.references = Some(references);
            body_change = Some(change);
        }
        let mut end = None;
        if step == Step::End {
            let references = pending.references.clone().unwrap_or_default();
            end = Some(request::write_end(self.connection, self.store, pending, &references)?);
        }
        // The session hears of it once nothing of this step can be rolled back alone.
        if let Some(change) = body_change {
            self.sessions.body(self.connection, pending, change.added)?;
            self.out_of_order += change.out_of_order;
        }
        if let Some((ended, change)) = end {
            self.sessions.end(self.connection, pending, &ended)?;
            self.out_of_order += change.out_of_order;
        }
        Ok(())
    }

    fn savepoint(&self, sql: &str) -> Result<(), StepError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
