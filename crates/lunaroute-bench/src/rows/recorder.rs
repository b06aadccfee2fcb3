//! The recorder without a gateway around it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use lunaroute_session::SyncPolicy;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::alone::{Alone, Writers, times};
use crate::figures::median;
use crate::limits::Limit;
use crate::line::{Line, Recording};
use crate::measure::{Bench, Fact};
use crate::workload::Words;
use crate::{Template, Workload};

/// The writers may take this long after the last report.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are open at a time when as many events are reported as the recorder takes.
const AT_ONCE: usize = 64;
/// Requests by which the recorder's pace is found.
const FIRST: u64 = 500;
/// Requests a second when the caller's side is measured: far below saturation, where a caller would only measure how
/// long it waits for a processor.
const PACED: f64 = 500.0;
/// Pieces of one answer.
const PIECES: usize = 8;
const REQUESTS_PER_SESSION: u64 = 16;

/// What one round found.
struct Round {
    events_per_second: f64,
    events_per_request: f64,
    /// Of one report, in microseconds.
    p50: f64,
    p99: f64,
}

pub(super) fn recorder(bench: &mut Bench) -> Result<Vec<Line>> {
    // The gateways of the rows before would work beside it.
    bench.stand.dismiss()?;
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let folder = tempfile::tempdir_in(bench.stand.folder()).context("no temporary folder")?;
        rounds.push(round(bench.stand.runtime(), folder.path(), bench.settings.length)?);
    }
    let of_rounds = |reading: fn(&Round) -> f64| median(rounds.iter().map(reading).collect());
    let events = of_rounds(|round| round.events_per_second);
    let (p50, p99) = (of_rounds(|round| round.p50), of_rounds(|round| round.p99));
    bench.note(Fact::EventsPerSecond, events);
    bench.note(Fact::ReportP99, p99);
    let per_request = of_rounds(|round| round.events_per_request).unwrap_or(f64::NAN);
    let line = |row, unit, value| Line::alone(row, Recording::On, unit, value);
    Ok(vec![
        line("events into journal, SQLite and JSON Lines", "events/s", events)
            .limit(Limit::AtLeast(40_000.0))
            .stretch(Limit::AtLeast(100_000.0))
            .note(&format!("{per_request:.1} events of one small request")),
        line("caller's side of one event, p50", "us", p50).limit(Limit::AtMost(5.0)),
        line("caller's side of one event, p99", "us", p99).limit(Limit::AtMost(20.0)),
    ])
}

fn round(runtime: &Runtime, folder: &Path, length: Duration) -> Result<Round> {
    let alone = Arc::new(Alone::start(folder, SyncPolicy::Group, Writers::Both)?);
    let round = runtime.block_on(async {
        // The warm-up tells how much the recorder takes in the time.
        let started = Instant::now();
        saturate(&alone, 0, FIRST).await?;
        let pace = FIRST as f64 / started.elapsed().as_secs_f64();
        let requests = ((pace * length.as_secs_f64()) as u64).max(FIRST);
        let before = alone.written();
        let started = Instant::now();
        saturate(&alone, FIRST, requests).await?;
        let time = started.elapsed();
        let events = (alone.written() - before) as f64;
        let (p50, p99) = pace_reports(&alone, FIRST + requests, length).await?;
        anyhow::Ok(Round {
            events_per_second: events / time.as_secs_f64(),
            events_per_request: events / requests as f64,
            p50,
            p99,
        })
    })?;
    let alone = Arc::into_inner(alone).context("a client still reports")?;
    runtime.block_on(alone.stop())?;
    Ok(round)
}

/// Reports so many requests as fast as the recorder takes them, and waits until every writer has them.
async fn saturate(alone: &Arc<Alone>, from: u64, requests: u64) -> Result<()> {
    let template = Arc::new(Template::new(Workload::Small, 0));
    let next = Arc::new(AtomicU64::new(from));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (alone, template, next) = (Arc::clone(alone), Arc::clone(&template), Arc::clone(&next));
        clients.spawn(async move {
            let (mut times, answer) = (times()?, [Bytes::from(answer())]);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= from + requests {
                    return anyhow::Ok(());
                }
                let body = template.body(number);
                alone.report(number / REQUESTS_PER_SESSION, body, &answer, &mut times).await?;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.context("a client broke off")??;
    }
    alone.flush(PATIENCE).await
}

/// Reports requests at a fixed rate from one caller; gives p50 and p99 of one report in microseconds.
async fn pace_reports(alone: &Alone, from: u64, length: Duration) -> Result<(f64, f64)> {
    let template = Template::new(Workload::Small, 0);
    let answer = Bytes::from(answer());
    let size = answer.len().div_ceil(PIECES);
    let pieces: Vec<Bytes> = (0..PIECES)
        .map(|piece| answer.slice((piece * size).min(answer.len())..((piece + 1) * size).min(answer.len())))
        .collect();
    let mut times = times()?;
    let started = Instant::now();
    for number in 0.. {
        let due = Duration::from_secs_f64(number as f64 / PACED);
        if due >= length {
            break;
        }
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        let session = (from + number) / REQUESTS_PER_SESSION;
        alone.report(session, template.body(from + number), &pieces, &mut times).await?;
    }
    alone.flush(PATIENCE).await?;
    let microseconds = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Ok((microseconds(0.5), microseconds(0.99)))
}

/// A plain answer of the kind that a provider gives.
fn answer() -> String {
    json!({
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "model": "gpt-5-mini",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": Words::new(9).prose(160)},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 250, "completion_tokens": 30, "total_tokens": 280},
    })
    .to_string()
}
