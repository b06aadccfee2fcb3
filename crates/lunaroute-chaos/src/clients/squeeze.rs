//! P41: fewer file descriptors than connections, and then none at all.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lunaroute_sim::Script;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, watch};
use crate::stage::gateway::Plan;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::provider;
use crate::stage::vitals::Vitals;

/// Descriptors that the gateway may have.
const DESCRIPTORS: u64 = 256;

/// Clients that want to be served at once, more than there are descriptors.
const CLIENTS: usize = 300;

/// Connections that wait while there is no descriptor for them.
const WAITING: usize = 50;

/// Of one processor.
const CPU_PERCENT: f64 = 20.0;

const RECOVERY: f64 = 1.0;

const QUESTION: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let mut report = Report::new("descriptors");
    let provider = provider().await?;
    let mut plan = Plan::new(program, &home(folder, "descriptors")?, provider.base_url());
    let limited = format!("ulimit -n {DESCRIPTORS} && exec \"$@\"");
    plan.wrapper = ["sh", "-c", &limited, "sh"].map(str::to_owned).to_vec();
    let gateway = plan.start().await?;
    let mut sent = Sent::default();
    many_clients(gateway.address, &mut sent, &mut report).await;
    none_left(gateway.address, gateway.id(), scale, &mut report).await?;
    // What comes now is served and recorded as ever.
    let call = Call::new("afterwards".to_owned(), PATHS[0], true, Script::text(5));
    let seen = watch(gateway.address, &call, Habit::default(), &AtomicUsize::new(0)).await;
    report.count(
        "served afterwards",
        usize::from(seen.status == Some(200) && seen.whole),
        Promise::Exactly(1.0),
    );
    sent.add([&seen]);
    gateway.stop().await?;
    sent.add_ledger(&provider.ledger());
    let parity = Parity::read(&plan, &sent, Keepers::USUAL)?;
    parity.tell(&mut report);
    Ok(report)
}

/// More clients than descriptors: some are served, the others are told to come again, nobody is left without a word.
async fn many_clients(address: SocketAddr, sent: &mut Sent, report: &mut Report) {
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        tasks.spawn(async move {
            let script = Script { event_delay_ms: 50, ..Script::text(20) };
            let call = Call::new(format!("many-{number}"), PATHS[number % PATHS.len()], true, script);
            watch(address, &call, Habit::default(), &AtomicUsize::new(0)).await
        });
    }
    let seen = tasks.join_all().await;
    let served = seen.iter().filter(|seen| seen.succeeded()).count();
    let sent_away = seen.iter().filter(|seen| seen.refused()).count();
    report.count(format!("clients at once with {DESCRIPTORS} descriptors"), CLIENTS, Promise::Told);
    report.count("served", served, Promise::AtLeast(1.0));
    report.count("sent away with 503 (Anthropic: 529)", sent_away, Promise::Told);
    report.count("answered otherwise, or not at all", CLIENTS - served - sent_away, Promise::Exactly(0.0));
    sent.add(&seen);
}

/// Takes every free descriptor away while connections wait, and gives them back.
async fn none_left(address: SocketAddr, process: u32, scale: &Scale, report: &mut Report) -> Result<()> {
    let lasting = Duration::from_secs(scale.of(1, 5));
    let held = Vitals::of(process)?;
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).context("a process has an id")?;
    let limit = |current: u64| {
        let limit = Rlimit { current: Some(current), maximum: Some(DESCRIPTORS) };
        prlimit(Some(id), Resource::Nofile, limit).context("the limit of the gateway cannot be changed")
    };
    // A new descriptor is the lowest that is free, so those below the highest one in use have to go, too.
    limit(3)?;
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut stream = TcpStream::connect(address).await.context("the kernel takes connections itself")?;
        stream.write_all(QUESTION).await?;
        waiting.push(stream);
    }
    let before = Vitals::of(process)?;
    tokio::time::sleep(lasting).await;
    let after = Vitals::of(process)?;
    let back = Instant::now();
    limit(DESCRIPTORS)?;
    let mut answered = 0;
    for mut stream in waiting {
        let mut start = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut start)).await;
        answered += usize::from(matches!(read, Ok(Ok(_))) && &start == b"HTTP/1.1 200");
    }
    let recovered = back.elapsed().as_secs_f64();
    let cpu = 100.0 * (after.cpu.saturating_sub(before.cpu)).as_secs_f64() / lasting.as_secs_f64();
    report.line("processor while there is none left, %", cpu, scale.judged(Promise::AtMost(CPU_PERCENT)));
    report.count(
        "descriptors held before, and kept",
        usize::try_from(held.descriptors).unwrap_or(0),
        Promise::Told,
    );
    report.count("connections that waited and were answered", answered, Promise::Exactly(WAITING as f64));
    report.line(
        "all answered after there were some again, s",
        recovered,
        scale.judged(Promise::AtMost(RECOVERY)),
    );
    Ok(())
}
