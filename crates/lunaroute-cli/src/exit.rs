//! Exit codes, and how an error is told.

use std::io;
use std::process::ExitCode;

use lunaroute_server::config::ConfigError;
use lunaroute_session::query::QueryError;

/// The configuration is wrong (`EX_CONFIG`).
const CONFIGURATION: u8 = 78;
/// Something that is needed cannot be reached (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

/// What a command ends with when it is neither done nor failed by an error.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("ended with code {0}")]
pub(crate) struct Code(pub(crate) u8);

/// Something that is needed cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// Tells the error on standard error and gives the exit code that goes with it.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if let Some(Code(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    // A reader that stopped reading, such as `head`, is no failure.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    anstream::eprintln!("lunaroute: {error:#}");
    ExitCode::from(if error.downcast_ref::<ConfigError>().is_some() {
        CONFIGURATION
    } else if error.downcast_ref::<Unavailable>().is_some()
        || matches!(error.downcast_ref(), Some(QueryError::Open(_)))
    {
        UNAVAILABLE
    } else {
        1
    })
}
