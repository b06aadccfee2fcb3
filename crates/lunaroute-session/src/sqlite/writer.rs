//! Writes batches of the journal into the database, each batch in one transaction with the state it leads to.

mod rebuild;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use lunaroute_core::{RequestId, SessionId};
use lunaroute_storage::journal::Position;
use rusqlite::{Transaction, TransactionBehavior};

use super::failure::{Reach, StepError};
use super::heal;
use super::open::{Database, OpenError, SqliteConfig};
use super::pending::{Pending, Shown};
use super::retention::Keeper;
use super::state::{State, WRITER};
use super::watch::Watch;
use super::work::{Known, Memory, Work, known};
use super::{orphans, quarantine, removed};
use crate::event::{Body, SessionEvent};
use crate::turn;
use crate::writer::{Ack, DrainReport, ItemOutcome, JournaledEvent, SessionWriter, Upkeep, WriteError};

/// So many answers are in files at a time, each of which takes a descriptor; further ones are held in memory.
const SPILLED: usize = 32;

/// The writer of the SQLite projection.
///
/// A request is held in memory until it is over and then written whole; one that is open for longer gets a row as `running`.
/// What memory holds is covered by the checkpoint, which stays before it.
///
/// A database that is found damaged or missing while it is in use is set aside and made again from the history and the
/// journal.
pub struct SqliteWriter {
    config: SqliteConfig,
    /// `None` while a damaged one is set aside and no new one could be made.
    database: Option<Database>,
    watch: Watch,
    upkeep: Upkeep,
    keeper: Keeper,
    memory: Memory,
    /// The state that is committed.
    state: State,
    /// How far events were taken in.
    read: Position,
    /// Requests that begin before this place may be in the database already.
    known_until: Position,
    pending: HashMap<RequestId, Pending>,
    /// Requests that are over and not committed, in the order of the journal.
    ended: Vec<(Position, RequestId)>,
    /// Bytes of open answers in memory.
    held: usize,
    /// How many of them are in files.
    spilled: usize,
    written: u64,
    /// Whether everything that was recorded earlier is still to be brought in.
    history_is_due: bool,
    /// It was brought in, and what it left open is not in the database yet.
    history_is_open: bool,
}

impl SqliteWriter {
    /// Opens the database for writing, creating it as needed. A damaged one is set aside and a new one is made.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be used; it says what to do.
    pub fn open(config: SqliteConfig) -> Result<Self, OpenError> {
        let mut upkeep = Upkeep::default();
        let (database, was_damaged) = match Database::open(&config) {
            Err(OpenError::Damaged { path, source }) => {
                let aside = heal::set_aside(&path, &source.to_string(), &mut upkeep)
                    .map_err(|source| OpenError::File { path, source })?;
                let database = Database::open(&config)?;
                aside.iter().for_each(|aside| removed::take_over(&database.connection, aside));
                (database, true)
            }
            opened => (opened?, false),
        };
        if let Err(failure) = removed::forget(&database.connection, &config.journal_directory) {
            tracing::warn!(%failure, "removed sessions that nobody needs to remember are still remembered");
        }
        let failed = |source| OpenError::Sqlite { path: config.path.clone(), source };
        let state = State::load(&database.connection).map_err(failed)?;
        let history_is_due =
            config.history.is_some() && !heal::has_history(&database.connection).map_err(failed)?;
        let memory = Memory::new(config.directory())
            .map_err(|source| OpenError::File { path: config.path.clone(), source })?;
        let known_until = if was_damaged || history_is_due { LATEST } else { state.read };
        Ok(Self {
            watch: Watch::start(&config)
                .map_err(|source| OpenError::File { path: config.path.clone(), source })?,
            database: Some(database),
            upkeep,
            keeper: Keeper::new(config.retention.clone()),
            config,
            memory,
            state,
            read: state.checkpoint,
            known_until,
            pending: HashMap::new(),
            ended: Vec::new(),
            held: 0,
            spilled: 0,
            written: 0,
            history_is_due,
            history_is_open: false,
        })
    }

