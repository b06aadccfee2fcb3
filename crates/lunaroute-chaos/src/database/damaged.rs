//! A database that is deleted or overwritten while the gateway runs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};

use super::{BEFORE, NOTICED, Stand};
use crate::report::{Promise, Report};
use crate::stage::client::noise;
use crate::stage::until;

/// SQLite's usual page, in bytes.
const PAGE: usize = 4_096;

/// What is done to the database.
#[derive(Debug, Clone, Copy)]
pub(super) enum Harm {
    Deleted,
    Overwritten { pages: usize },
}

pub(super) async fn run(stand: &mut Stand, harm: Harm) -> Result<Report> {
    let mut report = Report::new(match harm {
        Harm::Deleted => "deleted".to_owned(),
        Harm::Overwritten { pages } => format!("{pages} pages overwritten"),
    });
    let gateway = stand.plan.start().await?;
    let load = Stand::load(&gateway, "before");
    tokio::time::sleep(BEFORE * 2).await;
    let files = stand.database();
    match harm {
        Harm::Deleted => files.iter().filter(|file| file.exists()).try_for_each(std::fs::remove_file)?,
        Harm::Overwritten { pages } => {
            // What the log beside the database still holds would cover the damage.
            let other = Connection::open(&files[0]).context("the database cannot be opened")?;
            other.busy_timeout(BEFORE)?;
            other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
            overwrite(&files[0], pages)?;
        }
    }
    let harmed = Instant::now();
    let again = until("the database is whole again", NOTICED, async || Ok(is_whole(&files[0]).then_some(())));
    let again = again.await.map(|()| harmed.elapsed().as_secs_f64());
    report.line(
        "until there is a whole database again, s",
        again.unwrap_or(f64::NAN),
        Promise::AtMost(NOTICED.as_secs_f64()),
    );
    stand.finish(load).await;
    stand.close(gateway, &mut report).await?;
    Ok(report)
}

/// Puts noise into pages spread over the whole file.
fn overwrite(path: &Path, pages: usize) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path).context("the database cannot be opened")?;
    let there = pages_of(&file)?;
    for page in 0..pages {
        // A step of this length spreads them, and meets the same pages in each run.
        let at = (page * 7_919 + 1) % there;
        file.write_all_at(noise(&page.to_string(), PAGE).as_bytes(), (at * PAGE) as u64)?;
    }
    Ok(())
}

fn pages_of(file: &File) -> Result<usize> {
    Ok((usize::try_from(file.metadata()?.len())? / PAGE).max(1))
}

fn is_whole(path: &Path) -> bool {
    let checked = || {
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
    };
    checked().is_ok_and(|verdict| verdict == "ok")
}
