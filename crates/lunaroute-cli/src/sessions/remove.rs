//! `lunaroute sessions delete` and `prune`.

use std::path::Path;

use anyhow::{Context, bail};
use lunaroute_core::SessionId;
use lunaroute_server::{DATABASE_FILE, JSONL_DIRECTORY};
use lunaroute_session::query::{Page, SessionFilter, SessionQuery};
use lunaroute_session::sqlite::{Remover, SessionFiles, SqliteConfig};
use serde_json::json;

use super::list::moment;
use crate::output::print_json;

/// Removes the named sessions.
pub(super) fn delete(
    query: &dyn SessionQuery,
    directory: &Path,
    names: &[String],
    json: bool,
) -> anyhow::Result<()> {
    // All are found before the first goes, so that a misspelt name removes nothing.
    let sessions = names.iter().map(|name| find(query, name)).collect::<anyhow::Result<Vec<_>>>()?;
    let remover = open(directory)?;
    remove(&remover, &sessions, json)
}

/// Removes the sessions without activity since `before`; without `yes` it only says how many those are.
pub(super) fn prune(directory: &Path, before: &str, yes: bool, json: bool) -> anyhow::Result<()> {
    let remover = open(directory)?;
    let sessions = remover.sessions_before(moment(before, false)?)?;
    if yes {
        return remove(&remover, &sessions, json);
    }
    if json {
        return print_json(&json!({ "would_be_removed": sessions }));
    }
    println!("{} sessions have had no activity since {before}; --yes removes them", sessions.len());
    Ok(())
}

fn open(directory: &Path) -> anyhow::Result<Remover> {
    let files = SessionFiles::json_lines(directory.join(JSONL_DIRECTORY));
    Ok(Remover::open(&SqliteConfig::new(directory.join(DATABASE_FILE)), Some(files))?)
}

fn remove(remover: &Remover, sessions: &[SessionId], json: bool) -> anyhow::Result<()> {
    let mut removed = Vec::with_capacity(sessions.len());
    for session in sessions {
        if remover.remove(session).with_context(|| format!("{} were removed before", removed.len()))? {
            removed.push(session);
        }
    }
    remover.give_space_back()?;
    if json {
        return print_json(&json!({ "removed": removed }));
    }
    println!("{} sessions were removed", removed.len());
    Ok(())
}

/// The session of that id, or the only one whose id begins so.
fn find(query: &dyn SessionQuery, name: &str) -> anyhow::Result<SessionId> {
    let filter = SessionFilter { id: Some(name.to_owned()), ..SessionFilter::default() };
    let found = query.sessions(&filter, Page::new(1_000, 0))?.items;
    let exact = found.iter().find(|session| session.id.as_str() == name);
    match (exact, found.as_slice()) {
        (Some(session), _) | (None, [session]) => Ok(session.id.clone()),
        (None, []) => bail!("no session's id begins with '{name}'; nothing was removed"),
        (None, _) => {
            bail!("'{name}' begins the ids of several sessions; give more of it; nothing was removed")
        }
    }
}