    /// Tool results that came without their call, since the database was made.
    #[must_use]
    pub fn out_of_order(&self) -> u64 {
        self.state.out_of_order
    }

    /// Takes an event into memory; `position` is `None` for one of the history. Taking the same one again changes nothing.
    fn absorb(&mut self, event: &SessionEvent, position: Option<Position>) -> Result<(), StepError> {
        if !self.pending.contains_key(&event.request) {
            let mut pending = Pending::new(event, position);
            // What was recorded earlier, and what is read again.
            if position.is_none_or(|position| position < self.known_until)
                && let Some(database) = &self.database
            {
                match known(&database.connection, event.request)? {
                    Known::Over | Known::Removed => return Ok(()),
                    Known::Running(shown) => pending.shown = Some(shown),
                    Known::Nothing => {}
                }
            }
            self.pending.insert(event.request, pending);
        }
        let Some(pending) = self.pending.get_mut(&event.request) else { return Ok(()) };
        pending.position = pending.position.or(position);
        let (held, spilled) = (pending.held(), pending.spilled());
        let room = self
            .config
            .response_limit
            .saturating_sub(pending.kept())
            .min(self.config.open_limit.saturating_sub(self.held));
        let directory = (spilled > 0 || self.spilled < SPILLED).then(|| self.config.directory());
        let is_over = pending.absorb(event, room, directory);
        self.held = self.held - held + pending.held();
        self.spilled = self.spilled - spilled + pending.spilled();
        if is_over {
            self.ended.push((position.unwrap_or_default(), event.request));
        }
        Ok(())
    }

    fn open_requests(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values().filter(|pending| pending.completed.is_none())
    }

    /// Where reading would have to begin again: the oldest request that is open, or the end of what was read.
    fn reading_begins(&self) -> Position {
        self.open_requests().filter_map(|pending| pending.position).fold(self.read, Position::min)
    }

    fn is_to_be_shown(&self, pending: &Pending) -> bool {
        pending.shown.is_none() && pending.met.elapsed() >= self.config.show_running_after
    }

    /// Commits what memory holds of requests that are over or run for long, and the state. What cannot be written is put
    /// aside; told by the places of its events.
    fn commit(&mut self) -> Result<HashMap<Position, String>, StepError> {
        match self.commit_all() {
            Ok(()) => Ok(HashMap::new()),
            Err(error) if matches!(error.reach(), Reach::Item) => self.commit_each(),
            Err(error) => Err(error),
        }
    }

    fn commit_all(&mut self) -> Result<(), StepError> {
        let done = self.try_commit();
        if done.is_err() {
            self.memory.forget();
        }
        done
    }

    fn try_commit(&mut self) -> Result<(), StepError> {
        let state = State { checkpoint: self.reading_begins(), read: self.read, ..self.state };
        let due: Vec<RequestId> = self
            .open_requests()
            .filter(|pending| self.is_to_be_shown(pending))
            .map(|pending| pending.request)
            .collect();
        let Some(database) = &mut self.database else { return Err(StepError::Closed) };
        let transaction = Transaction::new_unchecked(&database.connection, TransactionBehavior::Immediate)?;
        if database.data_version.changed(&transaction)? {
            self.memory.forget();
        }
        let mut work = Work::new(&transaction, &mut self.memory, &self.pending);
        for pending in self.ended.iter().filter_map(|(_, id)| self.pending.get(id)) {
            work.end(pending)?;
            turn::between();
        }
        let mut shown = HashMap::new();
        for pending in due.iter().filter_map(|id| self.pending.get(id)) {
            shown.insert(pending.request, work.show(pending)?);
        }
        let running = running(&self.pending, &shown);
        work.touched.store(&transaction, &running)?;
        let state = State { out_of_order: state.out_of_order + work.out_of_order, ..state };
        let touched = work.touched;
        state.store(&transaction)?;
        transaction.commit()?;
        self.memory.sessions.take(touched);
        self.state = state;
        self.forget(shown);
        Ok(())
    }

