//! What the gateway wrote down: read back from the database, the JSON Lines files and the journal, each by itself.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lunaroute_core::RequestId;
use lunaroute_session::codec::{self, EventReader};
use lunaroute_session::event::EventKind;
use lunaroute_session::query::{
    Listing, Page, QueryError, RequestFilter, RequestRecord, SessionFilter, SessionQuery, SqliteQuery,
};
use lunaroute_session::writer::JournaledEvent;
use lunaroute_storage::journal::read_all;
use serde::Deserialize;

use super::client::MARK;

/// The names that the gateway gives to the parts of its record.
const DATABASE: &str = "lunaroute.sqlite";
const JOURNAL: &str = "journal";
const FILES: &str = "sessions";

/// What one keeper of the record has of one request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    /// The mark that the client gave it; `None` when its beginning is not there.
    pub(crate) mark: Option<String>,
    /// How often it begins, and ends.
    pub(crate) starts: usize,
    pub(crate) ends: usize,
    /// How often something is told that was told before.
    pub(crate) repeats: usize,
    /// Gaps that name it.
    pub(crate) gaps: usize,
}

/// What one keeper of the record has, by request.
pub(crate) type Keeper = HashMap<RequestId, Kept>;

/// The database of a record, for its details.
pub(crate) fn query(home: &Path) -> Result<SqliteQuery> {
    SqliteQuery::open_read_only(&database(home)).context("the database cannot be opened")
}

/// Where the database of a record is.
pub(crate) fn database(home: &Path) -> PathBuf {
    home.join(DATABASE)
}

/// Where the journal of a record is.
pub(crate) fn journal(home: &Path) -> PathBuf {
    home.join(JOURNAL)
}

/// Bytes of the journal's segments.
pub(crate) fn journal_bytes(home: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(journal(home)).context("the journal cannot be listed")? {
        let file = file?;
        if file.path().extension().is_some_and(|extension| extension == "journal") {
            // One that is pruned between the two looks has no bytes any more.
            bytes += file.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}

/// Every request of the database, session by session: one list of all would be sorted anew for each of its pages.
pub(crate) fn rows(query: &SqliteQuery) -> Result<Vec<RequestRecord>> {
    let sessions = all(|page| query.sessions(&SessionFilter::default(), page))?;
    let mut rows = Vec::new();
    for session in sessions {
        let filter = RequestFilter { session: Some(session.id), ..RequestFilter::default() };
        rows.extend(all(|page| query.requests(&filter, page))?);
    }
    Ok(rows)
}

/// All pages of a list.
fn all<T>(mut list: impl FnMut(Page) -> Result<Listing<T>, QueryError>) -> Result<Vec<T>> {
    let mut items = Vec::new();
    loop {
        let page = list(Page::new(1_000, items.len() as u64))?;
        items.extend(page.items);
        if !page.more {
            return Ok(items);
        }
    }
}

/// What the database has.
pub(crate) fn in_database(query: &SqliteQuery) -> Result<Keeper> {
    let mut keeper = Keeper::new();
    for row in rows(query)? {
        let detail = query.request(row.id)?;
        let kept = keeper.entry(row.id).or_default();
        kept.repeats += usize::from(kept.starts > 0);
        kept.starts += 1;
        kept.ends += usize::from(row.ending.is_some());
        kept.gaps += usize::from(row.gap_cause.is_some());
        kept.mark = mark_of(&detail.request_headers);
    }
    Ok(keeper)
}

/// What the JSON Lines files have.
pub(crate) fn in_files(home: &Path) -> Result<Keeper> {
    #[derive(Deserialize)]
    struct Line {
        request: RequestId,
        seq: u32,
        kind: String,
        #[serde(default)]
        headers: Vec<(String, String)>,
    }
    let (mut keeper, mut told) = (Keeper::new(), HashSet::new());
    for path in files(home)? {
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in BufReader::new(file).split(b'\n') {
            let line: Line = serde_json::from_slice(&line?)
                .with_context(|| format!("{} has a line that is none", path.display()))?;
            let kept = keeper.entry(line.request).or_default();
            kept.repeats += usize::from(!told.insert((line.request, line.seq)));
            match line.kind.as_str() {
                "started" => {
                    kept.starts += 1;
                    kept.mark = mark_of(&line.headers);
                }
                "completed" => kept.ends += 1,
                "gap" => kept.gaps += 1,
                _ => {}
            }
        }
    }
    Ok(keeper)
}

/// What the part of the journal has that still exists, and how many of its frames could not be read.
pub(crate) fn in_journal(home: &Path) -> Result<(Keeper, usize)> {
    let (mut keeper, mut told, mut unreadable) = (Keeper::new(), HashSet::new(), 0);
    let mut reader = EventReader::new(journal(home));
    let mut whole = read_all(journal(home)).context("the journal cannot be read")?;
    for frame in whole.by_ref() {
        let frame = frame.context("the journal cannot be read")?;
        if frame.kind != codec::EVENT {
            continue;
        }
        let Ok(events) = reader.events(&frame) else {
            unreadable += 1;
            continue;
        };
        for JournaledEvent { event, .. } in events {
            let kept = keeper.entry(event.request).or_default();
            kept.repeats += usize::from(!told.insert((event.request, event.seq)));
            match &event.kind {
                EventKind::Started(started) => {
                    kept.starts += 1;
                    kept.mark = mark_of(&started.headers);
                }
                EventKind::Completed { .. } => kept.ends += 1,
                EventKind::Gap { .. } => kept.gaps += 1,
                _ => {}
            }
        }
    }
    unreadable += usize::try_from(reader.lost_bodies()).unwrap_or(usize::MAX);
    let damaged = usize::try_from(whole.damage().damaged_frames).unwrap_or(usize::MAX);
    Ok((keeper, unreadable + damaged))
}

/// The session files of all days.
fn files(home: &Path) -> Result<Vec<PathBuf>> {
    let directory = home.join(FILES);
    let mut found = Vec::new();
    for day in
        std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let day = day?.path();
        if day.is_dir() {
            for file in std::fs::read_dir(&day)? {
                found.push(file?.path());
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    found.sort();
    Ok(found)
}

fn mark_of(headers: &[(String, String)]) -> Option<String> {
    headers.iter().find(|(name, _)| name == MARK).map(|(_, mark)| mark.clone())
}
