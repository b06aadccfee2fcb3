//! The program behind `cargo xtask chaos`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use lunaroute_chaos::{
    ClientPart, Clients, Database, DatabasePart, Disk, Kill9, Report, Soak, UpstreamBasics, UpstreamPart,
    with_own_mounts,
};

/// Breaks what is around the gateway and compares its record with what clients and provider saw.
#[derive(Parser)]
#[command(name = "lunaroute-chaos", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The build of `lunaroute` that is tried.
    #[arg(long, value_name = "FILE", global = true, default_value = "target/release/lunaroute")]
    gateway: PathBuf,
    /// Sizes that are not given are small: seconds instead of minutes.
    #[arg(long, global = true)]
    short: bool,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Scenario {
    /// Providers that drip, answer beyond all measure, or send bombs.
    UpstreamBasics {
        /// Which parts; none means all.
        parts: Vec<UpstreamPart>,
    },
    /// Clients that are unclear, hang up, stall, flood, or come in numbers that no gateway can bear.
    Clients {
        /// Which parts; none means all.
        parts: Vec<ClientPart>,
    },
    /// Lock, forbid, delete and damage the database.
    Database {
        /// Which parts; none means all.
        parts: Vec<DatabasePart>,
        /// Seconds for which another process holds the lock; 60 if not given, or 3 when short.
        #[arg(long)]
        lock_seconds: Option<u64>,
        /// How many pages are overwritten, one run for each number; 1, 10 and 100 if not given, or 10 when short.
        #[arg(long, value_delimiter = ',')]
        pages: Vec<usize>,
    },
    /// Fill the disk, let it fail, and damage the journal.
    Disk {
        /// Sizes of file systems that get full, in MiB; 8, 16, 32 and 64 if not given.
        #[arg(long, value_delimiter = ',')]
        sizes: Vec<u64>,
        /// Seconds under load on a full file system; 10 if not given, or 2 when short.
        #[arg(long)]
        full_seconds: Option<u64>,
        /// Points at which the journal's disk fails once; 200 if not given, or 40 when short.
        #[arg(long)]
        points: Option<usize>,
        /// KiB of the journal that is damaged everywhere; 1024 if not given, or 16 when short.
        #[arg(long)]
        damage_kib: Option<usize>,
        /// What is mounted is seen by this process alone. The program sets it for itself.
        #[arg(long, hide = true)]
        own_mounts: bool,
    },
    /// Kill the gateway under live streams, again and again.
    Kill9 {
        /// How often; 200 if not given, or 5 when short.
        #[arg(long)]
        kills: Option<usize>,
        /// Streams that live at each kill; 100 if not given, or 20 when short.
        #[arg(long)]
        streams: Option<usize>,
        /// MiB of a journal that the gateway is started with; 1024 if not given, or 16 when short; 0 leaves that out.
        #[arg(long)]
        journal_mib: Option<usize>,
    },
    /// Mixed traffic at half of saturation, for long.
    Soak {
        /// How long; 30 if not given, or a fifth of one when short.
        #[arg(long)]
        minutes: Option<f64>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Scenario::Disk { own_mounts: false, .. } = cli.scenario {
        return match with_own_mounts() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let report = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&cli)));
    match report.and_then(|report| print(&report, cli.common.json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run(cli: &Cli) -> Result<Report> {
    let Common { gateway: program, short, .. } = &cli.common;
    match &cli.scenario {
        Scenario::UpstreamBasics { parts } => {
            UpstreamBasics { parts: parts.clone(), short: *short }.run(program).await
        }
        Scenario::Clients { parts } => Clients { parts: parts.clone(), short: *short }.run(program).await,
        Scenario::Database { parts, lock_seconds, pages } => {
            let usual = if *short { Database::short() } else { Database::full() };
            let database = Database {
                parts: if parts.is_empty() { usual.parts } else { parts.clone() },
                lock_seconds: lock_seconds.unwrap_or(usual.lock_seconds),
                pages: if pages.is_empty() { usual.pages } else { pages.clone() },
            };
            database.run(program).await
        }
        Scenario::Disk { sizes, full_seconds, points, damage_kib, own_mounts: _ } => {
            let usual = if *short { Disk::short() } else { Disk::full() };
            let disk = Disk {
                sizes: if sizes.is_empty() { usual.sizes } else { sizes.clone() },
                full_seconds: full_seconds.unwrap_or(usual.full_seconds),
                points: points.unwrap_or(usual.points),
                damage_kib: damage_kib.unwrap_or(usual.damage_kib),
            };
            disk.run(program).await
        }
        Scenario::Kill9 { kills, streams, journal_mib } => {
            let usual = if *short { Kill9::SHORT } else { Kill9::FULL };
            let kill9 = Kill9 {
                kills: kills.unwrap_or(usual.kills),
                streams: streams.unwrap_or(usual.streams),
                journal_mib: journal_mib.unwrap_or(usual.journal_mib),
            };
            kill9.run(program).await
        }
        Scenario::Soak { minutes } => {
            let usual = if *short { Soak::SHORT } else { Soak::FULL };
            minutes.map_or(Ok(usual), Soak::of_minutes)?.run(program).await
        }
    }
}

/// Prints the table and says whether every promise is kept.
fn print(report: &Report, json: bool) -> Result<bool> {
    println!("{}", if json { report.json()? } else { report.table() });
    Ok(report.holds())
}
