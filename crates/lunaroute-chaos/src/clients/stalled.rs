//! P12: clients that ask for an endless answer and stop reading it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::source::{Source, request};
use crate::stage::until;
use crate::stage::vitals::{Vitals, kibibytes_each};

/// After so long without taking anything a client is given up.
const STALL: Duration = Duration::from_secs(5);
const STALL_SHORT: Duration = Duration::from_secs(2);

/// The stall is noticed on both sides of the gateway, and the kernel's buffers fill up before it begins.
const GRACE: Duration = Duration::from_secs(3);

const PATIENCE: Duration = Duration::from_secs(60);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// What the endless upstream saw.
#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    bytes: AtomicU64,
}

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let clients = scale.of(100, 1_000);
    let stall = if scale.short { STALL_SHORT } else { STALL };
    let mut report = Report::new("stalled readers");
    let seen = Arc::new(Seen::default());
    let (told, mut ended) = mpsc::channel(clients);
    let shared = Arc::clone(&seen);
    let source = Source::start(move |stream| endless(stream, Arc::clone(&shared), told.clone())).await?;
    // What the recorder keeps in memory has its own bound, and would hide what the streams take.
    let settings = json!({
        "timeouts": {"write_stall": format!("{}s", stall.as_secs())},
        "recording": {"enabled": false},
    });
    let plan = Plan::new(program, &home(folder, "stalled")?, source.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Vitals::of(gateway.id())?.resident;
    let mut stalled = Vec::with_capacity(clients);
    for _ in 0..clients {
        stalled.push(ask_and_stall(gateway.address).await?);
    }
    let begun = async || Ok((seen.begun.load(Ordering::Relaxed) == clients).then_some(()));
    until("every endless answer has begun", PATIENCE, begun).await?;
    let standing = standing_still(&seen).await?;
    let resident = Vitals::of(gateway.id())?.resident;
    let mut lives = Vec::with_capacity(clients);
    while lives.len() < clients {
        match tokio::time::timeout(stall + 10 * GRACE, ended.recv()).await {
            Ok(Some(life)) => lives.push(life),
            _ => break,
        }
    }
    let longest = lives.iter().max().copied().unwrap_or_default();
    report.count("stalled readers", clients, Promise::Told);
    report.line(
        "memory of each, KiB",
        kibibytes_each(before, resident, clients),
        scale.judged(Promise::AtMost(128.0)),
    );
    #[expect(clippy::cast_precision_loss, reason = "no run sends more than 52 bits count")]
    let each = seen.bytes.load(Ordering::Relaxed) as f64 / clients as f64 / 1024.0;
    report.line("taken from the provider for each until it was held back, KiB", each, Promise::Told);
    report.line(
        "the provider was held back after, s",
        standing.as_secs_f64(),
        Promise::AtMost(stall.as_secs_f64() + 3.0),
    );
    report.count("never closed", clients - lives.len(), Promise::Exactly(0.0));
    let most = (stall + GRACE).as_secs_f64();
    let what =
        format!("longest time without progress before a close, with write_stall {} s, s", stall.as_secs());
    report.line(what, longest.as_secs_f64(), scale.judged(Promise::AtMost(most)));
    drop(stalled);
    gateway.stop().await?;
    Ok(report)
}

/// Sends without end and tells, when it is cut, how long before the last byte was taken.
async fn endless(mut stream: TcpStream, seen: Arc<Seen>, told: mpsc::Sender<Duration>) {
    if request(&mut stream).await.is_none() || stream.write_all(ANSWER).await.is_err() {
        return;
    }
    seen.begun.fetch_add(1, Ordering::Relaxed);
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(900));
    let mut last = Instant::now();
    while let Ok(taken) = stream.write(event.as_bytes()).await {
        last = Instant::now();
        seen.bytes.fetch_add(taken as u64, Ordering::Relaxed);
    }
    // The run may be over.
    let _nobody = told.send(last.elapsed()).await;
}

/// Asks, reads the head and not one byte more. Its own kernel keeps as little as it may.
async fn ask_and_stall(address: SocketAddr) -> Result<TcpStream> {
    const ASKED: &[u8] =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 43\r\n\r\n{\"model\":\"m\",\"stream\":true,\"messages\":[] }\n";
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 * 1024)?;
    let mut stream = socket.connect(address).await.context("a stalled reader could not connect")?;
    stream.write_all(ASKED).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.context("a stalled reader got no answer")?;
    anyhow::ensure!(&start == b"HTTP/1.1 200", "answered {:?}", String::from_utf8_lossy(&start));
    Ok(stream)
}

/// Waits until nothing more is taken from the upstream for a while, and says how long that took.
async fn standing_still(seen: &Seen) -> Result<Duration> {
    const STILL: usize = 20;
    let began = Instant::now();
    let (mut last, mut same) = (0, 0);
    until("the provider is held back", PATIENCE, async || {
        let now = seen.bytes.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        Ok((same >= STILL).then(|| began.elapsed()))
    })
    .await
}
