//! Exit codes, and how an error is told.

use std::io;
use std::process::ExitCode;

use lunaroute_server::StartError;
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
    anstream::eprintln!("lunaroute: {}", told(&error));
    ExitCode::from(kind(&error))
}

/// The error and its causes, each once: many say their cause themselves.
fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// Whether the configuration has to be mended, something has to be made reachable, or neither.
fn kind(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<ConfigError>().is_some() {
        return CONFIGURATION;
    }
    if let Some(QueryError::Open(_)) = error.downcast_ref() {
        return UNAVAILABLE;
    }
    match error.downcast_ref() {
        Some(
            StartError::BaseUrl { .. }
            | StartError::Key { .. }
            | StartError::Routes(_)
            | StartError::Catalog { .. }
            | StartError::Egress(_)
            | StartError::Proxy(_)
            | StartError::Log(_),
        ) => CONFIGURATION,
        Some(
            StartError::Bind(_)
            | StartError::State { .. }
            | StartError::Database { .. }
            | StartError::Sessions(_)
            | StartError::Files { .. }
            | StartError::Recorder(_),
        ) => UNAVAILABLE,
        Some(StartError::Metrics(_) | StartError::System(_)) | None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the journal cannot be opened: {0}")]
    struct Told(#[source] io::Error);

    #[test]
    fn each_cause_is_told_once() {
        let error = anyhow::Error::from(Told(io::Error::other("it is in use"))).context("cannot serve");
        assert_eq!(told(&error), "cannot serve: the journal cannot be opened: it is in use");
    }
}
