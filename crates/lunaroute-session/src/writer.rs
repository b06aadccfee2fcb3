//! The trait of everything that keeps events: databases, files, whatever a service of your own wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lunaroute_storage::journal::Position;

use crate::event::SessionEvent;

/// An event together with its place in the journal. Events that follow each other may share a frame there; their places
/// differ all the same, and a later event has a greater one.
#[derive(Debug, Clone, PartialEq)]
pub struct JournaledEvent {
    /// The event's place.
    pub position: Position,
    /// A place after it and not after the next one: a checkpoint that stores this wants the next one first.
    pub next: Position,
    /// The event, which all writers share.
    pub event: Arc<SessionEvent>,
}

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is in, now or already before.
    Written,
    /// It can never be written; it was put aside with this reason and the rest went on.
    Quarantined(String),
}

/// Why a batch could not be written. The same batch will be offered again.
#[derive(Debug, thiserror::Error)]
#[error("writer '{writer}' could not write: {message}")]
pub struct WriteError {
    /// The writer's name.
    pub writer: String,
    /// What happened and what to do, for people.
    pub message: String,
    /// Whether trying again can help. When it cannot, the writer is marked as down and its backlog stays in the journal.
    pub transient: bool,
    /// Whether the writer lost its place: it wants to be asked for its checkpoint again and fed from there.
    pub rewind: bool,
}

/// Everything up to `position` is durable in the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The journal position.
    pub position: Position,
}

/// What a writer had done when it was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Events written during its life.
    pub written: u64,
    /// Events that were accepted and are neither written nor in the journal any more: 0, or the journal is broken.
    pub lost: u64,
}

/// How a writer wants its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// At most this many events in a batch: what a writer that is behind gets at once.
    pub events: usize,
    /// At most this many bytes of bodies and the like in a batch, unless a single event has more.
    pub bytes: usize,
    /// A smaller batch is offered after this time.
    pub wait: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self { events: 4_096, bytes: 4 * 1024 * 1024, wait: Duration::from_millis(100) }
    }
}

/// What a writer did to its store beside writing, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// Times that the store was damaged or gone, and was made anew.
    pub replaced: u64,
    /// Sessions that were removed because they were old.
    pub removed_sessions: u64,
}

/// Keeps events. Each writer has a thread of its own that feeds it from the journal, so it may block; a slow or broken
/// one falls behind and stops nobody.
///
/// A writer remembers by itself how far it came, together with what it wrote, so that after a crash it goes on where its
/// durable state ends. It may be offered events again and must not show them twice.
pub trait SessionWriter: Send {
    /// The name in metrics, logs and `/readyz`.
    fn name(&self) -> &str;

    /// From where in the journal it wants events: everything before is durable in it and never needed again.
    ///
    /// # Errors
    /// [`WriteError`] when its own state cannot be read.
    fn checkpoint(&mut self) -> Result<Position, WriteError>;

    /// Takes a batch in journal order. The answer has one outcome per event.
    ///
    /// # Errors
    /// [`WriteError`] when nothing of the batch was written; the same batch comes again.
    fn write(&mut self, batch: &[JournaledEvent]) -> Result<Vec<ItemOutcome>, WriteError>;

    /// Called once after each start, when the writer was offered everything that earlier processes left to it: of what it
    /// shows as under way and was not offered, nothing will ever come, because the journal that held it is gone. Such a
    /// request is to be shown as interrupted. A writer that shows no states has nothing to do.
    ///
    /// # Errors
    /// [`WriteError`] when that could not be written; it is called again.
    fn reconcile(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    /// Makes everything written so far durable. May be called again and again.
    ///
    /// # Errors
    /// [`WriteError`] when that failed.
    fn flush(&mut self) -> Result<Ack, WriteError>;

    /// Flushes until `deadline` and reports.
    fn shutdown(&mut self, deadline: Instant) -> DrainReport;

    /// What it did beside writing; asked after every batch and flush.
    fn upkeep(&self) -> Upkeep {
        Upkeep::default()
    }

    /// How it wants its batches; `None` takes every event as it comes.
    fn batching(&self) -> Option<Batching> {
        Some(Batching::default())
    }
}
