//! Asks a gateway of itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(25);

/// Waits until all that was received is in the journal and every writer has applied the journal.
///
/// Gives whether that was so within the time.
pub(crate) async fn drained(at: SocketAddr, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let (_, metrics) = get(at, "/metrics").await?;
        if is_drained(&metrics) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the gateway says that it can serve.
pub(crate) async fn ready(at: SocketAddr, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = get(at, "/readyz").await;
        if matches!(answer, Ok((StatusCode::OK, _))) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "{at} is not ready after {} s", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn get(at: SocketAddr, path: &str) -> Result<(StatusCode, String)> {
    let stream = TcpStream::connect(at).await.with_context(|| format!("cannot connect to {at}"))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let request = Request::get(path).header(HOST, at.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn is_drained(metrics: &str) -> bool {
    let sum = |name: &str| {
        let of_name = |line: &str| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        metrics.lines().filter_map(of_name).sum::<f64>()
    };
    sum("lunaroute_recorder_waiting_events") == 0.0 && sum("lunaroute_recorder_writer_behind_bytes") == 0.0
}

#[cfg(test)]
mod tests {
    use super::is_drained;

    #[test]
    fn every_writer_must_have_applied_the_journal() {
        let metrics = |waiting: u32, behind: u32| {
            format!(
                "# HELP lunaroute_recorder_waiting_events Events.\nlunaroute_recorder_waiting_events {waiting}\n\
                 lunaroute_recorder_writer_behind_bytes{{writer=\"jsonl\"}} 0\n\
                 lunaroute_recorder_writer_behind_bytes{{writer=\"sqlite\"}} {behind}\n"
            )
        };
        assert!(is_drained(&metrics(0, 0)));
        assert!(!is_drained(&metrics(1, 0)));
        assert!(!is_drained(&metrics(0, 512)));
    }
}