    /// Lets go of what the commit made durable.
    fn forget(&mut self, shown: HashMap<RequestId, Shown>) {
        for (_, request) in self.ended.drain(..) {
            self.pending.remove(&request);
        }
        for (request, shown) in shown {
            let Some(pending) = self.pending.get_mut(&request) else { continue };
            if shown.references.as_ref().is_some_and(|references| !references.is_inline) {
                pending.body = Body::default();
            }
            pending.shown = Some(shown);
        }
        self.count();
    }

    /// Counts what open answers take.
    fn count(&mut self) {
        self.held = self.pending.values().map(Pending::held).sum();
        self.spilled = self.pending.values().map(Pending::spilled).sum();
    }

    /// Commits request by request, so that one that cannot be written is put aside and the others are kept.
    fn commit_each(&mut self) -> Result<HashMap<Position, String>, StepError> {
        let mut refused = HashMap::new();
        while let Some((position, request)) = self.ended.first().copied() {
            let outcome = match self.pending.get(&request).cloned() {
                Some(pending) => self.commit_one(&pending),
                None => Ok(None),
            };
            let outcome = outcome.inspect_err(|_| self.memory.forget())?;
            self.ended.remove(0);
            self.pending.remove(&request);
            refused.extend(outcome.map(|reason| (position, reason)));
        }
        match self.commit_all() {
            Err(error) if matches!(error.reach(), Reach::Item) => {
                tracing::warn!(%error, "requests that run cannot be shown; they are written when they are over");
                self.pending.values_mut().for_each(|pending| pending.met = Instant::now());
                self.commit_all()?;
            }
            done => done?,
        }
        Ok(refused)
    }

    /// Commits one request that is over: whole, else without what may not fit, else put aside only. Tells why when it is
    /// not whole.
    fn commit_one(&mut self, pending: &Pending) -> Result<Option<String>, StepError> {
        let error = match self.transact(|work| work.end(pending)) {
            Ok(()) => return Ok(None),
            Err(error) if matches!(error.reach(), Reach::Item) => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(request = %pending.request, %error, "an event fits no row and was put aside");
        let put_aside = |work: &mut Work<'_>| quarantine::put_aside(work.connection, pending, &error);
        let plain = pending.without_figures();
        let outcome = self.transact(|work| put_aside(work).and_then(|()| work.end(&plain)));
        match outcome {
            Err(worse) if matches!(worse.reach(), Reach::Item) => self.transact(put_aside)?,
            outcome => outcome?,
        }
        Ok(Some(error.to_string()))
    }

    /// A transaction about one request; the state stays as it is, because a request that comes again changes nothing.
    fn transact(
        &mut self,
        write: impl FnOnce(&mut Work<'_>) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        self.memory.forget();
        let Some(database) = &self.database else { return Err(StepError::Closed) };
        let transaction = Transaction::new_unchecked(&database.connection, TransactionBehavior::Immediate)?;
        let mut work = Work::new(&transaction, &mut self.memory, &self.pending);
        write(&mut work)?;
        let running = running(&self.pending, &HashMap::new());
        work.touched.store(&transaction, &running)?;
        let out_of_order = work.out_of_order;
        transaction.commit()?;
        self.state.out_of_order += out_of_order;
        Ok(())
    }

    /// Ends what an earlier process left as running and what did not come again; what is in memory is under way.
    fn interrupt_orphans(&self) -> Result<u64, StepError> {
        let Some(database) = &self.database else { return Err(StepError::Closed) };
        let transaction = Transaction::new_unchecked(&database.connection, TransactionBehavior::Immediate)?;
        let under_way: HashSet<String> = self.pending.keys().map(RequestId::to_string).collect();
        let interrupted = orphans::interrupt(&transaction, |id| under_way.contains(id))?;
        transaction.commit()?;
        Ok(interrupted)
    }

    /// Removes some of what is old, when there is something.
    fn remove_some(&mut self) -> Result<(), StepError> {
        let Some(database) = self.database.as_ref().filter(|_| self.keeper.is_due()) else { return Ok(()) };
        let done = self.keeper.step((&database.connection, &self.config.journal_directory), &mut self.upkeep);
        // What memory knows of sessions and bodies may be gone.
        self.memory.forget();
        done
    }

    fn failed(&mut self, error: &StepError) -> WriteError {
        let (transient, advice) = match error.reach() {
            Reach::Damage => return self.replace(&error.to_string()),
            Reach::Memory => {
                self.start_over();
                (true, "the events since the last commit are read again")
            }
            Reach::Moment => (true, "the events wait in the journal and are offered again"),
            Reach::Item => (false, "the events stay in the journal; please report this"),
            Reach::Database { advice } => (false, advice),
        };
        let message = format!("{}: {error}; {advice}", self.config.path.display());
        let rewind = matches!(error.reach(), Reach::Memory);
        WriteError { writer: WRITER.to_owned(), message, transient, rewind }
    }
}

/// Later than any place in a journal.
const LATEST: Position = Position { segment: u64::MAX, offset: u64::MAX };

/// The sessions that have a request with a row as running.
fn running<'pending>(
    pending: &'pending HashMap<RequestId, Pending>,
    shown: &HashMap<RequestId, Shown>,
) -> HashSet<&'pending SessionId> {
    pending
        .values()
        .filter(|pending| pending.completed.is_none())
        .filter(|pending| pending.shown.is_some() || shown.contains_key(&pending.request))
        .map(|pending| &pending.session)
        .collect()
}

