//! P43: more requests, bodies and connections than the gateway may serve: it serves what it can, tells the others at once
//! to come again, and says how it is.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lunaroute_sim::Script;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Scale, find, home, is_in_dialect};
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, watch};
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::probe::Metrics;
use crate::stage::vitals::{Vitals, mebibytes};
use crate::stage::{provider, until};

/// The provider takes this long for every answer, so that the places alone decide what the gateway can bear.
const ANSWER: Duration = Duration::from_millis(200);

/// A client that was sent away comes again after this, ten times as soon as it is asked to.
const IMPATIENCE: Duration = Duration::from_millis(100);

/// One answer may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What health may take meanwhile.
const HEALTH_MS: f64 = 100.0;

/// What the overload may add to the gateway's memory.
const MEMORY_MIB: f64 = 96.0;

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let mut report = Report::new("overload");
    requests(program, folder, scale, &mut report).await?;
    bodies(program, folder, scale, &mut report).await?;
    connections(program, folder, &mut report).await?;
    Ok(report)
}

/// What the clients of one phase got.
#[derive(Debug, Default)]
struct Served {
    good: AtomicUsize,
    sent_away: AtomicUsize,
    /// Neither, or not in the caller's dialect, or without a word about when to come again.
    otherwise: AtomicUsize,
}

async fn requests(program: &Path, folder: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    let (places, lasting) = (scale.of(20, 200), Duration::from_secs(scale.of(2, 30)));
    let provider = provider().await?;
    let settings = json!({"limits": {"requests": places}});
    let plan = Plan::new(program, &home(folder, "overload")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Vitals::of(gateway.id())?.resident;
    let peak = phase(gateway.address, places, lasting).await;
    // Twice as many clients, half of them always sent away: far more than twice the requests.
    let (over, health) =
        tokio::join!(phase(gateway.address, 2 * places, lasting), health(gateway.address, lasting));
    let vitals = Vitals::of(gateway.id())?;
    let counted = Metrics::read(gateway.address).await?.sum_of("lunaroute_refused_total", "overloaded");
    let rate = |count: &AtomicUsize| {
        #[expect(clippy::cast_precision_loss, reason = "far less than 52 bits count")]
        let count = count.load(Ordering::Relaxed) as f64;
        count / lasting.as_secs_f64()
    };
    let (usual, good) = (rate(&peak.good), rate(&over.good));
    report.line("answers per second at its limit", usual, Promise::Told);
    report.line(
        "requests per second beyond it, times that",
        (good + rate(&over.sent_away)) / usual,
        Promise::AtLeast(2.0),
    );
    report.line(
        "answers per second beyond it, % of that",
        100.0 * good / usual,
        scale.judged(Promise::AtLeast(90.0)),
    );
    let sent_away = over.sent_away.load(Ordering::Relaxed);
    report.count(
        "sent away with 503 (Anthropic: 529) and Retry-After in their dialect",
        sent_away,
        Promise::AtLeast(1.0),
    );
    let otherwise = peak.otherwise.load(Ordering::Relaxed) + over.otherwise.load(Ordering::Relaxed);
    report.count("answered otherwise, or not at all", otherwise, Promise::Exactly(0.0));
    let all = sent_away + peak.sent_away.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "far less than 52 bits count")]
    report.line("of them not counted as refused", all as f64 - counted, Promise::Exactly(0.0));
    let (slowest, unhealthy) = health;
    report.line(
        "slowest answer about health meanwhile, ms",
        slowest,
        scale.judged(Promise::AtMost(HEALTH_MS)),
    );
    report.count("questions about health that were not answered", unhealthy, Promise::Exactly(0.0));
    report.line(
        "memory beyond that of rest, MiB",
        mebibytes(before, vitals.peak),
        scale.judged(Promise::AtMost(MEMORY_MIB)),
    );
    gateway.stop().await
}

/// The status that the callers of this path know for an overload.
fn overloaded(path: &str) -> u16 {
    if path == PATHS[2] { 529 } else { 503 }
}

