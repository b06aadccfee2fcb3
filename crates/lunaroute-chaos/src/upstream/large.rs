//! P6: heads and bodies beyond all measure.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lunaroute_session::query::SessionQuery;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Scale, find, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::record::{query, rows};
use crate::stage::source::{Source, request};
use crate::stage::vitals::{Vitals, mebibytes};

/// Bytes of one header of an answer.
const HEADS: [usize; 5] = [64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20];

/// Answers with a large body: one that declares its length, and one that goes on until the connection ends.
const FORMS: [&str; 2] = ["body", "endless"];

/// What they may add to the gateway's memory.
const MEMORY_MIB: f64 = 32.0;

const PIECE: usize = 64 << 10;

const PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let body: usize = scale.of(96 << 20, 1 << 30);
    let mut report = Report::new("large answers");
    let source = Source::start(answer).await?;
    let plan = Plan::new(program, &home(folder, "large-answers")?, source.base_url());
    let gateway = plan.start().await?;
    // The first request makes what every later one uses again.
    let (status, _) = ask(gateway.address, "/v1/audio/head?bytes=10").await?;
    anyhow::ensure!(status == 200, "a small head was answered with {status}");
    let rest = Vitals::of(gateway.id())?.resident;
    let mut refused = 0;
    for bytes in HEADS {
        let (status, _) = ask(gateway.address, &format!("/v1/audio/head?bytes={bytes}")).await?;
        refused += usize::from(status == 502);
        if status != 502 {
            report.note(format!("a head of {bytes} bytes was answered with {status}"));
        }
    }
    let after_heads = Vitals::of(gateway.id())?.peak;
    let mut whole = 0;
    let mut after_bodies = Vec::new();
    for form in FORMS {
        let (status, came) = ask(gateway.address, &format!("/v1/audio/{form}?bytes={body}")).await?;
        whole += usize::from(status == 200 && came == body);
        after_bodies.push(Vitals::of(gateway.id())?.peak);
    }
    gateway.stop().await?;
    let query = query(&plan.home)?;
    let recorded = rows(&query)?;
    let (mut honest, mut kept) = (0, Vec::new());
    for form in FORMS {
        let is_it = |path: &str| path.contains(form);
        let row = recorded.iter().find(|row| row.path.as_deref().is_some_and(is_it));
        let row = row.context("a large answer is not in the record")?;
        let in_record = query.response_body(row.id).map_or(0, |body| body.len());
        let told = row.response_bytes.is_some_and(|told| told == body as u64) || row.gap_cause.is_some();
        honest += usize::from(in_record == body || told);
        kept.push(in_record);
    }
    report.count("heads of 64 KiB to 1 MiB", HEADS.len(), Promise::Told);
    report.count("answered with 502", refused, Promise::Exactly(figure(HEADS.len())));
    report.line("memory for them, MiB", mebibytes(rest, after_heads), Promise::AtMost(MEMORY_MIB));
    report.line("bodies of, MiB", figure(body >> 20), Promise::Told);
    report.count(
        "reached the client whole, with and without a declared length",
        whole,
        Promise::Exactly(2.0),
    );
    let names = ["memory with one that declares its length, MiB", "memory with one that does not, MiB"];
    for (name, after) in names.into_iter().zip(after_bodies) {
        // With the recorder's.
        report.line(name, mebibytes(rest, after), scale.judged(Promise::AtMost(MEMORY_MIB)));
    }
    let names = ["of the first in the record, MiB", "of the second in the record, MiB"];
    for (name, kept) in names.into_iter().zip(kept) {
        report.line(name, figure(kept >> 20), Promise::Told);
    }
    report.count(
        "the record says how much there was, or that something is missing",
        honest,
        Promise::Exactly(2.0),
    );
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn figure(count: usize) -> f64 {
    count as f64
}

/// Answers with a head or a body of as many bytes as the request's path says.
async fn answer(mut stream: TcpStream) {
    let Some(head) = request(&mut stream).await else { return };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let bytes = target.rsplit('=').next().and_then(|bytes| bytes.parse::<usize>().ok()).unwrap_or(0);
    let start = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n";
    // Who refuses a part need not take the rest.
    let _refused = if target.contains("/head") {
        let head = format!("{start}x-large: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(bytes));
        stream.write_all(head.as_bytes()).await
    } else if target.contains("/endless") {
        body(&mut stream, &format!("{start}\r\n"), bytes).await
    } else {
        body(&mut stream, &format!("{start}content-length: {bytes}\r\n\r\n"), bytes).await
    };
}

async fn body(stream: &mut TcpStream, head: &str, bytes: usize) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'x'; PIECE];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(PIECE);
        stream.write_all(&piece[..length]).await?;
        left -= length;
    }
    Ok(())
}

/// The status of an answer, and how many bytes its body had.
async fn ask(address: SocketAddr, target: &str) -> Result<(u16, usize)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
        // Of the older version, whose answers go on until the connection ends: no chunks to be counted.
        let question = format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        stream.write_all(question.as_bytes()).await?;
        let (mut start, mut piece, mut came) = (Vec::new(), vec![0; PIECE], 0);
        let mut head_end = None;
        loop {
            let read = stream.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            came += read;
            if head_end.is_none() {
                start.extend_from_slice(&piece[..read]);
                head_end = find(&start, b"\r\n\r\n").map(|end| end + 4);
            }
        }
        let head_end = head_end.context("no whole head")?;
        let status = std::str::from_utf8(&start[9..12])?.parse()?;
        anyhow::Ok((status, came - head_end))
    };
    tokio::time::timeout(PATIENCE, exchange).await.with_context(|| format!("{target}: no whole answer"))?
}
