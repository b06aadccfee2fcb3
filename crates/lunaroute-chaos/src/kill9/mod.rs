//! `kill -9` under live streams: what was accepted is recorded once, nothing stays open, and little of a stream's end
//! goes with the process.

mod large;
mod tail;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lunaroute_sim::Script;
use tempfile::TempDir;
use tokio::task::JoinSet;

use self::tail::Tail;
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, Seen, watch};
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::load::Load;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::{provider, until};

/// Kills that one record lives through before the next begins empty: every kill is followed by a comparison of the whole
/// record.
const KILLS_OF_A_RECORD: usize = 20;

/// Clients that send short requests beside the streams.
const PLAIN_CLIENTS: usize = 4;

/// Pieces that each stream has sent when the gateway is killed, and the time between them: together many times the
/// declared tail.
const PIECES: usize = 40;
const PIECE_EVERY_MS: u64 = 20;

/// For all streams to live.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until a killed gateway is ready again.
pub(crate) const READY_SECONDS: f64 = 2.0;

/// The run.
#[derive(Debug, Clone, Copy)]
pub struct Kill9 {
    /// How often the gateway is killed.
    pub kills: usize,
    /// Streams that live at each kill.
    pub streams: usize,
    /// MiB of the journal that a gateway is started with at the end; 0 leaves that part out.
    pub journal_mib: usize,
}

impl Kill9 {
    /// What is promised.
    pub const FULL: Self = Self { kills: 200, streams: 100, journal_mib: 1_024 };
    /// For every change.
    pub const SHORT: Self = Self { kills: 5, streams: 20, journal_mib: 16 };

    /// Kills, compares and measures.
    ///
    /// # Errors
    /// When the gateway or the provider cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let provider = provider().await?;
        let mut report = Report::new(format!("{} kills under {} live streams", self.kills, self.streams));
        let (mut parity, mut tail, mut ready) = (Parity::default(), Tail::default(), Duration::ZERO);
        let mut done = 0;
        while done < self.kills {
            provider.reset();
            let home = home(&folder, &format!("record-{done}"))?;
            let plan = Plan::new(program, &home, provider.base_url());
            let mut sent = Sent::default();
            let mut of_record = Parity::default();
            let first = done;
            done = self.kills.min(first + KILLS_OF_A_RECORD);
            for round in first..done {
                let (seen, killed_at) = self.load_and_kill(round, plan.start().await?).await?;
                let gateway = plan.start().await?;
                ready = ready.max(gateway.ready_after);
                gateway.stop().await?;
                sent.add(&seen);
                sent.add_ledger(&provider.ledger());
                of_record = Parity::read(&plan, &sent, Keepers::USUAL)?;
                tail.measure(&home, &seen, killed_at)?;
                eprintln!("kill {}: {of_record:?}", round + 1);
                if !of_record.holds() {
                    break;
                }
            }
            parity.add(of_record);
            std::fs::remove_dir_all(&home).context("an old record cannot be removed")?;
        }
        parity.tell(&mut report);
        tail.tell(&mut report);
        report.line(
            "longest time to ready after a kill, s",
            ready.as_secs_f64(),
            Promise::AtMost(READY_SECONDS),
        );
        if self.journal_mib > 0 {
            report.take_over(large::run(program, &folder, &provider, self.journal_mib).await?);
        }
        provider.shutdown().await;
        Ok(report)
    }

    /// Streams that live when the gateway is killed, and short requests that come and go.
    async fn load_and_kill(&self, round: usize, gateway: Gateway) -> Result<(Vec<Seen>, Instant)> {
        let address = gateway.address;
        let mut streams = JoinSet::new();
        let mut alive = Vec::new();
        for number in 0..self.streams {
            let pieces = Arc::new(AtomicUsize::new(0));
            alive.push(Arc::clone(&pieces));
            let script = Script { endless: true, event_delay_ms: PIECE_EVERY_MS, ..Script::default() };
            let path = PATHS[number % PATHS.len()];
            let call = Call::new(format!("{round}-stream-{number}"), path, true, script);
            streams.spawn(async move { watch(address, &call, Habit::default(), &pieces).await });
        }
        let plain = Load::start(address, PLAIN_CLIENTS, move |client, number| {
            let stream = number % 2 == 0;
            let script = Script { first_byte_delay_ms: 15, ..Script::text(5) };
            let mark = format!("{round}-plain-{client}-{number}");
            (Call::new(mark, PATHS[number % PATHS.len()], stream, script), Habit::default())
        });
        until("every stream lives", PATIENCE, async || {
            Ok(alive.iter().all(|pieces| pieces.load(Ordering::Relaxed) >= PIECES).then_some(()))
        })
        .await?;
        plain.end();
        let killed_at = Instant::now();
        tokio::task::block_in_place(|| gateway.kill())?;
        let mut seen = plain.finish().await;
        while let Some(stream) = streams.join_next().await {
            seen.push(stream.context("a client panicked")?);
        }
        Ok((seen, killed_at))
    }
}

/// A state directory of that name, with nothing in it.
fn home(folder: &TempDir, name: &str) -> Result<std::path::PathBuf> {
    let home = folder.path().join(name);
    std::fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
    Ok(home)
}
