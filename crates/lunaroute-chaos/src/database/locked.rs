//! Another process holds the database's lock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::Connection;

use super::{BEFORE, PATIENCE, Stand};
use crate::report::{Promise, Report};
use crate::stage::probe::{Metrics, drained, readiness};

/// The label of the SQLite writer's figures.
const SQLITE: &str = "\"sqlite\"";

/// What the writer owes for its rate to be a figure, and the rate that is promised.
const ENOUGH_EVENTS: f64 = 20_000.0;
const EVENTS_PER_SECOND: f64 = 20_000.0;

pub(super) async fn run(stand: &mut Stand, lock: Duration) -> Result<Report> {
    let mut report = Report::new(format!("locked for {} s", lock.as_secs()));
    let gateway = stand.plan.start().await?;
    let load = Stand::load(&gateway, "locked");
    tokio::time::sleep(BEFORE).await;

    let [path, ..] = stand.database();
    let other = Connection::open(&path).context("the database cannot be opened")?;
    other.busy_timeout(PATIENCE)?;
    other.execute_batch("BEGIN EXCLUSIVE").context("the database cannot be locked")?;
    tokio::time::sleep(lock).await;
    let told = readiness(gateway.address).await?;
    let before = Metrics::read(gateway.address).await?;
    let behind = before.sum_of("lunaroute_recorder_writer_behind_bytes", SQLITE);
    stand.finish(load).await;
    let before =
        Metrics::read(gateway.address).await?.sum_of("lunaroute_recorder_writer_written_total", SQLITE);
    let unlocked = Instant::now();
    other.execute_batch("ROLLBACK").context("the database cannot be unlocked")?;
    drained(gateway.address, PATIENCE).await?;
    let took = unlocked.elapsed().as_secs_f64();
    let after =
        Metrics::read(gateway.address).await?.sum_of("lunaroute_recorder_writer_written_total", SQLITE);

    // A lock that is shorter than the writer's own patience with locks is none that has to be told.
    let degraded = lock < Duration::from_secs(6) || told == "degraded";
    report.count("told as anything but degraded", usize::from(!degraded), Promise::Exactly(0.0));
    report.line("journal that the writer had before it, KiB", behind / 1_024.0, Promise::Told);
    report.line("until it had all, s", took, Promise::Told);
    let events = after - before;
    let promise = if events >= ENOUGH_EVENTS { Promise::AtLeast(EVENTS_PER_SECOND) } else { Promise::Told };
    report.line("events/s meanwhile", events / took, promise);
    stand.close(gateway, &mut report).await?;
    Ok(report)
}
