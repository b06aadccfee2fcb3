//! What is remembered: every request becomes events, the events go to a journal, and the journal feeds whatever keeps
//! them for good.
//!
//! The client's path hands notes to a bounded queue. The pen turns them into events, passes them through the filter
//! and appends them to the journal: a thread of its own, or whoever waits for it while that sleeps. Each writer (a
//! database, files) has a thread of its own that follows the journal from the writer's own checkpoint, so a slow or broken
//! writer falls behind and stops nobody.
//!
//! What this crate never does: it knows no HTTP server or client and no vendor's JSON (an
//! [`Interpreter`](lunaroute_core::Interpreter) is handed to it), it finds no personal data (a
//! [`Filter`](filter::Filter) is handed to it), it never delays a frame on its way to the client, and it never loses
//! anything without a counter and, wherever the journal can be written, a [`Gap`](event::EventKind::Gap) in the record.

pub mod event;
pub mod filter;
pub mod identity;
mod recorder;
mod recording;

pub mod codec;
mod dictionary;
pub mod jsonl;
mod projector;
pub mod query;
pub mod sqlite;
mod turn;
pub mod verify;
pub mod writer;

pub use recorder::{
    Figures, FlushError, JournalState, NotRecorded, ProviderForm, Recorder, RecorderBuilder, RecorderConfig,
    RecorderError, RequestStart, SyncPolicy, WriterFigures, WriterState,
};
pub use recording::Recording;
