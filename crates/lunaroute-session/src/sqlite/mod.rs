//! The SQLite projection of the journal: schema, opening, and the writer.
//!
//! It never writes to a database that a newer program or a stranger made, and never shows an event twice, however often
//! the journal is offered again.

mod blobs;
mod children;
mod cut;
mod decode;
mod digest;
mod failure;
mod messages;
mod migrate;
mod open;
mod orphans;
mod pending;
mod quarantine;
mod request;
mod row;
mod samples;
mod sessions;
mod state;
mod table;
mod tools;
mod writer;

pub use migrate::MigrationError;
pub use open::{Database, OpenError, SqliteConfig, sqlite_version};
pub use writer::SqliteWriter;

pub(crate) use blobs::{BlobHash, read_blob};
pub(crate) use digest::RowDigest;
pub(crate) use messages::group_id;
pub(crate) use open::open_read_only;
pub(crate) use orphans::request_digest;
pub(crate) use sessions::conversation_id;
pub(crate) use state::State;
pub(crate) use table::{Fields, QUARANTINE, REQUESTS, SESSIONS, STATE, TOOL_CALLS, Table};
