//! P10: clients that hang up before the answer, before its first token and in the middle of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lunaroute_core::Timestamp;
use lunaroute_session::query::{QueryError, SessionQuery, SqliteQuery};
use lunaroute_sim::{Entry, Outcome, Provider, Script};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, Seen, watch};
use crate::stage::gateway::Plan;
use crate::stage::probe::drained;
use crate::stage::record::{in_database, query};
use crate::stage::{provider, until};

/// Clients that hang up at the same time.
const AT_ONCE: usize = 50;

const PATIENCE: Duration = Duration::from_secs(60);

/// For the recorder to have written all of it.
const WRITTEN: Duration = Duration::from_secs(300);

/// Until the provider has to notice.
const SOON_MS: f64 = 250.0;

/// What the record may lack of what the provider handed over: the declared tail.
const TAIL: u64 = 64 << 10;

/// When a client hangs up.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeHead,
    BeforeToken,
    Streaming,
}

impl Moment {
    const ALL: [Self; 3] = [Self::BeforeHead, Self::BeforeToken, Self::Streaming];

    fn script(self) -> Script {
        match self {
            Self::BeforeHead => Script { first_byte_delay_ms: 60_000, ..Script::default() },
            Self::BeforeToken => Script { event_delay_ms: 60_000, ..Script::default() },
            Self::Streaming => Script { endless: true, event_delay_ms: 3, ..Script::default() },
        }
    }

    /// Before the head it is patience that ends, afterwards a number of pieces.
    fn habit(self) -> Habit {
        let pieces = match self {
            Self::BeforeHead => usize::MAX,
            Self::BeforeToken => 1,
            Self::Streaming => 12,
        };
        let patience = if matches!(self, Self::BeforeHead) { Duration::from_millis(400) } else { PATIENCE };
        Habit { patience, pieces, keep: true, ..Habit::default() }
    }
}

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let mut report = Report::new("hang-ups");
    cancelled(program, folder, scale, &mut report).await?;
    read_on(program, folder, scale, &mut report).await?;
    Ok(report)
}

