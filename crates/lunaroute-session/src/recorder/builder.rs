//! Puts a recorder together and starts its threads.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use lunaroute_core::{Interpreter, Observer};
use lunaroute_storage::journal::disk::{Disk, LocalDisk};
use lunaroute_storage::journal::{Journal, JournalConfig, Position};

use super::Recorder;
use super::bodies::Bodies;
use super::config::RecorderConfig;
use super::error::RecorderError;
use super::figures::{JournalState, add};
use super::ledger::Ledger;
use super::note::{Entry, NoteKind};
use super::opening::Stage;
use super::outlet::Outlet;
use super::pen::{Limits, Pen};
use super::recover::Recovered;
use super::shared::Shared;
use crate::filter::Filter;
use crate::identity::{KnownSession, SessionTracker};
use crate::projector::{Projector, ProjectorState, Published};
use crate::writer::SessionWriter;

/// What a [`Recorder`] is made of.
#[must_use = "a recorder records nothing before it is started"]
pub struct RecorderBuilder {
    config: RecorderConfig,
    interpreter: Option<Arc<dyn Interpreter>>,
    filter: Option<Box<dyn Filter>>,
    observer: Option<Arc<dyn Observer>>,
    writers: Vec<Box<dyn SessionWriter>>,
    known_sessions: Vec<KnownSession>,
    disk: Box<dyn Disk>,
}

impl RecorderBuilder {
    pub(crate) fn new(config: RecorderConfig) -> Self {
        Self {
            config,
            interpreter: None,
            filter: None,
            observer: None,
            writers: Vec::new(),
            known_sessions: Vec::new(),
            disk: Box::new(LocalDisk),
        }
    }

    /// What reads bodies. Required.
    pub fn interpreter(mut self, interpreter: Arc<dyn Interpreter>) -> Self {
        self.interpreter = Some(interpreter);
        self
    }

