//! P15: what an HTTP/2 client can send without end for next to nothing.

mod frames;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::frames::{Flood, LAST, PREFACE, last_ping};
use super::steady::{Comparison, Others};
use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::probe::ready;
use crate::stage::provider;
use crate::stage::vitals::{Vitals, mebibytes};

/// What a flood may add to the gateway's memory.
const MEMORY_MIB: f64 = 64.0;

/// Connections that flood at the same time.
const CONNECTIONS: usize = 4;

/// A flood that is neither refused nor over by then is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a flood ended for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The gateway closed it.
    Closed,
    /// All of it was taken, and a question after it answered.
    Taken,
    /// The gateway neither took it nor closed.
    Stuck,
}

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let frames = scale.of(3_000, 100_000);
    let mut report = Report::new("HTTP/2 floods");
    let provider = provider().await?;
    let plan = Plan::new(program, &home(folder, "floods")?, provider.base_url());
    let gateway = plan.start().await?;
    let before = Others::watch(gateway.address, scale.watch()).await;
    let rest = Vitals::of(gateway.id())?.resident;
    report.count("frames of each flood, on 4 connections", frames, Promise::Told);
    let mut during = Others::default();
    for flood in Flood::ALL {
        let began = Instant::now();
        let (ends, others) = tokio::join!(
            on_all(gateway.address, flood, frames),
            Others::watch(gateway.address, scale.watch())
        );
        let (ends, taken) = (ends?, began.elapsed());
        report.line(format!("{flood:?}: p99 of others meanwhile, ms"), others.p99(), Promise::Told);
        during.join(others);
        let closed = ends.iter().filter(|end| **end == End::Closed).count();
        let stuck = ends.iter().filter(|end| **end == End::Stuck).count();
        report.note(format!(
            "{flood:?}: {closed} of {CONNECTIONS} connections closed, in {:.2} s",
            taken.as_secs_f64()
        ));
        report.count(format!("{flood:?}: neither taken nor closed"), stuck, Promise::Exactly(0.0));
        let peak = Vitals::of(gateway.id())?.peak;
        let most = Promise::AtMost(MEMORY_MIB);
        report.line(
            format!("{flood:?}: highest memory beyond that of rest so far, MiB"),
            mebibytes(rest, peak),
            most,
        );
    }
    ready(gateway.address, PATIENCE).await.context("the gateway is not ready after the floods")?;
    let after = Others::watch(gateway.address, scale.watch()).await;
    // The figure of the others tells; a limit is promised for memory only.
    Comparison { before, during, after }.tell(&mut report, 0.0, false);
    gateway.stop().await?;
    Ok(report)
}

async fn on_all(address: SocketAddr, flood: Flood, frames: usize) -> Result<Vec<End>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        tasks.spawn(one(address, flood, frames));
    }
    tasks.join_all().await.into_iter().collect()
}

/// Floods one connection, then asks whether anybody is still there.
async fn one(address: SocketAddr, flood: Flood, frames: usize) -> Result<End> {
    let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
    let (mut reading, mut writing) = stream.split();
    let write = async {
        writing.write_all(PREFACE).await?;
        let mut number = 0;
        while number < frames {
            let (bytes, written) = flood.batch(number, frames);
            writing.write_all(&bytes).await?;
            number += written;
        }
        writing.write_all(&last_ping()).await
    };
    let read = async {
        let mut answers = Vec::new();
        while reading.read_buf(&mut answers).await.is_ok_and(|read| read > 0) {
            if answers.windows(LAST.len()).any(|window| window == LAST) {
                return End::Taken;
            }
            // What is looked for may be cut by the end of what came.
            answers.drain(..answers.len().saturating_sub(LAST.len()));
            answers.reserve(16 * 1024);
        }
        End::Closed
    };
    // A gateway that closes breaks the writing, too; what it said before that is of no interest.
    let flooded = async { tokio::join!(write, read).1 };
    Ok(tokio::time::timeout(PATIENCE, flooded).await.unwrap_or(End::Stuck))
}
