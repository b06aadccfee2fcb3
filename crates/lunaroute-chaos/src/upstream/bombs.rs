//! P7: content codings that unpack to a thousand times their size.

mod recipes;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::recipes::{Bomb, SKIPPED, bombs};
use crate::clients::{Scale, find, home, is_in_dialect};
use crate::report::{Promise, Report};
use crate::stage::client::{PATHS, noise};
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::probe::drained;
use crate::stage::provider;
use crate::stage::source::{Source, request};
use crate::stage::vitals::{Vitals, mebibytes};

/// What bombs may add to the gateway's memory.
const MEMORY_MIB: f64 = 32.0;

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let mut report = Report::new("bombs");
    let bombs = Arc::new(bombs(scale.of(9 << 20, 1 << 30))?);
    for bomb in bombs.iter() {
        report.note(format!(
            "{}: {} KiB unpack to {} MiB",
            bomb.name,
            bomb.bytes.len() >> 10,
            bomb.unpacked >> 20
        ));
    }
    requests(program, folder, &bombs, scale, &mut report).await?;
    answers(program, folder, &bombs, &mut report).await?;
    Ok(report)
}

/// What the gateway and its recorder ever had in memory after a body that is as long as a bomb and is none.
async fn used_to_large_bodies(gateway: &Gateway) -> Result<u64> {
    const USUAL: usize = 1 << 20;
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, noise("usual", USUAL));
    // Whatever the upstream makes of it.
    let _answer =
        exchange(gateway.address, PATHS[0], "content-type: application/json\r\n", body.as_bytes()).await?;
    drained(gateway.address, PATIENCE).await?;
    Ok(Vitals::of(gateway.id())?.peak)
}

/// Clients send them: refused, and never in memory.
async fn requests(
    program: &Path,
    folder: &Path,
    bombs: &[Bomb],
    scale: &Scale,
    report: &mut Report,
) -> Result<()> {
    let provider = provider().await?;
    let settings = json!({"limits": {"decoded_body": scale.of("8MiB", "64MiB")}});
    let plan = Plan::new(program, &home(folder, "request-bombs")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let rest = used_to_large_bodies(&gateway).await?;
    provider.reset();
    let mut otherwise = 0;
    for (number, bomb) in bombs.iter().enumerate() {
        let path = PATHS[number % PATHS.len()];
        let (status, body) = post(gateway.address, path, bomb).await?;
        if !matches!(status, 400 | 413 | 415) || !is_in_dialect(path, &body) {
            otherwise += 1;
            report.note(format!("{} to {path} was answered with {status}", bomb.name));
        }
    }
    drained(gateway.address, PATIENCE).await?;
    let peak = Vitals::of(gateway.id())?.peak;
    gateway.stop().await?;
    report.count("bombs that clients send", bombs.len(), Promise::Told);
    report.count("not refused with 400, 413 or 415 in the dialect", otherwise, Promise::Exactly(0.0));
    // What unpacks to nothing at all is no bomb, and the provider's to judge.
    let harmless = bombs.iter().filter(|bomb| bomb.name == SKIPPED).count();
    let forwarded = provider.ledger().entries.len().saturating_sub(harmless);
    report.count("of them at the provider", forwarded, Promise::Exactly(0.0));
    report.line(
        "memory for them beyond that for a usual body, MiB",
        mebibytes(rest, peak),
        Promise::AtMost(MEMORY_MIB),
    );
    Ok(())
}

/// Providers answer with them: forwarded byte for byte, and the recorder does not unpack them into memory.
async fn answers(program: &Path, folder: &Path, bombs: &Arc<Vec<Bomb>>, report: &mut Report) -> Result<()> {
    let shared = Arc::clone(bombs);
    let source = Source::start(move |stream| explode(stream, Arc::clone(&shared))).await?;
    let plan = Plan::new(program, &home(folder, "answer-bombs")?, source.base_url());
    let gateway = plan.start().await?;
    let rest = used_to_large_bodies(&gateway).await?;
    let mut changed = 0;
    for (number, bomb) in bombs.iter().enumerate() {
        let (status, body) = ask(gateway.address, number).await?;
        changed += usize::from(status != 200 || body != bomb.bytes);
    }
    drained(gateway.address, PATIENCE).await?;
    let peak = Vitals::of(gateway.id())?.peak;
    gateway.stop().await?;
    let panics = plan.log().matches("panicked").count();
    report.count("bombs that providers answer with", bombs.len(), Promise::Told);
    report.count("not forwarded byte for byte", changed, Promise::Exactly(0.0));
    report.line(
        "memory for those beyond that for a usual body, MiB",
        mebibytes(rest, peak),
        Promise::AtMost(MEMORY_MIB),
    );
    report.count("panics in the log", panics, Promise::Exactly(0.0));
    Ok(())
}

/// Answers with the bomb of the number that the request tells.
async fn explode(mut stream: TcpStream, bombs: Arc<Vec<Bomb>>) {
    let Some(head) = request(&mut stream).await else { return };
    let number = head.lines().find_map(|line| line.strip_prefix("x-bomb: ")?.parse::<usize>().ok());
    let Some(bomb) = number.and_then(|number| bombs.get(number)) else { return };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        bomb.coding,
        bomb.bytes.len()
    );
    let answer = [head.as_bytes(), &bomb.bytes].concat();
    // The client that is gone shows on the other side.
    let _gone = stream.write_all(&answer).await;
}

async fn ask(address: SocketAddr, number: usize) -> Result<(u16, Vec<u8>)> {
    let head =
        format!("content-type: application/json\r\nx-bomb: {number}\r\naccept-encoding: gzip, br, zstd\r\n");
    exchange(address, PATHS[0], &head, br#"{"model":"m","messages":[]}"#).await
}

async fn post(address: SocketAddr, path: &str, bomb: &Bomb) -> Result<(u16, Vec<u8>)> {
    let head = format!("content-type: application/json\r\ncontent-encoding: {}\r\n", bomb.coding);
    exchange(address, path, &head, &bomb.bytes).await
}

async fn exchange(address: SocketAddr, path: &str, lines: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
        let (mut reading, mut writing) = stream.split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{lines}\r\n",
            body.len()
        );
        let whole = [head.as_bytes(), body].concat();
        let mut answer = Vec::new();
        let write = async {
            // Who refuses early need not take the rest.
            let _refused = writing.write_all(&whole).await;
        };
        let (_, read) = tokio::join!(write, reading.read_to_end(&mut answer));
        read.context("the connection broke")?;
        let end = find(&answer, b"\r\n\r\n").context("no whole head")?;
        let status = std::str::from_utf8(&answer[9..12])?.parse()?;
        anyhow::Ok((status, answer.split_off(end + 4)))
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
}
