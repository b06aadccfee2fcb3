//! `lunaroute sessions`.

mod export;
mod list;
mod show;
mod tail;

use anyhow::Context;
use lunaroute_server::config::{Environment, state_directory};
use lunaroute_session::query::SqliteQuery;

use crate::arguments::{SessionsCommand, Settings};
use crate::config::load;

pub(crate) use list::print_sessions;

pub(crate) fn sessions(settings: &Settings, command: &SessionsCommand) -> anyhow::Result<()> {
    let query = open(settings)?;
    match command {
        SessionsCommand::List(options) => list::list(&query, options, settings.json),
        SessionsCommand::Show { session, request_body, response_body } => {
            show::show(&query, session, request_body.as_deref(), response_body.as_deref(), settings.json)
        }
        SessionsCommand::Tail { lines, no_follow } => tail::tail(&query, *lines, !no_follow, settings.json),
        SessionsCommand::Export { sessions, output } => export::export(&query, sessions, output.as_deref()),
    }
}

/// The recorded sessions of the configured gateway.
fn open(settings: &Settings) -> anyhow::Result<SqliteQuery> {
    let config = load(settings)?.config;
    let directory = config.recording.directory.unwrap_or_else(|| state_directory(&Environment::of_process()));
    let path = directory.join(lunaroute_server::DATABASE_FILE);
    SqliteQuery::open_read_only(&path).with_context(|| {
        format!("no sessions can be read from {}; has a gateway recorded there yet?", path.display())
    })
}
