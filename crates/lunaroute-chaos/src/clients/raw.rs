//! Raw HTTP/1.1: what is unclear is refused, what is clear arrives as one request, and nothing is smuggled behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cases::{AFTER_HOST, LINES, LONG, Verdict, WHOLE};
use super::echo::{Echo, Heard};
use super::home;
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;

/// The harmless request behind each case; the connection ends with it.
const FOLLOWER: &str = "GET /v1/follower HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A connection that is open for longer hangs: the gateway's own timers are far below it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Failures that are shown.
const SHOWN: usize = 12;

/// How a case went.
struct Outcome {
    /// The statuses of the answers, without those of 1xx.
    statuses: Vec<u16>,
    heard: Vec<Heard>,
    is_hung: bool,
}

/// Runs all cases, one after the other.
pub(super) async fn run(program: &Path, folder: &Path) -> Result<Report> {
    let mut report = Report::new("raw HTTP/1.1");
    let echo = Echo::start().await?;
    let settings = json!({
        "timeouts": {"header_read": "250ms", "body_read": "400ms", "write_stall": "2s"},
        "recording": {"enabled": false},
    });
    let gateway = Plan::new(program, &home(folder, "raw")?, format!("http://{}", echo.address))
        .with(settings)
        .start()
        .await?;
    let (mut failures, mut smuggled, mut hung, mut wrong) = (0, 0, 0, Vec::new());
    let cases = all();
    for (name, bytes, verdict) in &cases {
        let outcome = send(gateway.address, &echo, bytes).await.with_context(|| (*name).to_owned())?;
        smuggled += outcome.heard.iter().filter(|heard| heard.target.contains("smuggled")).count();
        smuggled += outcome.heard.iter().filter(|heard| !heard.is_clear).count();
        hung += usize::from(outcome.is_hung);
        if outcome.is_hung || !is_as_it_should(*verdict, &outcome) {
            failures += 1;
            let targets: Vec<String> = outcome
                .heard
                .iter()
                .map(|heard| format!("{} {:?}", heard.target, String::from_utf8_lossy(&heard.body)))
                .collect();
            wrong.push(format!(
                "{name}: should be {verdict:?}; answered {:?}, upstream heard {targets:?}",
                outcome.statuses
            ));
        }
    }
    report.count("cases", cases.len(), Promise::AtLeast(100.0));
    report.count("cases that went otherwise than the standard demands", failures, Promise::Exactly(0.0));
    report.count("requests smuggled or unclear at the upstream", smuggled, Promise::Exactly(0.0));
    report.count("connections that hung", hung, Promise::Exactly(0.0));
    wrong.into_iter().take(SHOWN).for_each(|wrong| report.note(wrong));
    gateway.stop().await?;
    Ok(report)
}

/// Every case as the bytes that are sent before the harmless request.
fn all() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let post = |rest: &str| format!("POST /v1/first HTTP/1.1\r\nhost: localhost\r\n{rest}");
    let line = |line: &str| format!("{line}\r\nhost: localhost\r\n\r\n");
    let after_host = AFTER_HOST.iter().map(|(name, rest, verdict)| (*name, post(rest), *verdict));
    let lines = LINES.iter().map(|(name, text, verdict)| (*name, line(text), *verdict));
    let whole = WHOLE.iter().map(|(name, text, verdict)| (*name, (*text).to_owned(), *verdict));
    let long = LONG.iter().map(|(name, make, verdict)| (*name, make(), *verdict));
    let cases = after_host.chain(lines).chain(whole).chain(long);
    cases.map(|(name, text, verdict)| (name, text.into_bytes(), verdict)).collect()
}

/// Sends a case and the harmless request, and reads until the connection ends.
async fn send(address: SocketAddr, echo: &Echo, bytes: &[u8]) -> Result<Outcome> {
    let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
    stream.set_nodelay(true)?;
    let (mut reading, mut writing) = stream.split();
    let whole = [bytes, FOLLOWER.as_bytes()].concat();
    let mut answer = Vec::new();
    let exchange = async {
        // A gateway that refuses early closes while it is still being sent to.
        let write = async {
            let _refused = writing.write_all(&whole).await;
        };
        let read = async { while reading.read_buf(&mut answer).await.is_ok_and(|read| read > 0) {} };
        tokio::join!(write, read)
    };
    let is_hung = tokio::time::timeout(PATIENCE, exchange).await.is_err();
    Ok(Outcome { statuses: statuses(&answer), heard: echo.take(), is_hung })
}

/// The statuses in the bytes; no answer of this run has a status line in its body.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let versions = ["HTTP/1.1 ", "HTTP/1.0 "];
    let starts = versions.into_iter().flat_map(|version| text.match_indices(version));
    let mut found: Vec<(usize, u16)> = starts
        .filter_map(|(at, version)| Some((at, text.get(at + version.len()..)?.get(..3)?.parse().ok()?)))
        .filter(|(_, status)| *status >= 200)
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, status)| status).collect()
}

fn is_as_it_should(verdict: Verdict, outcome: &Outcome) -> bool {
    let Outcome { statuses, heard, .. } = outcome;
    let targets: Vec<&str> = heard.iter().map(|heard| heard.target.as_str()).collect();
    let is_first = |body: &str| {
        heard.first().is_some_and(|first| {
            first.is_clear && first.target.contains("first") && first.body == body.as_bytes()
        })
    };
    let is_error = |status: &u16| (400..600).contains(status);
    let refused = heard.is_empty() && statuses.len() <= 1 && statuses.iter().all(is_error);
    let refused_alone =
        refused || targets == ["/v1/follower"] && statuses.len() == 2 && is_error(&statuses[0]);
    let last = |body| is_first(body) && targets.len() == 1 && statuses == &[200];
    let served = |body| {
        is_first(body) && targets.len() == 2 && targets[1] == "/v1/follower" && statuses == &[200, 200]
    };
    match verdict {
        Verdict::Refused => refused,
        Verdict::RefusedAlone => refused_alone,
        Verdict::Served(body) => served(body),
        Verdict::ServedLast(body) => last(body),
        Verdict::Any(body) => refused_alone || last(body) || served(body),
    }
}

#[cfg(test)]
mod tests {
    use super::{all, statuses};

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let cases = all();
        let mut names: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn statuses_are_found_in_their_order() {
        assert_eq!(
            statuses(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}HTTP/1.0 400 x"),
            [200, 400]
        );
        assert_eq!(statuses(b"HTTP/1.1 x"), [0_u16; 0]);
    }
}
