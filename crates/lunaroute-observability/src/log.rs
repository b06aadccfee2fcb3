//! The log on standard error.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; with colours when asked for.
    Text {
        /// Whether the reader is a terminal that wants colours.
        colour: bool,
    },
    /// One JSON object per line.
    Json,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "log.level '{filter}' cannot be read: {reason}; write error, warn, info, debug, trace, or a list such as info,hyper=warn"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a log already.
    #[error("the log was started twice in one process")]
    Twice,
}

/// Sends the process's log to standard error from now on.
///
/// # Errors
/// [`LogError::Filter`] for a filter that cannot be read, [`LogError::Twice`] on a second call.
pub fn start(format: Format, filter: &str) -> Result<(), LogError> {
    let filter = read_filter(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        Format::Text { colour } => builder.with_ansi(colour).finish().try_init(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
    };
    started.map_err(|_| LogError::Twice)
}

/// Whether a filter can be read, for checking a configuration.
///
/// # Errors
/// [`LogError::Filter`] when it cannot.
pub fn check(filter: &str) -> Result<(), LogError> {
    read_filter(filter).map(drop)
}

fn read_filter(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), reason: error.to_string() })
}
