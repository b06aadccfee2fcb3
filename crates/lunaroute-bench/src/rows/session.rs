//! What a session takes on the disk whose every request says all that was said before.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;

use super::lasting::MEBIBYTE;
use super::not_done;
use crate::connection::Connection;
use crate::home::{Home, Sizes};
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, DRAIN};
use crate::probe;
use crate::stand::Place;
use crate::workload::conversation::{Conversation, request};

const REQUESTS: u32 = 100;
const NAME: &str = "bench-session";

/// A journal is let go of after a minute without a request; what stays of it is less than this.
const REST: Duration = Duration::from_secs(75);
const REMAINDER: u64 = 16 * 1_024;

/// Sends a session through a fresh gateway, lets the recorder finish and rest, stops the gateway, and asks for every
/// request.
pub(super) fn session(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.stand.renew(&[Place::On])?;
    let before = bench.stand.home(Place::On)?.sizes()?;
    let bodies = Conversation::new(NAME).session(REQUESTS);
    let at = bench.stand.address(Place::On)?;
    let runtime = bench.stand.runtime();
    runtime.block_on(async {
        let mut connection = Connection::open(at).await?;
        for body in &bodies {
            connection.exchange(request(&at.to_string(), NAME, body.clone())?).await?;
        }
        anyhow::Ok(())
    })?;
    let left = runtime.block_on(probe::drain(at, DRAIN))?;
    let running = bench.stand.home(Place::On)?.sizes()?;
    rest(bench, before.journal)?;
    let home = bench.stand.retire(Place::On)?;
    let stopped = home.sizes()?;
    let restored = restored(&home, bench, &bodies)?;
    let raw: usize = bodies.iter().map(Bytes::len).sum();
    let beyond = |sizes: &Sizes| {
        (sizes.database + sizes.journal).saturating_sub(before.database + before.journal) as f64
    };
    let share = beyond(&stopped) / raw as f64;
    let stored = Line::alone("stored / raw bytes, session of 100 turns", Recording::On, "share", Some(share))
        .limit(Limit::AtMost(1.0 / 20.0))
        .stretch(Limit::AtMost(1.0 / 50.0))
        .note(&words(raw, &before, &running, &stopped));
    let stored = match left {
        Some(left) => stored.spoil(&not_done(left)),
        None => stored,
    };
    let percent = restored as f64 / f64::from(REQUESTS) * 100.0;
    let restored = Line::alone(
        "requests restored byte for byte, session of 100 turns",
        Recording::On,
        "%",
        Some(percent),
    )
    .limit(Limit::AtLeast(100.0));
    Ok(vec![stored, restored])
}

/// Waits until the gateway has noticed that nothing comes any more, and its journal is about as short as it was.
fn rest(bench: &Bench, before: u64) -> Result<()> {
    let deadline = Instant::now() + REST;
    while bench.stand.home(Place::On)?.sizes()?.journal > before + REMAINDER && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(200));
    }
    Ok(())
}

/// How many requests come back as they were sent.
fn restored(home: &Home, bench: &Bench, bodies: &[Bytes]) -> Result<usize> {
    let program = bench.stand.program(Place::On);
    let (sessions, _) = home.json(program, &["sessions", "list"])?;
    let name = sessions["items"][0]["id"].as_str().context("no session was recorded")?;
    let mut same = 0;
    for (position, body) in bodies.iter().enumerate() {
        let number = (position + 1).to_string();
        let shown = home.output(program, &["sessions", "show", name, "--request-body", &number])?;
        same += usize::from(shown.status.success() && shown.stdout == *body);
    }
    Ok(same)
}

fn words(raw: usize, before: &Sizes, running: &Sizes, stopped: &Sizes) -> String {
    let mebibytes = |bytes: u64| bytes as f64 / MEBIBYTE;
    format!(
        "{:.2} MiB raw; MiB beyond an empty home: database {:.2} (while it runs {:.2}), journal {:.2}; JSON Lines, not \
         counted, {:.2}",
        mebibytes(raw as u64),
        mebibytes(stopped.database.saturating_sub(before.database)),
        mebibytes(running.database.saturating_sub(before.database)),
        mebibytes(stopped.journal.saturating_sub(before.journal)),
        mebibytes(stopped.files),
    )
}
