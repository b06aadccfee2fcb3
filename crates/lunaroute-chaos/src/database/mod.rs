//! A database that is locked, read-only, deleted or damaged while the gateway runs: traffic goes on, and in the end the
//! database has everything.

mod damaged;
mod locked;
mod read_only;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lunaroute_sim::{Provider, Script};
use tempfile::TempDir;

use self::damaged::Harm;
use crate::report::{Promise, Report};
use crate::stage::client::{Call, Habit, PATHS, Seen};
use crate::stage::gateway::{Gateway, Plan};
use crate::stage::load::Load;
use crate::stage::parity::{Keepers, Parity, Sent};
use crate::stage::probe::drained;
use crate::stage::provider;

const CLIENTS: usize = 6;

/// Before the harm, so that there is a database worth harming.
const BEFORE: Duration = Duration::from_secs(1);

/// For the gateway to notice that its database is damaged or gone.
const NOTICED: Duration = Duration::from_secs(60);

/// For the writers to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// One way to harm a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatabasePart {
    /// Another process holds its lock.
    Locked,
    /// Nobody may write it, while the gateway runs and when it starts.
    ReadOnly,
    /// It is deleted.
    Deleted,
    /// Pages of it are overwritten.
    Damaged,
}

/// The run.
#[derive(Debug, Clone)]
pub struct Database {
    /// What is done to it.
    pub parts: Vec<DatabasePart>,
    /// How long another process holds its lock, in seconds.
    pub lock_seconds: u64,
    /// How many pages are overwritten, one run for each number.
    pub pages: Vec<usize>,
}

impl Database {
    /// What is promised.
    #[must_use]
    pub fn full() -> Self {
        Self { parts: DatabasePart::value_variants().to_vec(), lock_seconds: 60, pages: vec![1, 10, 100] }
    }

    /// For every change.
    #[must_use]
    pub fn short() -> Self {
        Self { lock_seconds: 3, pages: vec![10], ..Self::full() }
    }

    /// Harms one database after the other.
    ///
    /// # Errors
    /// When the gateway cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let mut report = Report::new("a database that is locked, read-only, deleted or damaged");
        for part in &self.parts {
            match part {
                DatabasePart::Locked => {
                    let lock = Duration::from_secs(self.lock_seconds);
                    report.take_over(locked::run(&mut Stand::open(program).await?, lock).await?);
                }
                DatabasePart::ReadOnly => {
                    report.take_over(read_only::run(&mut Stand::open(program).await?).await?);
                }
                DatabasePart::Deleted => {
                    report.take_over(damaged::run(&mut Stand::open(program).await?, Harm::Deleted).await?);
                }
                DatabasePart::Damaged => {
                    for pages in &self.pages {
                        let harm = Harm::Overwritten { pages: *pages };
                        report.take_over(damaged::run(&mut Stand::open(program).await?, harm).await?);
                    }
                }
            }
        }
        Ok(report)
    }
}

/// A gateway's home, a provider, and what clients saw.
struct Stand {
    plan: Plan,
    provider: Provider,
    seen: Vec<Seen>,
    _folder: TempDir,
}

impl Stand {
    async fn open(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let home = folder.path().join("home");
        std::fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let provider = provider().await?;
        let plan = Plan::new(program, &home, provider.base_url());
        Ok(Self { plan, provider, seen: Vec::new(), _folder: folder })
    }

    /// Clients that send short requests, and streams of a second, until they are told to stop. `name` tells loads apart.
    fn load(gateway: &Gateway, name: &'static str) -> Load {
        Load::start(gateway.address, CLIENTS, move |client, number| {
            let stream = number % 2 == 0;
            let script = Script { first_byte_delay_ms: 20, event_delay_ms: 2, ..Script::text(20) };
            let mark = format!("{name}-{client}-{number}");
            (Call::new(mark, PATHS[number % PATHS.len()], stream, script), Habit::default())
        })
    }

    async fn finish(&mut self, load: Load) {
        self.seen.extend(load.finish().await);
    }

    /// The database, and the files that SQLite keeps beside it.
    fn database(&self) -> [PathBuf; 3] {
        let database = crate::stage::record::database(&self.plan.home);
        ["", "-wal", "-shm"].map(|suffix| {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        })
    }

    /// Lets the writers catch up, ends the gateway and compares. A writer that never does is a promise that is not kept,
    /// and so is a record that cannot be read.
    async fn close(&self, gateway: Gateway, report: &mut Report) -> Result<()> {
        match drained(gateway.address, PATIENCE).await {
            Ok(took) => {
                report.line(
                    "until the writers had all, s",
                    took.as_secs_f64(),
                    Promise::AtMost(PATIENCE.as_secs_f64()),
                );
                gateway.stop().await?;
            }
            Err(error) => {
                report.line(
                    "until the writers had all, s",
                    f64::NAN,
                    Promise::AtMost(PATIENCE.as_secs_f64()),
                );
                report.note(format!("{error:#}; {}", self.plan.log_tail()));
                gateway.kill()?;
            }
        }
        let mut sent = Sent::default();
        sent.add(&self.seen);
        sent.add_ledger(&self.provider.ledger());
        let failed = self.seen.iter().filter(|seen| !seen.succeeded()).count();
        report.count("request errors", failed, Promise::Exactly(0.0));
        match Parity::read(&self.plan, &sent, Keepers::USUAL) {
            Ok(parity) => parity.tell(report),
            Err(error) => {
                report.count("records that cannot be read", 1, Promise::Exactly(0.0));
                report.note(format!("{error:#}"));
            }
        }
        Ok(())
    }
}
