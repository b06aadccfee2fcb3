//! P4: streams of one byte per second.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Comparison, Others, Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::probe::drained;
use crate::stage::provider;
use crate::stage::source::{Source, request};
use crate::stage::vitals::{Vitals, kibibytes_each};

const EVERY: Duration = Duration::from_secs(1);

/// For what the recorder has of the others.
const PATIENCE: Duration = Duration::from_secs(120);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// What drips, over and over.
const EVENT: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let streams = scale.of(100, 500);
    let mut report = Report::new("dripping streams");
    let (provider, source) = (provider().await?, Source::start(drip).await?);
    let settings = json!({"providers": {"anthropic": {"base_url": source.base_url()}}});
    let plan = Plan::new(program, &home(folder, "drip")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Others::watch(gateway.address, scale.watch()).await;
    drained(gateway.address, PATIENCE).await?;
    let rest = Vitals::of(gateway.id())?.resident;
    let mut open = Vec::with_capacity(streams);
    for _ in 0..streams {
        open.push(begin(gateway.address).await?);
    }
    // Long enough for every stream to drip, and for the recorder to have had something of each.
    tokio::time::sleep(2 * EVERY).await;
    let loaded = Vitals::of(gateway.id())?.resident;
    let during = Others::watch(gateway.address, scale.watch()).await;
    let mut dried = 0;
    for stream in &mut open {
        let mut bytes = [0; 64];
        let read = tokio::time::timeout(5 * EVERY, stream.read(&mut bytes)).await;
        dried += usize::from(!matches!(read, Ok(Ok(1..))));
    }
    drop(open);
    let after = Others::watch(gateway.address, scale.watch()).await;
    report.count("streams of 1 byte per second", streams, Promise::Told);
    report.count("that did not go on", dried, Promise::Exactly(0.0));
    report.line(
        "memory of each, KiB",
        kibibytes_each(rest, loaded, streams),
        scale.judged(Promise::AtMost(64.0)),
    );
    Comparison { before, during, after }.tell(&mut report, 10.0, !scale.short);
    gateway.stop().await?;
    Ok(report)
}

async fn drip(mut stream: TcpStream) {
    if request(&mut stream).await.is_none() || stream.write_all(ANSWER).await.is_err() {
        return;
    }
    let mut pace = tokio::time::interval(EVERY);
    for byte in EVENT.iter().cycle() {
        pace.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

/// Begins a stream and reads its head.
async fn begin(address: std::net::SocketAddr) -> Result<TcpStream> {
    const ASKED: &[u8] =
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 59\r\n\r\n{\"model\":\"m\",\"max_tokens\":9,\"stream\":true,\"messages\":[]    }";
    let mut stream = TcpStream::connect(address).await.context("a stream could not be begun")?;
    stream.write_all(ASKED).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.context("a stream did not begin")?;
    anyhow::ensure!(&start == b"HTTP/1.1 200", "answered {:?}", String::from_utf8_lossy(&start));
    Ok(stream)
}
