//! Asks a gateway of itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::until;

/// One answer may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the gateway says that it can serve.
pub(crate) async fn ready(at: SocketAddr, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = get(at, "/readyz").await;
        if matches!(answer, Ok((200, _))) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the gateway is not ready after {} s: {answer:?}",
            patience.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What the gateway says of itself, in one word: `ready`, `degraded` or `down`.
pub(crate) async fn readiness(at: SocketAddr) -> Result<String> {
    let (_, told) = get(at, "/readyz").await?;
    let told: Value = serde_json::from_str(&told).context("/readyz said something else than JSON")?;
    Ok(told["status"].as_str().unwrap_or_default().to_owned())
}

/// Waits until all that was received is in the journal and every writer has applied the journal.
pub(crate) async fn drained(at: SocketAddr, patience: Duration) -> Result<Duration> {
    let began = Instant::now();
    until("the recorder is done", patience, async || {
        let metrics = Metrics::read(at).await?;
        let at_rest = metrics.sum("lunaroute_recorder_waiting_events") == 0.0
            && metrics.sum("lunaroute_recorder_writer_behind_bytes") == 0.0;
        Ok(at_rest.then(|| began.elapsed()))
    })
    .await
}

/// The gateway's metrics at one moment.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) async fn read(at: SocketAddr) -> Result<Self> {
        let (status, text) = get(at, "/metrics").await?;
        ensure!(status == 200, "/metrics answered {status}");
        Ok(Self(text))
    }

    /// The sum of a metric over all its labels; 0 when there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|(_, value)| value).sum()
    }

    /// The sum of a metric over the samples whose labels contain this text.
    pub(crate) fn sum_of(&self, name: &str, label: &str) -> f64 {
        self.samples(name).filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
    }

    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            let (labels, value) = rest.rsplit_once(' ')?;
            Some((labels, value.parse().ok()?))
        })
    }
}

/// The status and the body of an answer to a plain question.
async fn get(at: SocketAddr, path: &str) -> Result<(u16, String)> {
    let exchange = async {
        let mut socket = TcpStream::connect(at).await.with_context(|| format!("nobody listens on {at}"))?;
        let question = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
        socket.write_all(question.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer =
        tokio::time::timeout(PATIENCE, exchange).await.with_context(|| format!("{path}: no answer"))??;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{path}: no whole answer") };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("{path}: no status"))?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_over_longer_names() {
        let text = "# HELP a A.\na{w=\"x\"} 2\na{w=\"y\"} 3.5\na_total 9\n";
        let metrics = Metrics(text.to_owned());
        assert!((metrics.sum("a") - 5.5).abs() < 1e-9);
        assert!((metrics.sum_of("a", "\"y\"") - 3.5).abs() < 1e-9);
        assert!(metrics.sum("b").abs() < 1e-9);
    }
}
