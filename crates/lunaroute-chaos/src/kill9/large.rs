//! A start with a large journal: one that nobody may shorten, and one that both writers still have before them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lunaroute_sim::{Provider, Script};
use serde_json::json;
use tempfile::TempDir;

use super::{READY_SECONDS, home};
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, Seen};
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::load::Load;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::probe::drained;
use crate::stage::{record, until};

/// Bytes of most requests here; one in eight has a hundredth of it and a streamed answer.
const BODY_BYTES: usize = 2 << 20;
const CLIENTS: usize = 4;

/// For the journal to grow, and for the writers to catch up with it.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn run(
    program: &Path,
    folder: &TempDir,
    provider: &Provider,
    mebibytes: usize,
) -> Result<Report> {
    provider.reset();
    let mut report = Report::new(format!("a journal of {mebibytes} MiB"));
    let home = home(folder, "large")?;
    let plan = Plan::new(program, &home, provider.base_url());
    let without_writers = plan.clone().with(json!({"recording": {"sqlite": false, "jsonl": false}}));
    let mut sent = Sent::default();

    let gateway = without_writers.start().await?;
    let seen = fill(gateway, &home, mebibytes).await?;
    sent.add(&seen);
    sent.add_ledger(&provider.ledger());

    let gateway = without_writers.start().await?;
    report.line("journal, MiB", (record::journal_bytes(&home)? >> 20) as f64, Promise::Told);
    ready(&mut report, "without writers, time to ready, s", &gateway);
    gateway.kill()?;

    let gateway = plan.start().await?;
    ready(&mut report, "with all of it before both writers, time to ready, s", &gateway);
    let took = drained(gateway.address, PATIENCE).await?;
    report.line("until both writers had it, s", took.as_secs_f64(), Promise::Told);
    gateway.stop().await?;
    Parity::read(&plan, &sent, Keepers::USUAL)?.tell(&mut report);
    std::fs::remove_dir_all(&home).context("the large record cannot be removed")?;
    Ok(report)
}

/// Sends until the journal has so many MiB, then kills.
async fn fill(gateway: Gateway, home: &Path, mebibytes: usize) -> Result<Vec<Seen>> {
    let load = Load::start(gateway.address, CLIENTS, |client, number| {
        let stream = number % 8 == 0;
        let call =
            Call::new(format!("large-{client}-{number}"), PATHS[number % 3], stream, Script::text(100));
        let bytes = if stream { BODY_BYTES / 100 } else { BODY_BYTES };
        (call.of_bytes(bytes, stream), Habit { keep: false, ..Habit::default() })
    });
    until("the journal grows", PATIENCE, async || {
        Ok((record::journal_bytes(home)? >= (mebibytes as u64) << 20).then_some(()))
    })
    .await?;
    load.end();
    gateway.kill()?;
    Ok(load.finish().await)
}

fn ready(report: &mut Report, what: &str, gateway: &Gateway) {
    report.line(what, gateway.ready_after.as_secs_f64(), Promise::AtMost(READY_SECONDS));
}