async fn cancelled(program: &Path, folder: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    let clients = scale.of(90, 2_000);
    let provider = provider().await?;
    let plan = Plan::new(program, &home(folder, "cancel")?, provider.base_url());
    let gateway = plan.start().await?;
    let left = hang_up(gateway.address, clients, |number| {
        let moment = Moment::ALL[number % 3];
        (
            Call::new(format!("{moment:?}-{number}"), PATHS[number / 3 % 3], true, moment.script()),
            moment.habit(),
        )
    })
    .await;
    let entries = entries(&provider, left.len()).await?;
    drained(gateway.address, WRITTEN).await?;
    gateway.stop().await?;
    let query = query(&plan.home)?;
    let ids: HashMap<_, _> =
        in_database(&query)?.into_iter().filter_map(|(id, kept)| Some((kept.mark?, id))).collect();
    let (mut delays, mut tally) = (Vec::new(), Tally::default());
    for (seen, left_at) in &left {
        let Some(entry) = entries.get(&seen.mark) else {
            tally.unseen += 1;
            continue;
        };
        if entry.outcome != Some(Outcome::ClientGone) {
            tally.not_cut += 1;
        }
        let noticed = entry.finished_at.map_or(f64::NAN, |at| at.micros_since(*left_at) as f64 / 1e3);
        delays.push(noticed);
        match ids.get(&seen.mark) {
            Some(id) => tally.compare(&query, *id, entry, seen)?,
            None => tally.unrecorded += 1,
        }
    }
    delays.sort_by(f64::total_cmp);
    let p99 = delays.get((delays.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN);
    let none = Promise::Exactly(0.0);
    report.count("hang-ups", left.len(), Promise::Told);
    report.line("the provider was cut after, p99, ms", p99, scale.judged(Promise::AtMost(SOON_MS)));
    report.count("never reached the provider", tally.unseen, Promise::Told);
    report.count("not cut at the provider", tally.not_cut, none);
    report.count("not in the record", tally.unrecorded, none);
    report.count("recorded otherwise than as cancelled", tally.otherwise, none);
    report.count("recorded with other bytes than the client had", tally.foreign, none);
    #[expect(clippy::cast_precision_loss, reason = "at most some KiB")]
    report.line(
        "bytes that the provider handed over and the record lacks, most",
        tally.tail as f64,
        Promise::AtMost(TAIL as f64),
    );
    Ok(())
}

/// With `drain` the answer is read on for the record.
async fn read_on(program: &Path, folder: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    let clients = scale.of(12, 200);
    let provider = provider().await?;
    let settings = json!({"streaming": {"on_disconnect": "drain"}});
    let plan = Plan::new(program, &home(folder, "drain")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let left = hang_up(gateway.address, clients, |number| {
        let script = Script { event_delay_ms: 10, ..Script::text(40) };
        let habit = Habit { pieces: 2, ..Habit::default() };
        (Call::new(format!("drain-{number}"), PATHS[number % 3], true, script), habit)
    })
    .await;
    let entries = entries(&provider, left.len()).await?;
    gateway.stop().await?;
    let query = query(&plan.home)?;
    let mut short = 0;
    for (seen, _) in &left {
        let entry = entries.get(&seen.mark).context("the provider knows every request")?;
        let id = seen.id.with_context(|| format!("every answer has an id: {seen:?}"))?;
        let detail = query.request(id)?;
        let whole = entry.outcome == Some(Outcome::Completed)
            && detail.request.ending.as_deref() == Some("cancelled")
            && detail.request.response_bytes == Some(entry.bytes_sent);
        short += usize::from(!whole);
    }
    report.count("hang-ups with on_disconnect: drain", left.len(), Promise::Told);
    report.count("whose answer was not recorded to its end", short, Promise::Exactly(0.0));
    Ok(())
}

#[derive(Default)]
struct Tally {
    unseen: usize,
    not_cut: usize,
    unrecorded: usize,
    otherwise: usize,
    foreign: usize,
    tail: u64,
}

impl Tally {
    fn compare(
        &mut self,
        query: &SqliteQuery,
        id: lunaroute_core::RequestId,
        entry: &Entry,
        seen: &Seen,
    ) -> Result<()> {
        let detail = query.request(id)?;
        self.otherwise += usize::from(detail.request.ending.as_deref() != Some("cancelled"));
        let kept = match query.response_body(id) {
            Ok(body) => body,
            Err(QueryError::NotKept { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let common = kept.len().min(seen.body.len());
        self.foreign += usize::from(kept[..common] != seen.body[..common] || kept.len() < seen.body.len());
        self.tail = self.tail.max(entry.bytes_sent.saturating_sub(kept.len() as u64));
        Ok(())
    }
}

/// Lets so many clients hang up and gives what each saw, and when it left.
async fn hang_up(
    address: SocketAddr,
    clients: usize,
    make: impl Fn(usize) -> (Call, Habit),
) -> Vec<(Seen, Timestamp)> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let ((call, habit), places) = (make(number), Arc::clone(&places));
        tasks.spawn(async move {
            let _place = places.acquire().await;
            let seen = watch(address, &call, habit, &AtomicUsize::new(0)).await;
            let since = seen.ended_at.map_or(Duration::ZERO, |at: Instant| at.elapsed());
            let now = Timestamp::now().as_micros();
            let left_at = now - i64::try_from(since.as_micros()).unwrap_or(0);
            (seen, Timestamp::from_micros(left_at))
        });
    }
    tasks.join_all().await
}

/// What the provider has of these requests, once all have ended.
async fn entries(provider: &Provider, least: usize) -> Result<HashMap<String, Entry>> {
    // A hang-up before the head may be so early that the provider never hears of it.
    until("the provider has ended every answer", PATIENCE, async || {
        let ledger = provider.ledger();
        Ok((ledger.finished() == ledger.entries.len() && ledger.entries.len() * 10 >= least * 9)
            .then_some(()))
    })
    .await?;
    let entries = provider.ledger().entries.into_iter();
    Ok(entries.filter_map(|entry| Some((entry.test_id.clone()?, entry))).collect())
}
