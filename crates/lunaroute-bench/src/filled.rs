//! A large database, made by the recorder itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use lunaroute_session::SyncPolicy;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::alone::{Alone, Writers, times};
use crate::home::Home;
use crate::workload::Words;

/// What a large database is.
pub(crate) const LARGE: u64 = 1 << 30;
/// What SQLite keeps beside the database is a part of its size while it grows and none in the end.
const BESIDE: u64 = 128 << 20;
/// Making it takes this long at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are reported before the database is looked at.
const PORTION: u64 = 256;
const AT_ONCE: u64 = 16;
const REQUESTS_PER_SESSION: u64 = 16;
/// Of one request.
const MESSAGES: u64 = 8;
const MESSAGE_BYTES: usize = 16 << 10;

/// A folder with a database of requests, each of 128 KiB that hardly compress and that no other request repeats.
pub(crate) struct Filled {
    path: PathBuf,
    bytes: u64,
    requests: u64,
    took: Duration,
}

impl Filled {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it became as large as it was to be in the time.
    pub(crate) const fn is_large(&self) -> bool {
        self.bytes >= LARGE
    }

    /// What became of it.
    pub(crate) fn words(&self) -> String {
        let (mebibytes, seconds) = (self.bytes >> 20, self.took.as_secs_f64());
        format!("a database of {mebibytes} MiB with {} requests, made in {seconds:.0} s", self.requests)
    }
}

/// Makes one in this folder.
pub(crate) fn fill(within: &Path, runtime: &Runtime) -> Result<Filled> {
    let path = within.join("filled");
    std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let home = Home::existing(&path);
    let started = Instant::now();
    // What a loss of power would take is of no interest here.
    let alone =
        Arc::new(Alone::start(&path, SyncPolicy::Interval(Duration::from_secs(1)), Writers::Database)?);
    let mut requests = 0;
    while home.sizes()?.database < LARGE + BESIDE {
        let Some(left) = PATIENCE.checked_sub(started.elapsed()) else { break };
        runtime.block_on(portion(&alone, requests))?;
        requests += PORTION;
        // Without waiting, the journal would grow instead of a database that takes less than is reported.
        if runtime.block_on(alone.flush(left)).is_err() {
            break;
        }
    }
    let alone = Arc::into_inner(alone).context("a client still reports")?;
    runtime.block_on(alone.stop())?;
    Ok(Filled { bytes: home.sizes()?.database, path, requests, took: started.elapsed() })
}

async fn portion(alone: &Arc<Alone>, from: u64) -> Result<()> {
    let mut clients = JoinSet::new();
    for client in 0..AT_ONCE {
        let alone = Arc::clone(alone);
        clients.spawn(async move {
            let mut times = times()?;
            for number in (from + client..from + PORTION).step_by(AT_ONCE as usize) {
                let answer = Bytes::from_static(b"{\"choices\":[]}");
                alone.report(number / REQUESTS_PER_SESSION, body(number), &[answer], &mut times).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client.context("a client broke off")??;
    }
    Ok(())
}

fn body(number: u64) -> Bytes {
    let message = |position| {
        let noise = Words::new(number * MESSAGES + position).noise(MESSAGE_BYTES);
        json!({"role": if position % 2 == 0 { "user" } else { "assistant" }, "content": noise})
    };
    let messages: Vec<_> = (0..MESSAGES).map(message).collect();
    Bytes::from(json!({"model": "gpt-5-mini", "messages": messages}).to_string())
}
