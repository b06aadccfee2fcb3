//! The program behind `cargo xtask bench`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use lunaroute_bench::{Programs, Report, Row, Settings, Style};
use tokio::net::TcpListener;

/// Measures the gateway beside a bare proxy and nginx.
#[derive(Parser)]
#[command(name = "lunaroute-bench", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the rows, print the table, and fail when a limit does not hold.
    Run {
        /// Which rows; none means all.
        rows: Vec<Row>,
        #[command(flatten)]
        options: Options,
        /// Only print: a limit that does not hold is no failure.
        #[arg(long)]
        no_gate: bool,
        /// Where the report is kept as JSON. When one is there already, the figures before and after are printed.
        #[arg(long, value_name = "FILE")]
        keep: Option<PathBuf>,
    },
    /// Measure two builds of the gateway in turn.
    Compare {
        /// The earlier build of `lunaroute`.
        #[arg(long, value_name = "FILE")]
        against: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Forward everything to one address: the floor of the stack that the gateway stands on.
    BareProxy {
        /// Where to.
        #[arg(long)]
        upstream: SocketAddr,
        /// Address and port to listen on.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

#[derive(Args)]
struct Options {
    /// The build of `lunaroute` that is measured.
    #[arg(long, value_name = "FILE")]
    gateway: PathBuf,
    /// Rounds; the table shows medians over them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// One round: for a first look, not for a claim.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Seconds that each measurement of a round takes; those of latency take twice as long.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Print the tables alone, in Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

impl Options {
    fn settings(&self) -> anyhow::Result<Settings> {
        Settings::new(if self.quick { 1 } else { self.rounds }, self.seconds)
    }

    fn programs(&self) -> anyhow::Result<Programs> {
        let own = std::env::current_exe().context("cannot tell where this program stands")?;
        Ok(Programs { gateway: self.gateway.clone(), earlier: None, bare_proxy: own })
    }
}

fn main() -> ExitCode {
    match act(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it should be.
fn act(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run { rows, options, no_gate, keep } => {
            let report = lunaroute_bench::run(&rows, &options.programs()?, options.settings()?)?;
            if options.json {
                println!("{}", report.json()?);
            } else if options.markdown {
                print!("{}", report.tables(Style::Markdown));
            } else {
                println!("{}\n{}", report.tables(Style::Plain), report.remarks());
            }
            keep.map_or(Ok(()), |file| exchange(&report, &file))?;
            Ok(no_gate || report.holds())
        }
        Command::Compare { against, options } => {
            let programs = Programs { earlier: Some(against), ..options.programs()? };
            let comparison = lunaroute_bench::compare(&programs, options.settings()?)?;
            if options.json {
                println!("{}", comparison.json()?);
            } else if options.markdown {
                print!("{}", comparison.table(Style::Markdown));
            } else {
                let table = comparison.table(Style::Plain);
                println!("{table}\n{}\n\n{}", comparison.changes(), comparison.remarks());
            }
            Ok(true)
        }
        Command::BareProxy { upstream, listen } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener =
                    TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
                println!(
                    "{}",
                    serde_json::json!({ "listening": format!("http://{}", listener.local_addr()?) })
                );
                lunaroute_bench::serve_bare_proxy(listener, upstream).await
            })?;
            Ok(true)
        }
    }
}

/// Prints what changed since the report that is kept, and keeps this one in its stead.
fn exchange(report: &Report, file: &Path) -> anyhow::Result<()> {
    match std::fs::read_to_string(file) {
        Ok(earlier) => match report.since(&earlier) {
            Ok(changes) => eprintln!("\nbefore -> after:\n{changes}"),
            Err(error) => eprintln!("warning: {} is replaced: {error:#}", file.display()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
    std::fs::write(file, report.json()?).with_context(|| format!("cannot write {}", file.display()))
}