/// So many clients, each of which asks again as soon as it has its answer.
async fn phase(address: SocketAddr, clients: usize, lasting: Duration) -> Arc<Served> {
    let (served, began) = (Arc::new(Served::default()), Instant::now());
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let served = Arc::clone(&served);
        tasks.spawn(async move {
            let mut number = client;
            while began.elapsed() < lasting {
                number += 1;
                let path = PATHS[number % PATHS.len()];
                let delay = u64::try_from(ANSWER.as_millis()).unwrap_or(u64::MAX);
                let script = Script { first_byte_delay_ms: delay, ..Script::text(5) };
                let call = Call::new(format!("{client}-{number}"), path, false, script);
                let seen = watch(address, &call, Habit::default(), &AtomicUsize::new(0)).await;
                let of = match seen.status {
                    Some(200) if seen.whole => &served.good,
                    Some(status)
                        if status == overloaded(path)
                            && is_in_dialect(path, &seen.body)
                            && seen.retry_after == Some(1) =>
                    {
                        &served.sent_away
                    }
                    _ => &served.otherwise,
                };
                of.fetch_add(1, Ordering::Relaxed);
                if seen.refused() {
                    tokio::time::sleep(IMPATIENCE).await;
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    served
}

/// Asks about health, each time on a new connection: the slowest answer in milliseconds, and how many did not come.
async fn health(address: SocketAddr, lasting: Duration) -> (f64, usize) {
    const EVERY: Duration = Duration::from_millis(20);
    const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
    let (began, mut slowest, mut unanswered) = (Instant::now(), Duration::ZERO, 0);
    let mut number = 0;
    while began.elapsed() < lasting {
        number += 1;
        let asked = Instant::now();
        match ask(
            address,
            &format!("GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", PATHS[number % 3]),
        )
        .await
        {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => slowest = slowest.max(asked.elapsed()),
            _ => unanswered += 1,
        }
        tokio::time::sleep(EVERY).await;
    }
    (slowest.as_secs_f64() * 1e3, unanswered)
}

/// One request on a connection of its own, and all that is answered.
async fn ask(address: SocketAddr, request: &str) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
}

/// Bodies that are almost there and take up their memory, until there is none for another.
async fn bodies(program: &Path, folder: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    const BODY: usize = 1 << 20;
    let room = scale.of(4, 32);
    let provider = provider().await?;
    let settings = json!({"limits": {"body": BODY, "bodies": room * BODY}});
    let plan = Plan::new(program, &home(folder, "bodies")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Vitals::of(gateway.id())?.resident;
    let (mut held, mut sent_away) = (Vec::new(), 0);
    for number in 0..2 * room {
        let (mut stream, last) = all_but_the_last_byte(gateway.address, BODY, number).await?;
        let taken = as_figure((held.len() + 1) * (BODY - 1));
        match answer_or(&mut stream, gateway.address, taken).await? {
            Some(answer) if answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1") => {
                sent_away += 1;
            }
            Some(answer) => anyhow::bail!("a body that is not whole was answered with {answer}"),
            None => held.push((stream, last)),
        }
    }
    let loaded = Vitals::of(gateway.id())?.resident;
    let (taken, mut good) = (held.len(), 0);
    for (mut stream, last) in held {
        stream.write_all(&last).await?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await?;
        good += usize::from(answer == b"HTTP/1.1 200");
    }
    let again = ask(
        gateway.address,
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await?;
    report.count("bodies of 1 MiB at once", 2 * room, Promise::Told);
    report.count("of them taken", taken, Promise::Exactly(as_figure(room)));
    report.count("of them sent away with 503 and Retry-After", sent_away, Promise::Exactly(as_figure(room)));
    report.count(
        "of those that were taken and completed, answered",
        good,
        Promise::Exactly(as_figure(taken)),
    );
    report.line(
        "memory for them, MiB",
        mebibytes(before, loaded),
        scale.judged(Promise::AtMost(2.5 * as_figure(room))),
    );
    report.count(
        "sent away afterwards",
        usize::from(again.starts_with("HTTP/1.1 503")),
        Promise::Exactly(0.0),
    );
    gateway.stop().await
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn as_figure(count: usize) -> f64 {
    count as f64
}

/// Sends a body of so many bytes without its last one, which is returned.
async fn all_but_the_last_byte(
    address: SocketAddr,
    bytes: usize,
    number: usize,
) -> Result<(TcpStream, [u8; 1])> {
    let call = Call::new(format!("body-{number}"), PATHS[0], false, Script::text(2));
    let mut body = call.body.into_bytes();
    let last = body.pop().map(|last| [last]).context("a body has bytes")?;
    // Blanks before the last bracket change nothing.
    body.resize(bytes - 1, b' ');
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n",
        PATHS[0]
    );
    let written = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await
    };
    // One that is sent away need not take the rest.
    let _refused = written.await;
    Ok((stream, last))
}

/// The head of an answer, in small letters; `None` once the gateway has so many bytes of bodies in memory instead.
async fn answer_or(stream: &mut TcpStream, address: SocketAddr, held: f64) -> Result<Option<String>> {
    tokio::select! {
        answer = head(stream) => answer.map(Some),
        taken = until("a body is read or refused", PATIENCE, async || {
            let bytes = Metrics::read(address).await?.sum("lunaroute_request_body_bytes");
            Ok((bytes >= held).then_some(()))
        }) => taken.map(|()| None),
    }
}

/// The head of an answer, in small letters.
async fn head(stream: &mut TcpStream) -> Result<String> {
    let mut answer = Vec::new();
    while find(&answer, b"\r\n\r\n").is_none() {
        anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "closed without an answer");
    }
    Ok(String::from_utf8_lossy(&answer).to_ascii_lowercase())
}

/// Every connection is taken, and health is answered nevertheless.
async fn connections(program: &Path, folder: &Path, report: &mut Report) -> Result<()> {
    const PLACES: usize = 16;
    const QUESTION: &str = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let provider = provider().await?;
    let settings = json!({"limits": {"connections": PLACES}});
    let plan = Plan::new(program, &home(folder, "connections")?, provider.base_url()).with(settings);
    let gateway: Gateway = plan.start().await?;
    let mut taken = Vec::new();
    while taken.len() < PLACES {
        let mut stream = TcpStream::connect(gateway.address).await?;
        stream.write_all(QUESTION.as_bytes()).await?;
        let answer = head(&mut stream).await?;
        // Connections of before, such as those that asked whether it is ready, may still have a place.
        if !answer.contains("connection: close") {
            taken.push(stream);
        }
    }
    let (slowest, unanswered) = health(gateway.address, Duration::from_millis(400)).await;
    let (mut sent_away, asked) = (0, 20);
    for _ in 0..asked {
        let answer = ask(gateway.address, QUESTION).await?.to_ascii_lowercase();
        sent_away += usize::from(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1"));
    }
    report.count("connections that are all taken", PLACES, Promise::Told);
    report.count(
        "further requests sent away with 503 and Retry-After",
        sent_away,
        Promise::Exactly(as_figure(asked)),
    );
    report.line("slowest answer about health then, ms", slowest, Promise::Told);
    report.count("questions about health that were not answered then", unanswered, Promise::Exactly(0.0));
    drop(taken);
    gateway.stop().await
}
