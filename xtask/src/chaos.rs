//! `cargo xtask chaos` and `cargo xtask soak`: build the release binaries and have `lunaroute-chaos` try them.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, run_apart};
use crate::workspace::Workspace;

/// What is broken, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which scenario, such as `kill9`, and its own options; a wrong one lists them.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    scenario: Vec<String>,
}

/// Builds what is tried, tries it, and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    chaos(workspace, options.scenario.iter().map(String::as_str))
}

/// The same for the scenario that takes long.
pub(crate) fn soak(workspace: &Workspace, options: &[String]) -> Result<()> {
    chaos(workspace, std::iter::once("soak").chain(options.iter().map(String::as_str)))
}

fn chaos<'a>(workspace: &Workspace, arguments: impl Iterator<Item = &'a str>) -> Result<()> {
    let build = ["build", "--release", "--package", "lunaroute-cli", "--package", "lunaroute-chaos"];
    run_apart(cargo(&workspace.root, build).env("CARGO_TARGET_DIR", &workspace.target))?;
    let release = workspace.target.join("release");
    let mut chaos = Command::new(release.join("lunaroute-chaos"));
    run_apart(chaos.args(arguments).arg("--gateway").arg(release.join("lunaroute")))
}
