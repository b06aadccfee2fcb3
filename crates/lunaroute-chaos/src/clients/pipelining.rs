//! P13: many requests in one segment: answered in their order, and each in the record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::echo::find;
use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::probe::drained;
use crate::stage::provider;
use crate::stage::record::{in_database, query};

/// Requests in one segment.
const REQUESTS: usize = 100;

const PATIENCE: Duration = Duration::from_secs(60);

/// For the recorder to have written all of it.
const WRITTEN: Duration = Duration::from_secs(300);

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let segments = scale.of(3, 200);
    let mut report = Report::new("pipelining");
    let provider = provider().await?;
    let plan = Plan::new(program, &home(folder, "pipelining")?, provider.base_url());
    let gateway = plan.start().await?;
    let mut out_of_order = 0;
    for segment in 0..segments {
        let mut stream = TcpStream::connect(gateway.address).await.context("nobody listens")?;
        let bodies: Vec<String> = (0..REQUESTS).map(|number| body(segment, number)).collect();
        let requests: String = bodies.iter().map(|body| request(body)).collect();
        stream.write_all(requests.as_bytes()).await?;
        let answers = tokio::time::timeout(PATIENCE, answers(&mut stream)).await;
        let answers = answers.context("pipelined requests were not answered")??;
        out_of_order +=
            bodies.iter().zip(&answers).filter(|(body, answer)| body.as_bytes() != **answer).count();
    }
    drained(gateway.address, WRITTEN).await?;
    gateway.stop().await?;
    let recorded = in_database(&query(&plan.home)?)?;
    let whole = recorded.values().filter(|kept| kept.starts == 1 && kept.ends == 1).count();
    report.count("requests, 100 in a segment", segments * REQUESTS, Promise::Told);
    report.count(
        "answers that are not those of their requests in order",
        out_of_order,
        Promise::Exactly(0.0),
    );
    report.count(
        "not in the record, or not once and whole",
        segments * REQUESTS - whole,
        Promise::Exactly(0.0),
    );
    Ok(report)
}

fn body(segment: usize, number: usize) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{segment} {number}"}}]}}"#)
}

/// Asks for the request's own body.
fn request(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-sim-script: echo\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The bodies of the answers in their order.
async fn answers(stream: &mut TcpStream) -> Result<Vec<Vec<u8>>> {
    let (mut unread, mut answers) = (Vec::new(), Vec::new());
    while answers.len() < REQUESTS {
        while let Some(end) = find(&unread, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&unread[..end]).to_ascii_lowercase();
            anyhow::ensure!(head.starts_with("http/1.1 200"), "answered {head}");
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let length = length.context("an answer without a length")?;
            if unread.len() < end + 4 + length {
                break;
            }
            let answer: Vec<u8> = unread.drain(..end + 4 + length).skip(end + 4).collect();
            answers.push(answer);
        }
        if answers.len() < REQUESTS {
            anyhow::ensure!(stream.read_buf(&mut unread).await? > 0, "the connection ended early");
        }
    }
    Ok(answers)
}