impl SessionWriter for SqliteWriter {
    fn name(&self) -> &str {
        WRITER
    }

    fn checkpoint(&mut self) -> Result<Position, WriteError> {
        self.prepare()?;
        Ok(self.state.checkpoint)
    }

    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError> {
        self.prepare()?;
        for item in batch {
            self.absorb(&item.event, Some(item.position)).map_err(|error| self.failed(&error))?;
            self.read = self.read.max(item.next);
            turn::between();
        }
        if self.read >= self.known_until {
            self.end_forgotten();
        }
        let is_due = self.open_requests().any(|pending| self.is_to_be_shown(pending));
        // Deltas of requests that go on need no transaction: they are in memory, and the journal holds them.
        let refused = if self.ended.is_empty() && !is_due && self.reading_begins() == self.state.checkpoint {
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
        self.end_forgotten();
        self.known_until = self.known_until.min(self.read);
        self.flush()?;
        self.close_history().map_err(|error| self.failed(&error))?;
        let interrupted = self.interrupt_orphans().map_err(|error| self.failed(&error))?;
        self.memory.forget();
        if interrupted > 0 {
            tracing::warn!(interrupted, "requests whose journal is gone were ended as interrupted");
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Ack, WriteError> {
        self.prepare()?;
        if !self.ended.is_empty() || self.read != self.state.read {
            self.commit().map_err(|error| self.failed(&error))?;
        }
        self.remove_some().map_err(|error| self.failed(&error))?;
        Ok(Ack { position: self.state.checkpoint })
    }

    fn upkeep(&self) -> Upkeep {
        self.upkeep
    }

    fn shutdown(&mut self, deadline: Instant) -> DrainReport {
        // What a failed flush leaves behind is still in the journal, before the checkpoint.
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the database was not flushed at shutdown");
        } else if Instant::now() < deadline
            && let Some(database) = &self.database
            && let Err(error) = database.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the write-ahead log was not folded into the database at shutdown");
        }
        DrainReport { written: self.written, lost: 0 }
    }
}
