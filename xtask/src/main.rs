//! The project's own tasks, run as `cargo xtask TASK`.
//!
//! They check, install and list; they never change a source file and never touch what a user runs. Nothing here is part
//! of the product, and no crate of the product depends on it.

mod bench;
mod chaos;
mod ci;
mod e2e;
mod fuzz;
mod layers;
mod process;
mod setup;
mod source;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all that a change must pass; stops at the first step that fails.
    Ci(ci::Options),
    /// Install what the tests need: .venv with the Python SDKs, and cargo-deny. A second run costs nothing.
    Setup,
    /// Compare the crates' dependencies and sources with the law of the house.
    Layers,
    /// Measure what the gateway costs beside a bare proxy and nginx; fails when a limit does not hold.
    Bench(bench::Options),
    /// Break what is around the gateway and compare its record with what happened; fails when a promise is not kept.
    Chaos(chaos::Options),
    /// Mixed traffic at half of what the gateway can bear; fails when something grows or is lost.
    Soak {
        /// The scenario's own options, such as `--minutes 30`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Throw damaged input at everything that reads bytes from outside; fails when a reader or a translation stumbles.
    Fuzz(fuzz::Options),
    /// Run LangChain and the Vercel AI SDK through the gateway; installs them under the target folder first.
    E2e,
    /// List the files, functions and crates beyond the usual sizes: a guide, not a gate.
    Tidy,
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    let done = Workspace::load().and_then(|workspace| match task {
        Task::Ci(options) => ci::run(&workspace, &options),
        Task::Setup => setup::run(&workspace.root),
        Task::Layers => layers::run(&workspace),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Chaos(options) => chaos::run(&workspace, &options),
        Task::Soak { options } => chaos::soak(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::E2e => e2e::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
