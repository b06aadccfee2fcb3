//! P42: streams that have begun and say nothing for a long time.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lunaroute_sim::{BodyPolicy, Config, Provider, Script};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::steady::{Comparison, Others};
use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::probe::drained;
use crate::stage::vitals::{Vitals, kibibytes_each};

/// The recorder may take this long for what it has of the streams.
const PATIENCE: Duration = Duration::from_secs(120);

const BODY: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Think about it."}]}"#;

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let streams = scale.of(300, 9_500);
    let mut report = Report::new("idle streams");
    let config = Config {
        bodies: BodyPolicy::Length,
        connection_limit: 2 * streams + 1_000,
        ledger_capacity: 1_000_000,
        ..Config::default()
    };
    let provider = Provider::start(config).await.context("the simulated provider cannot be started")?;
    let settings = json!({"limits": {"requests": streams + 1_000, "connections": streams + 300}});
    let plan = Plan::new(program, &home(folder, "idle")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Others::watch(gateway.address, scale.watch()).await;
    drained(gateway.address, PATIENCE).await?;
    let memory = Vitals::of(gateway.id())?.resident;
    let mut open = Vec::with_capacity(streams);
    for _ in 0..streams {
        open.push(begin(gateway.address).await?);
    }
    drained(gateway.address, PATIENCE).await?;
    let loaded = Vitals::of(gateway.id())?.resident;
    let during = Others::watch(gateway.address, scale.watch()).await;
    let alive = provider.ledger().entries.iter().filter(|entry| entry.outcome.is_none()).count();
    drop(open);
    drained(gateway.address, PATIENCE).await?;
    let after = Others::watch(gateway.address, scale.watch()).await;
    report.count("idle streams", streams, Promise::Told);
    report.count("cut before they were left", streams - alive.min(streams), Promise::Exactly(0.0));
    report.line(
        "memory of each, KiB",
        kibibytes_each(memory, loaded, streams),
        scale.judged(Promise::AtMost(60.0)),
    );
    Comparison { before, during, after }.tell(&mut report, 20.0, !scale.short);
    gateway.stop().await?;
    Ok(report)
}

/// Begins a stream and reads its head and first event.
async fn begin(address: std::net::SocketAddr) -> Result<TcpStream> {
    let script = Script { event_delay_ms: 3_600_000, ..Script::default() }.header_value();
    let script = script.to_str().context("a script in ASCII")?;
    let length = BODY.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-sim-script: {script}\r\ncontent-length: {length}\r\n\r\n{BODY}"
    );
    let mut stream = TcpStream::connect(address).await.context("an idle stream could not connect")?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(6).any(|window| window == b"data: ") {
        anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "an idle stream ended at its beginning");
    }
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "answered {:?}", String::from_utf8_lossy(&answer));
    Ok(stream)
}
