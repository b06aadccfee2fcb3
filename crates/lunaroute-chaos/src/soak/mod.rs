//! Mixed traffic at half of what the gateway can bear, for long: nothing grows, and nothing is lost.

mod samples;
mod traffic;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::samples::{Sample, Samples};
use self::traffic::Pace;
use crate::report::{Promise, Report};
use crate::stage::client::Seen;
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::load::Load;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::probe::drained;
use crate::stage::provider;

const CLIENTS: usize = 96;

/// How long saturation is measured.
const SATURATION: Duration = Duration::from_secs(5);

/// For the writers to catch up.
const PATIENCE: Duration = Duration::from_secs(900);

/// The run.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// How long, in seconds.
    pub seconds: u64,
    /// Seconds between two samples.
    pub every: u64,
}

impl Soak {
    /// What is promised.
    pub const FULL: Self = Self { seconds: 30 * 60, every: 10 };
    /// For every change.
    pub const SHORT: Self = Self { seconds: 12, every: 1 };

    /// A run of so many minutes.
    ///
    /// # Errors
    /// When it is shorter than a tenth of a minute or longer than a week.
    pub fn of_minutes(minutes: f64) -> Result<Self> {
        ensure!((0.1..=10_080.0).contains(&minutes), "a soak takes 0.1 minutes to a week, not {minutes}");
        let seconds = Duration::from_secs_f64(minutes * 60.0).as_secs();
        Ok(Self { seconds, every: (seconds / 30).clamp(1, Self::FULL.every) })
    }

    /// Loads and watches.
    ///
    /// # Errors
    /// When the gateway or the provider cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let home = folder.path().join("home");
        std::fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let provider = provider().await?;
        let plan = Plan::new(program, &home, provider.base_url());
        let gateway = plan.start().await?;
        let mut sent = Sent::default();
        let sockets = samples::sockets(&gateway)?;

        let (seen, most) = saturation(&gateway).await?;
        sent.add(&seen);
        let every = Duration::from_secs_f64(2.0 * f64::from(u32::try_from(CLIENTS)?) / most);
        let load = Load::paced(gateway.address, CLIENTS, every, traffic::mixed("soak", Pace::Lively));
        let (began, mut samples) = (Instant::now(), Samples::default());
        let (mut requests, mut failed) = (0, 0);
        while began.elapsed() < Duration::from_secs(self.seconds) {
            tokio::time::sleep(Duration::from_secs(self.every)).await;
            samples.add(Sample::take(began, &gateway, &home)?);
            // Taken piece by piece: neither side remembers the whole run.
            let seen = load.take();
            requests += seen.len();
            failed += seen.iter().filter(|seen| traffic::is_unexpected(seen)).count();
            sent.add(&seen);
            sent.add_ledger(&provider.ledger());
            provider.reset();
        }
        let seconds = began.elapsed().as_secs_f64();
        let seen = load.finish().await;
        requests += seen.len();
        failed += seen.iter().filter(|seen| traffic::is_unexpected(seen)).count();
        sent.add(&seen);
        sent.add_ledger(&provider.ledger());
        let drain = drained(gateway.address, PATIENCE).await?;
        provider.shutdown().await;
        samples.sockets_left = samples::sockets_left(&gateway, sockets).await?;
        gateway.stop().await?;

        let mut report = Report::new(format!("a soak of {:.0} s at half of saturation", seconds));
        report.line("requests/s at saturation", most, Promise::Told);
        report.line("requests/s intended", most / 2.0, Promise::Told);
        #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 requests")]
        report.line(
            "requests/s in the soak",
            (requests as f64 - most * SATURATION.as_secs_f64()) / seconds,
            Promise::Told,
        );
        report.count("answers that were not as their script says", failed, Promise::Exactly(0.0));
        report.line("until all was written at the end, s", drain.as_secs_f64(), Promise::Told);
        samples.tell(&mut report);
        Parity::read(&plan, &sent, Keepers::USUAL)?.tell(&mut report);
        Ok(report)
    }
}

/// What the gateway answers and writes in a second when nobody waits, and what the clients saw.
async fn saturation(gateway: &Gateway) -> Result<(Vec<Seen>, f64)> {
    let began = Instant::now();
    let load = Load::start(gateway.address, CLIENTS, traffic::mixed("saturation", Pace::Hurried));
    tokio::time::sleep(SATURATION).await;
    let seen = load.finish().await;
    // The time to write it all counts: a gateway that answers faster than it records would owe more and more.
    drained(gateway.address, PATIENCE).await?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of load are far fewer than 2^52 requests")]
    let most = seen.len() as f64 / began.elapsed().as_secs_f64();
    Ok((seen, most))
}
