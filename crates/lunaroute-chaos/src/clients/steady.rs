//! Others: ordinary requests at a steady pace, whose times show whether somebody else's behaviour costs them anything.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::echo::find;
use crate::report::{Promise, Report};

/// Connections of ordinary clients, and how often each of them asks.
const CLIENTS: usize = 8;
const EVERY: Duration = Duration::from_millis(40);

/// One answer may take this long; then it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"Where does the moon go?"}]}"#;

/// How the others fared for a while.
#[derive(Debug, Clone, Default)]
pub(crate) struct Others {
    /// From the moment at which each request was due to the end of its answer, ascending.
    times: Vec<Duration>,
    failed: usize,
}

impl Others {
    /// Sends for so long, and a little longer for what is due then.
    pub(crate) async fn watch(address: SocketAddr, lasting: Duration) -> Self {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(address, lasting));
        }
        let mut others = Self::default();
        while let Some(client) = clients.join_next().await {
            let client = client.unwrap_or_else(|_panic| Self { failed: 1, ..Self::default() });
            others.join(client);
        }
        others
    }

    /// Adds what was seen at another time.
    pub(super) fn join(&mut self, other: Self) {
        self.times.extend(other.times);
        self.times.sort_unstable();
        self.failed += other.failed;
    }

    /// What the slowest hundredth took at least, in milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        let place = (self.times.len() * 99).div_ceil(100).saturating_sub(1);
        self.times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

async fn client(address: SocketAddr, lasting: Duration) -> Others {
    let (mut others, began) = (Others::default(), Instant::now());
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut connection = None;
    while began.elapsed() < lasting {
        let due: Instant = pace.tick().await.into();
        match tokio::time::timeout(PATIENCE, exchange(address, &mut connection)).await {
            Ok(Ok(())) => others.times.push(due.elapsed()),
            _ => {
                others.failed += 1;
                connection = None;
            }
        }
    }
    others
}

/// One request on the kept connection, or on a new one when there is none.
async fn exchange(address: SocketAddr, kept: &mut Option<TcpStream>) -> Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(TcpStream::connect(address).await?),
    };
    let length = BODY.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{BODY}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "the connection ended");
        let Some(end) = find(&answer, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        anyhow::ensure!(head.starts_with("http/1.1 200"), "answered {head}");
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if answer.len() >= end + 4 + length.context("an answer without a length")? {
            return Ok(());
        }
    }
}

/// How the others fared before, during and after somebody's behaviour.
pub(crate) struct Comparison {
    pub(crate) before: Others,
    pub(crate) during: Others,
    pub(crate) after: Others,
}

impl Comparison {
    /// Rows of a table. `percent` is what the slowest hundredth may take longer; a millisecond more is always allowed,
    /// because on times that short a percentage tells of the machine. `judged` is false where a loaded machine would
    /// spoil the verdict.
    pub(crate) fn tell(&self, report: &mut Report, percent: f64, judged: bool) {
        let usual = self.before.p99().max(self.after.p99());
        let promised =
            if judged { Promise::AtMost(usual * (1.0 + percent / 100.0) + 1.0) } else { Promise::Told };
        let asked = [&self.before, &self.during, &self.after];
        report.count(
            "requests of others",
            asked.iter().map(|others| others.times.len()).sum(),
            Promise::AtLeast(1.0),
        );
        let failed = asked.iter().map(|others| others.failed).sum();
        report.count("requests of others that failed", failed, Promise::Exactly(0.0));
        report.line("p99 of others before, ms", self.before.p99(), Promise::Told);
        report.line("p99 of others during it, ms", self.during.p99(), promised);
        report.line("p99 of others after it, ms", self.after.p99(), Promise::Told);
    }
}
