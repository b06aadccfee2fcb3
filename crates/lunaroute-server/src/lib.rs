//! The gateway itself: reads the configuration, assembles the rooms and holds the walk of a request through them.
//!
//! It has no algorithm of its own: how a body is read, a target chosen, an attempt made or an event kept stands in the
//! room that does it. It never lets a body, a header or a credential into its log.

pub mod config;

mod assemble;
mod counting;
mod crossing;
mod descriptors;
mod desk;
mod dressing;
mod foreign;
mod gate;
mod gateway;
mod guest_book;
mod house;
mod keeper;
mod lobby;
mod reception;
mod records;
mod response_store;
mod route;
mod silence;
mod socket;
mod tap;
mod translated;
mod turned_away;
mod visitor;
mod walk;
mod warm_up;
mod way_out;

pub use assemble::{StartError, catalog, check, differences};
pub use descriptors::raise_descriptor_limit;
pub use gateway::{Gateway, StopReport};
pub use records::{DATABASE_FILE, JOURNAL_DIRECTORY, JSONL_DIRECTORY};

use config::{Config, LogFormat};
use lunaroute_observability::log::{self, Format};

/// Starts the log on standard error as the configuration says; `colour` is for text on a terminal.
///
/// # Errors
/// [`StartError::Log`] when the level cannot be read, or the log runs already.
pub fn start_log(config: &Config, colour: bool) -> Result<(), StartError> {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    Ok(log::init(format, &config.log.level, colour)?)
}
