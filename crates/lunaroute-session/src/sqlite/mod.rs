//! The SQLite projection of the journal: schema, opening, and the writer.
//!
//! It never writes to a database that a newer program or a stranger made, and never shows an event twice, however often
//! the journal is offered again.

mod answer;
mod blobs;
mod bodies;
mod content;
mod cut;
mod decode;
mod digest;
mod failure;
mod heal;
mod migrate;
mod nameless;
mod open;
mod orphans;
mod pending;
mod quarantine;
mod recipe;
mod removal;
mod removed;
mod retention;
mod row;
mod samples;
mod sessions;
mod small;
mod state;
mod stored;
mod table;
mod tools;
mod watch;
mod work;
mod writer;

pub use heal::History;
pub use migrate::MigrationError;
pub use open::{Database, OpenError, SqliteConfig, sqlite_version};
pub use retention::{RemovalError, Remover, Retention, SessionFiles};
pub use writer::SqliteWriter;

pub(crate) use blobs::{BlobError, read_blob};
pub(crate) use content::Section;
pub(crate) use open::open_read_only;
pub(crate) use orphans::request_digest;
pub(crate) use recipe::Recipe;
pub(crate) use removed::is_removed;
pub(crate) use sessions::conversation_id;
pub(crate) use state::State;
pub(crate) use stored::StoredBytes;
pub(crate) use table::{Fields, QUARANTINE, REQUESTS, SESSIONS, STATE, TOOL_CALLS, Table};