    /// What changes events before they are kept; without it they are kept as they are.
    pub fn filter(mut self, filter: Box<dyn Filter>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// What is told of every start and end, by one thread at a time: mostly the recorder's.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Something that keeps events; may be called again for another.
    pub fn writer(mut self, writer: Box<dyn SessionWriter>) -> Self {
        self.writers.push(writer);
        self
    }

    /// Sessions of the last while, so that a client that goes on is found in its session. What the journal knows of them
    /// need not be given.
    pub fn known_sessions(mut self, known: Vec<KnownSession>) -> Self {
        self.known_sessions = known;
        self
    }

    /// The disk that the journal is written to; without it the disk of this machine. For tests of faults.
    pub fn disk(mut self, disk: Box<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Opens the journal, ends what an earlier process left open, and starts the threads.
    ///
    /// # Errors
    /// [`RecorderError`] when the journal cannot be opened or read, a thread cannot be had, or a setting cannot work.
    pub fn start(mut self) -> Result<Recorder, RecorderError> {
        check(&self.config)?;
        let interpreter = self.interpreter.take().ok_or(RecorderError::NoInterpreter)?;
        let config = &self.config;
        let (journal, recovered) = open_journal(self.disk, config, &mut self.writers)?;
        let published = Arc::new(Published::default());
        let states: Vec<Arc<ProjectorState>> =
            self.writers.iter().map(|writer| Arc::new(ProjectorState::new(writer.name()))).collect();
        let shared = Arc::new(Shared::new(config, Arc::clone(&published), states.clone()));
        shared.set_segments(journal.segments()?.into_iter().map(|info| (info.number, info.bytes)).collect());

        let mut tracker =
            SessionTracker::new(config.fingerprint_key, config.session_idle, config.session_capacity);
        self.known_sessions.into_iter().for_each(|known| tracker.restore(known));
        let mut pen = Pen {
            ledger: Ledger::new(journal, Arc::clone(&shared), config.rest_after),
            bodies: Bodies::default(),
            outlet: Outlet::new(self.filter, Arc::clone(&shared)),
            shared: Arc::clone(&shared),
            interpreter,
            observer: self.observer,
            tracker,
            limits: Limits {
                body: config.body_limit,
                text: config.text_limit,
                coalesce: config.coalesce,
                coalesce_bytes: config.coalesce_bytes,
            },
            open: HashMap::new(),
            unread: Vec::new(),
            stretches: VecDeque::new(),
            barriers: Vec::new(),
            entries: Vec::new(),
            busy_at: Instant::now(),
        };
        let interrupted = pen.end_what_was_left(recovered);
        add(&shared.counters.interrupted, interrupted);

        for (writer, state) in self.writers.into_iter().zip(states) {
            let name = format!("lunaroute-{}", writer.name());
            let directory = shared.journal_directory.clone();
            let projector = Projector::new(writer, state, Arc::clone(&published), directory);
            spawn(name, move || projector.run())?;
        }
        let told = Arc::clone(&shared);
        spawn("lunaroute-sync".to_owned(), move || told.syncer.run(&told))?;
        spawn("lunaroute-pen".to_owned(), move || run(pen))?;
        Ok(Recorder::over(shared))
    }
}

fn check(config: &RecorderConfig) -> Result<(), RecorderError> {
    let wrong = |setting, expected| Err(RecorderError::Setting { setting, expected });
    match config {
        RecorderConfig { queue_bytes: 0, .. } => wrong("queue_bytes", "at least 1"),
        RecorderConfig { coalesce_bytes: 0, .. } => wrong("coalesce_bytes", "at least 1"),
        RecorderConfig { body_limit, .. } if *body_limit > 60 * 1024 * 1024 => {
            wrong("body_limit", "at most 60 MiB, what one entry of the journal can hold")
        }
        _ => Ok(()),
    }
}

fn open_journal(
    disk: Box<dyn Disk>,
    config: &RecorderConfig,
    writers: &mut [Box<dyn SessionWriter>],
) -> Result<(Journal, Recovered), RecorderError> {
    // A writer that cannot say how far it came says so again, and is told about, once its thread runs.
    let highest = writers.iter_mut().filter_map(|writer| writer.checkpoint().ok()).max();
    let journal_config = JournalConfig {
        segment_bytes: config.segment_bytes,
        ballast_bytes: config.ballast_bytes,
        next_segment_at_least: highest
            .filter(|&position| position > Position::default())
            .map(|position| position.segment.saturating_add(1)),
        ..JournalConfig::new(config.directory.join("journal"))
    };
    let (journal, recovery) = Journal::open_on(disk, journal_config)?;
    if recovery.torn_bytes > 0 || recovery.damaged_frames > 0 {
        tracing::warn!(
            torn_bytes = recovery.torn_bytes,
            damaged_frames = recovery.damaged_frames,
            "the journal was not closed; what was whole in it is kept"
        );
    }
    let recovered = Recovered::read(journal.directory(), &journal.segments()?, config.text_limit)?;
    Ok((journal, recovered))
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<(), RecorderError> {
    // Not joined by handle: a shutdown waits for its end with a deadline, which joining has not.
    match thread::Builder::new().name(name.clone()).spawn(work) {
        Ok(_) => Ok(()),
        Err(source) => Err(RecorderError::Thread { name, source }),
    }
}

/// The life of the pen's thread, and what is left to do after it, however it ends.
fn run(pen: Pen) {
    let shared = Arc::clone(&pen.shared);
    shared.seat.put(Box::new(pen));
    let failed = !take_turns(&shared);
    shared.set_journal_state(if failed { JournalState::Dead } else { JournalState::Stopped });
    for entry in shared.queue.end() {
        match entry {
            Entry::Note(note) => {
                add(&shared.counters.gaps, u64::from(note.count));
                shared.queue.release(u64::from(note.count), note.charge);
                if let NoteKind::Begin(begin) = note.kind {
                    begin.opening.advance(Stage::Failed);
                }
            }
            Entry::Flush(barrier) => barrier.give_up(),
        }
    }
    // Those that it had in hand; one that was told already stays told.
    let mut pen = shared.seat.take();
    pen.barriers.drain(..).for_each(|barrier| barrier.give_up());
    pen.outlet.batch.openings.drain(..).for_each(|opening| opening.advance(Stage::Failed));
    // The journal's lock goes before anybody is told, so that the next recorder can open it.
    drop(pen);
    if failed {
        tracing::error!("the recorder's thread failed; requests are not recorded any more");
    } else {
        // Projectors of a recorder that was only dropped end as well.
        shared.published.stop(shared.queue.stop_by().unwrap_or_else(Instant::now));
    }
    shared.pen_ended();
}

/// Writes until the recorder stops; `false` when the work broke off.
fn take_turns(shared: &Shared) -> bool {
    let mut turn = shared.seat.write(Pen::first_turn);
    loop {
        match turn {
            Some(Some(look)) => shared.queue.wait(look.until, look.lazy),
            Some(None) => return true,
            None => return false,
        }
        turn = shared.seat.write(Pen::turn);
    }
}

impl Pen {
    /// Prepares the ends of the requests that an earlier process left open, to be the first that is written; returns
    /// how many they are.
    fn end_what_was_left(&mut self, mut recovered: Recovered) -> u64 {
        for known in recovered.sessions() {
            self.tracker.restore(known);
        }
        let mut interrupted = 0;
        for events in recovered.endings() {
            interrupted += 1;
            events.into_iter().for_each(|event| {
                self.outlet.push(event);
            });
        }
        interrupted
    }
}
