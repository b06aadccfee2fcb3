//! `lunaroute sessions`.

mod export;
mod list;
mod remove;
mod show;
mod tail;

use std::path::{Path, PathBuf};

use anyhow::Context;
use lunaroute_server::config::{Environment, state_directory};
use lunaroute_session::query::SqliteQuery;

use crate::arguments::{SessionsCommand, Settings};
use crate::config::load;

pub(crate) use list::print_sessions;

pub(crate) fn sessions(settings: &Settings, command: &SessionsCommand) -> anyhow::Result<()> {
    let directory = directory(settings)?;
    let query = open(&directory)?;
    match command {
        SessionsCommand::List(options) => list::list(&query, options, settings.json),
        SessionsCommand::Show { session, request_body, response_body, provider_form } => {
            let bodies = (request_body.as_deref(), response_body.as_deref(), *provider_form);
            show::show(&query, session, bodies, settings.json)
        }
        SessionsCommand::Tail { lines, no_follow } => tail::tail(&query, *lines, !no_follow, settings.json),
        SessionsCommand::Export { sessions, output } => export::export(&query, sessions, output.as_deref()),
        SessionsCommand::Delete { sessions } => remove::delete(&query, &directory, sessions, settings.json),
        SessionsCommand::Prune { before, yes } => remove::prune(&directory, before, *yes, settings.json),
    }
}

/// Where the configured gateway records.
fn directory(settings: &Settings) -> anyhow::Result<PathBuf> {
    let config = load(settings)?.config;
    Ok(config.recording.directory.unwrap_or_else(|| state_directory(&Environment::of_process())))
}

/// The recorded sessions there.
fn open(directory: &Path) -> anyhow::Result<SqliteQuery> {
    let path = directory.join(lunaroute_server::DATABASE_FILE);
    SqliteQuery::open_read_only(&path).with_context(|| {
        format!("no sessions can be read from {}; has a gateway recorded there yet?", path.display())
    })
}
