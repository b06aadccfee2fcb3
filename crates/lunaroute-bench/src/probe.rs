//! Asks a gateway of itself.

use std::fmt;
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

/// Between the first two questions, and at most between any: who waits long asks seldom, because each question costs the
/// gateway time that counts.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What a recorder still has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Events that are not in the journal.
    pub(crate) events: u64,
    /// Bytes of the journal that the writers have not applied, over all of them.
    pub(crate) bytes: u64,
}

impl fmt::Display for Backlog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} events waited and {} KiB of the journal were not applied",
            self.events,
            self.bytes.div_ceil(1_024)
        )
    }
}

/// Waits until all that was received is in the journal and every writer has applied the journal.
///
/// Gives what was not done within the time, if anything.
pub(crate) async fn drain(at: SocketAddr, patience: Duration) -> Result<Option<Backlog>> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        let (_, metrics) = get(at, "/metrics").await?;
        let left =
            backlog(&metrics).with_context(|| format!("{at} does not tell what its recorder has to do"))?;
        if left.events == 0 && left.bytes == 0 {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Ok(Some(left));
        }
        tokio::time::sleep(pause).await;
        pause = pause.mul_f64(1.25).min(LONGEST_PAUSE);
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

/// `None` when a figure is not among the metrics: a recorder that is not asked rightly must not look as if it were done.
fn backlog(metrics: &str) -> Option<Backlog> {
    let sum = |name: &str| {
        let of_name = |line: &str| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        let found: Vec<f64> = metrics.lines().filter_map(of_name).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>().max(0.0) as u64)
    };
    Some(Backlog {
        events: sum("lunaroute_recorder_waiting_events")?,
        bytes: sum("lunaroute_recorder_writer_behind_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Backlog, backlog};

    #[test]
    fn every_writer_must_have_applied_the_journal() {
        let metrics = |waiting: u32, behind: u32| {
            format!(
                "# HELP lunaroute_recorder_waiting_events Events.\nlunaroute_recorder_waiting_events {waiting}\n\
                 lunaroute_recorder_writer_behind_bytes{{writer=\"jsonl\"}} 7\n\
                 lunaroute_recorder_writer_behind_bytes{{writer=\"sqlite\"}} {behind}\n"
            )
        };
        assert_eq!(backlog(&metrics(0, 0)), Some(Backlog { events: 0, bytes: 7 }));
        assert_eq!(backlog(&metrics(1, 512)), Some(Backlog { events: 1, bytes: 519 }));
    }

    #[test]
    fn a_recorder_that_tells_nothing_is_not_taken_for_one_that_is_done() {
        assert_eq!(backlog("lunaroute_recorder_waiting_events 0\n"), None);
        assert_eq!(backlog(""), None);
    }
}
