//! The real gateway on a file system that gets full and has room again later.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lunaroute_session::query::{QueryError, RequestRecord, SessionQuery, SqliteQuery};
use lunaroute_sim::{Provider, Script};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::mounts::Mounted;
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, Seen};
use crate::stage::gateway::Plan;
use crate::stage::load::Load;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::probe::{drained, readiness};
use crate::stage::{record, until};

const CLIENTS: usize = 6;
const BODY_BYTES: usize = 24 << 10;

/// Size of the file system once it has room again, in MiB.
const ROOM: u64 = 2_048;

/// For the file system to be full, for the gateway to notice that it is not any more, and for the writers to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is done about a request that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// It is served all the same.
    Open,
    /// It is refused.
    Required,
}

/// Fills a file system of so many MiB, loads the gateway for `full` longer, makes room, and compares.
pub(super) async fn run(
    program: &Path,
    folder: &TempDir,
    provider: &Provider,
    (mebibytes, policy, full): (u64, Policy, Duration),
) -> Result<Report> {
    provider.reset();
    let name = format!("{mebibytes} MiB, {policy:?}");
    let home = folder.path().join(format!("disk-{mebibytes}-{policy:?}"));
    std::fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let disk = Mounted::new(&home, mebibytes)?;
    let required = policy == Policy::Required;
    let settings = json!({"recording": {"required": required}});
    let plan = Plan::new(program, &home, provider.base_url()).with(settings);

    let gateway = plan.start().await?;
    let load = Load::start(gateway.address, CLIENTS, |client, number| {
        let stream = number % 2 == 0;
        let mark = format!("full-{client}-{number}");
        let call = Call::new(mark, PATHS[number % PATHS.len()], stream, Script::text(60));
        (call.of_bytes(BODY_BYTES, stream), Habit::default())
    });
    until("the file system is full", PATIENCE, async || {
        Ok((readiness(gateway.address).await? != "ready").then_some(()))
    })
    .await?;
    tokio::time::sleep(full).await;
    disk.resize(ROOM)?;
    let whole_again = until("the gateway is whole again", PATIENCE, async || {
        Ok((readiness(gateway.address).await? == "ready").then_some(()))
    });
    whole_again.await.with_context(|| plan.log_tail())?;
    let seen = load.finish().await;
    drained(gateway.address, PATIENCE).await?;
    let told = gateway.end().await?;

    let mut sent = Sent::default();
    sent.add(&seen);
    sent.add_ledger(&provider.ledger());
    let mut report = Report::new(name);
    availability(&seen, policy, &mut report);
    Parity::read(&plan, &sent, Keepers::USUAL)?.tell(&mut report);
    let gaps = account(&home, &seen, &mut report)?;
    // A gateway whose record has gaps says so at its end.
    report.count(
        "gaps that the exit code conceals",
        usize::from(gaps && told.success()),
        Promise::Exactly(0.0),
    );
    Ok(report)
}

/// Whether everybody was served, or told that the gateway cannot.
fn availability(seen: &[Seen], policy: Policy, report: &mut Report) {
    let served = seen.iter().filter(|seen| seen.succeeded()).count();
    let refused = seen.iter().filter(|seen| seen.refused()).count();
    let none = Promise::Exactly(0.0);
    report.count("requests", seen.len(), Promise::Told);
    report.count(
        "refused (503, or 529 in Messages)",
        refused,
        if policy == Policy::Open { none } else { Promise::Told },
    );
    report.count("neither served nor refused", seen.len() - served - refused, none);
    let other = seen.iter().filter(|seen| !seen.succeeded() && !seen.refused());
    for seen in other.take(3) {
        let end: String = String::from_utf8_lossy(&seen.body).chars().rev().take(160).collect();
        let end: String = end.chars().rev().collect();
        let (mark, status, whole) = (&seen.mark, seen.status, seen.whole);
        report.note(format!(
            "{mark}: status {status:?}, whole {whole}, {} bytes, ending {end:?}",
            seen.body.len()
        ));
    }
}

/// Whether each answer and each body is in the record, or a gap of the same request says that it is not. Gives whether
/// there are gaps.
fn account(home: &Path, seen: &[Seen], report: &mut Report) -> Result<bool> {
    let query = record::query(home)?;
    let rows: HashMap<_, _> = record::rows(&query)?.into_iter().map(|row| (row.id, row)).collect();
    let (mut gaps, mut unaccounted) = (0, 0);
    for seen in seen.iter().filter(|seen| seen.succeeded()) {
        let row = seen.id.and_then(|id| rows.get(&id));
        let whole = row.map_or(Ok(false), |row| is_whole(&query, row, seen))?;
        let gap = row.is_some_and(|row| row.gap_cause.is_some());
        gaps += usize::from(gap);
        if !whole && !gap {
            unaccounted += 1;
            if unaccounted <= 3 {
                report.note(format!("{} is not whole in the record, and no gap says so: {row:?}", seen.mark));
            }
        }
    }
    report.count("requests with a gap in the record", gaps, Promise::Told);
    report.count("requests that are not whole and name no gap", unaccounted, Promise::Exactly(0.0));
    let database = Connection::open(record::database(home)).context("the database cannot be opened")?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(!verdict.is_empty(), "the database says nothing of itself");
    report.count("problems of the database's pages", usize::from(verdict != "ok"), Promise::Exactly(0.0));
    Ok(gaps > 0)
}

fn is_whole(query: &SqliteQuery, row: &RequestRecord, seen: &Seen) -> Result<bool> {
    let kept = |body: Result<Vec<u8>, QueryError>| match body {
        Ok(body) => Ok(Some(body)),
        Err(QueryError::NotKept { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let asked = kept(query.request_body(row.id))?;
    let answered = kept(query.response_body(row.id))?;
    Ok(asked.is_some_and(|body| body.len() == seen.asked) && answered.is_some_and(|body| body == seen.body))
}
