//! P16: bodies that are too large, and JSON that is none or is meant to break its reader.

mod documents;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::documents::documents;
use super::echo::find;
use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::client::PATHS;
use crate::stage::gateway::Plan;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::provider;

const PATIENCE: Duration = Duration::from_secs(60);

/// Largest body of the gateway that gets too large ones.
const LIMIT: usize = 1 << 20;

/// Bytes that may pass beyond the limit before the answer is there.
const BEYOND: f64 = 65_536.0;

/// Failures that are shown.
const SHOWN: usize = 8;

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let mut report = Report::new("hostile bodies");
    hostile_json(program, folder, scale, &mut report).await?;
    too_large(program, folder, &mut report).await?;
    Ok(report)
}

async fn hostile_json(program: &Path, folder: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    let provider = provider().await?;
    let plan = Plan::new(program, &home(folder, "hostile")?, provider.base_url());
    let gateway = plan.start().await?;
    let documents = documents(scale.of(6, 1), scale.of(20_000, 1_000_000));
    let (mut unanswered, mut foreign, mut wrong) = (0, 0, Vec::new());
    let mut errors = 0;
    for (number, (name, document)) in documents.iter().enumerate() {
        let path = PATHS[number % PATHS.len()];
        match post(gateway.address, path, document).await {
            Ok((status, body)) => {
                errors += usize::from(status >= 400);
                if status >= 500 || status >= 400 && !is_in_dialect(path, &body) {
                    foreign += 1;
                    wrong.push(format!("{name} to {path}: {status} {}", shown(&body)));
                }
            }
            Err(error) => {
                unanswered += 1;
                wrong.push(format!("{name} to {path}: {error:#}"));
            }
        }
    }
    gateway.stop().await.context("the gateway did not survive")?;
    let crashes = plan.log().matches("panicked").count();
    let parity = Parity::read(&plan, &Sent::default(), Keepers::USUAL)?;
    let none = Promise::Exactly(0.0);
    report.count("hostile documents", documents.len(), Promise::AtLeast(100.0));
    report.count("answered with an error", errors, Promise::Told);
    report.count("not answered at all", unanswered, none);
    report.count("answered with 5xx, or not in the caller's dialect", foreign, none);
    report.count("panics in the log", crashes, none);
    report.count("problems that verify finds", parity.problems, none);
    wrong.into_iter().take(SHOWN).for_each(|wrong| report.note(wrong));
    Ok(())
}

/// A body without a length that goes on beyond the limit.
async fn too_large(program: &Path, folder: &Path, report: &mut Report) -> Result<()> {
    let provider = provider().await?;
    let settings = json!({"limits": {"body": LIMIT}});
    let plan = Plan::new(program, &home(folder, "large")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let (mut beyond, mut foreign) = (0_usize, 0);
    for path in PATHS {
        let (more, status, body) = chunks_without_end(gateway.address, path).await?;
        beyond = beyond.max(more);
        foreign += usize::from(status != 413 || !is_in_dialect(path, &body));
    }
    gateway.stop().await?;
    #[expect(clippy::cast_precision_loss, reason = "some KiB")]
    report.line("bytes beyond the limit until 413 was there, most", beyond as f64, Promise::AtMost(BEYOND));
    report.count("answers to them other than 413 in the dialect", foreign, Promise::Exactly(0.0));
    let reached = provider.ledger().entries.len();
    report.count("of them that reached the provider", reached, Promise::Exactly(0.0));
    Ok(())
}

/// Sends a document and gives the status and the body of the answer.
async fn post(address: SocketAddr, path: &str, document: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
    let (mut reading, mut writing) = stream.split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        document.len()
    );
    let mut answer = Vec::new();
    let write = async {
        let head = writing.write_all(head.as_bytes()).await;
        // Who refuses early need not take the rest.
        let _refused = head.and(writing.write_all(document).await);
    };
    let read = reading.read_to_end(&mut answer);
    let both = async { tokio::join!(write, read) };
    let (_, read) = tokio::time::timeout(PATIENCE, both).await.context("no answer in time")?;
    read.context("the connection broke")?;
    parse(&answer).context("no whole answer")
}

/// Sends chunks until an answer is there: the bytes beyond the limit until then, and the answer.
async fn chunks_without_end(address: SocketAddr, path: &str) -> Result<(usize, u16, Vec<u8>)> {
    const CHUNK: usize = 16 * 1024;
    /// Long enough for the gateway to have read the last chunk, so that what was sent is what was taken.
    const LOOK: Duration = Duration::from_millis(100);
    let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &vec![b' '; CHUNK], b"\r\n"].concat();
    let (mut sent, mut answer) = (0, Vec::new());
    while answer.is_empty() {
        stream.write_all(&chunk).await.context("the gateway closed without an answer")?;
        sent += CHUNK;
        if sent >= LIMIT {
            // Silence means that the gateway still reads.
            if let Ok(read) = tokio::time::timeout(LOOK, stream.read_buf(&mut answer)).await {
                anyhow::ensure!(read? > 0, "the gateway closed without an answer");
            }
        }
        anyhow::ensure!(sent < 8 * LIMIT, "the gateway never stops reading");
    }
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("no end")??;
    let (status, body) = parse(&answer).context("no whole answer")?;
    Ok((sent - LIMIT, status, body))
}

fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = find(answer, b"\r\n\r\n")?;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

/// Whether an error has the form that the clients of this path know.
pub(crate) fn is_in_dialect(path: &str, body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let has_message = body["error"]["message"].is_string() && body["error"]["type"].is_string();
    has_message && (path != PATHS[2] || body["type"] == "error")
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}
