//! Log lines on standard error.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error(
        "the log filter '{filter}' cannot be read ({source}); write a level such as 'info', or 'warn,lunaroute_egress=debug'"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else has set up logging in this process.
    #[error("logging is already set up in this process; set it up once")]
    AlreadySet(#[from] TryInitError),
}

/// Sends the log lines of this process to standard error. `filter` is a level, or levels by module
/// (`warn,lunaroute_egress=debug`). `colour` only matters for [`Format::Text`]: the caller knows the terminal and the
/// user's wish.
///
/// # Errors
/// [`LogError`] when the filter cannot be read, or logging is already set up.
pub fn init(format: Format, filter: &str, colour: bool) -> Result<(), LogError> {
    Ok(subscriber(format, filter, colour, io::stderr)?.try_init()?)
}

/// What [`init`] installs, with lines going to `writer`: for a program that has a place of its own for them.
///
/// # Errors
/// [`LogError::Filter`] when the filter cannot be read.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    colour: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // A log that cannot be written, as on a full disk, must not take a thread with it.
        .log_internal_errors(false);
    Ok(match format {
        Format::Text => Box::new(lines.with_ansi(colour).finish()),
        Format::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}
