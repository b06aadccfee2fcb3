//! P11: clients that hold a connection and say nothing, or say it a byte at a time.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::steady::{Comparison, Others};
use super::{Scale, home};
use crate::report::{Promise, Report};
use crate::stage::gateway::Plan;
use crate::stage::provider;

/// Between two bytes of one that dribbles.
const DRIBBLE: Duration = Duration::from_millis(500);

/// A connection may live this much longer than its timer.
const GRACE: Duration = Duration::from_secs(1);

const HEAD: &[u8] = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\nx-slow: ";
const HEAD_END: &[u8] = b"1\r\n\r\n";

/// What a slow client does.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Silent,
    /// Its head never ends.
    DribblingHead,
    /// Its head comes at once, its body never ends.
    DribblingBody,
}

pub(super) async fn run(program: &Path, folder: &Path, scale: &Scale) -> Result<Report> {
    let (clients, timer) = (scale.of(300, 5_000), Duration::from_secs(scale.of(1, 10)));
    let mut report = Report::new("slow clients");
    let provider = provider().await?;
    let seconds = format!("{}s", timer.as_secs());
    let settings = json!({"timeouts": {"header_read": seconds, "body_read": seconds}});
    let plan = Plan::new(program, &home(folder, "slowloris")?, provider.base_url()).with(settings);
    let gateway = plan.start().await?;
    let before = Others::watch(gateway.address, scale.watch()).await;
    let (lives, during) = tokio::join!(
        slow_clients(gateway.address, clients, timer + 10 * GRACE),
        Others::watch(gateway.address, timer)
    );
    let after = Others::watch(gateway.address, scale.watch()).await;
    let lives = lives?;
    let longest = lives.iter().flatten().max().copied().unwrap_or_default();
    let open = lives.iter().filter(|life| life.is_none()).count();
    report.count("slow clients", clients, Promise::Told);
    report.count("never closed", open, Promise::Exactly(0.0));
    let most = scale.judged(Promise::AtMost((timer + GRACE).as_secs_f64()));
    report.line(format!("longest life with a timer of {seconds}, s"), longest.as_secs_f64(), most);
    Comparison { before, during, after }.tell(&mut report, 10.0, !scale.short);
    gateway.stop().await?;
    Ok(report)
}

/// How long each connection lived; `None` for those that were still open after `patience`.
async fn slow_clients(
    address: SocketAddr,
    clients: usize,
    patience: Duration,
) -> Result<Vec<Option<Duration>>> {
    let habits = [Habit::Silent, Habit::DribblingHead, Habit::DribblingBody];
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let stream = TcpStream::connect(address).await.context("a slow client could not connect")?;
        let habit = habits[number % habits.len()];
        tasks.spawn(async move {
            let began = Instant::now();
            let ended = tokio::time::timeout(patience, live(stream, habit)).await;
            ended.is_ok().then(|| began.elapsed())
        });
    }
    Ok(tasks.join_all().await)
}

/// Goes on until the gateway closes.
async fn live(mut stream: TcpStream, habit: Habit) {
    let begin: &[&[u8]] = match habit {
        Habit::Silent => &[],
        Habit::DribblingHead => &[HEAD],
        Habit::DribblingBody => &[HEAD, HEAD_END],
    };
    for bytes in begin {
        if stream.write_all(bytes).await.is_err() {
            return;
        }
    }
    let mut answer = [0; 1024];
    loop {
        match tokio::time::timeout(DRIBBLE, stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => {}
            Err(_silence) => {
                let is_silent = matches!(habit, Habit::Silent);
                if !is_silent && stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        }
    }
}
