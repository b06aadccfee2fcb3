//! `cargo xtask bench`: builds the release binaries and has `lunaroute-bench` measure them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::process::{cargo, run_apart};
use crate::workspace::Workspace;

/// What is measured, and how long.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Which rows of the table, such as `small` or `stream50`; none means all, a wrong one lists them.
    rows: Vec<String>,
    #[command(flatten)]
    lengths: Lengths,
    /// Only print: a limit that does not hold is no failure.
    #[arg(long)]
    no_gate: bool,
    #[command(subcommand)]
    compare: Option<Compare>,
}

#[derive(Debug, Subcommand)]
enum Compare {
    /// Build an earlier revision too, and measure both in turn.
    Compare {
        /// The revision, as git knows it.
        revision: String,
        #[command(flatten)]
        lengths: Lengths,
    },
}

#[derive(Debug, Args)]
struct Lengths {
    /// Rounds; the table shows medians over them.
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds that each measurement of a round takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Builds what is measured, measures it, and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    build(&workspace.root, &workspace.target)?;
    let release = workspace.target.join("release");
    let mut bench = Command::new(release.join("lunaroute-bench"));
    match &options.compare {
        None => {
            bench.arg("run").args(&options.rows);
            options.lengths.pass_on(&mut bench);
            if options.no_gate {
                bench.arg("--no-gate");
            }
        }
        Some(Compare::Compare { revision, lengths }) => {
            bench.arg("compare").arg("--against").arg(earlier(workspace, revision)?);
            lengths.pass_on(&mut bench);
        }
    }
    run_apart(bench.arg("--gateway").arg(release.join("lunaroute")))
}

impl Lengths {
    fn pass_on(&self, bench: &mut Command) {
        if let Some(rounds) = self.rounds {
            bench.args(["--rounds", &rounds.to_string()]);
        }
        if let Some(seconds) = self.seconds {
            bench.args(["--seconds", &seconds.to_string()]);
        }
        if self.json {
            bench.arg("--json");
        }
    }
}

fn build(root: &Path, target: &Path) -> Result<()> {
    let arguments = ["build", "--release", "--package", "lunaroute-cli", "--package", "lunaroute-bench"];
    run_apart(cargo(root, arguments).env("CARGO_TARGET_DIR", target))
}

/// The gateway as it was at a revision, built in a worktree of its own that is removed afterwards.
fn earlier(workspace: &Workspace, revision: &str) -> Result<PathBuf> {
    let commit = commit(&workspace.root, revision)?;
    let folder = workspace.target.join("bench").join(&commit);
    let tree = folder.join("tree");
    let program = folder.join("lunaroute");
    if program.is_file() {
        return Ok(program);
    }
    if !tree.is_dir() {
        run_apart(git(&workspace.root).args(["worktree", "add", "--detach"]).arg(&tree).arg(&commit))?;
    }
    // One target folder for all revisions: most of what they depend on is the same.
    let target = workspace.target.join("bench/target");
    let built = cargo_build(&tree, &target).and_then(|()| {
        std::fs::copy(target.join("release/lunaroute"), &program).context("cannot keep the earlier program")
    });
    let removed = run_apart(git(&workspace.root).args(["worktree", "remove", "--force"]).arg(&tree));
    built.and(removed)?;
    Ok(program)
}

fn cargo_build(tree: &Path, target: &Path) -> Result<()> {
    let arguments = ["build", "--release", "--package", "lunaroute-cli"];
    run_apart(cargo(tree, arguments).env("CARGO_TARGET_DIR", target))
}

fn commit(root: &Path, revision: &str) -> Result<String> {
    let wanted = format!("{revision}^{{commit}}");
    let output = git(root)
        .args(["rev-parse", "--verify", "--end-of-options", &wanted])
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!("git knows no revision {revision}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn git(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root);
    command
}
