//! The program behind `cargo xtask bench`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use lunaroute_bench::{Programs, Row, Settings};
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
    /// Seconds that each measurement of a round takes.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    fn settings(&self) -> anyhow::Result<Settings> {
        Settings::new(self.rounds, self.seconds)
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
        Command::Run { rows, options, no_gate } => {
            let report = lunaroute_bench::run(&rows, &options.programs()?, options.settings()?)?;
            println!("{}", if options.json { report.json()? } else { report.table() });
            Ok(no_gate || report.holds())
        }
        Command::Compare { against, options } => {
            let programs = Programs { earlier: Some(against), ..options.programs()? };
            let comparison = lunaroute_bench::compare(&programs, options.settings()?)?;
            println!("{}", if options.json { comparison.json()? } else { comparison.table() });
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
