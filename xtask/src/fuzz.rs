//! `cargo xtask fuzz`: builds `lunaroute-fuzz` with its checks of arithmetic on, and has it try the targets.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, run_apart};
use crate::workspace::Workspace;

/// What is tried, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets and the program's own options, such as `translate-stream --minutes 2`; a wrong target lists them all.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds it and runs it; fails when it finds something.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let build = ["build", "--package", "lunaroute-fuzz"];
    run_apart(cargo(&workspace.root, build).env("CARGO_TARGET_DIR", &workspace.target))?;
    let mut fuzz = Command::new(workspace.target.join("debug/lunaroute-fuzz"));
    run_apart(fuzz.current_dir(&workspace.root).args(&options.options))
}
