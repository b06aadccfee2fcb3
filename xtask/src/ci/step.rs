//! The steps, in the order they run in.

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::tally::{Runner, Tally};
use crate::process::{self, cargo};
use crate::workspace::Workspace;
use crate::{layers, setup, source};

/// One thing that a change must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The sources are formatted.
    Fmt,
    /// The crates keep the law of the house.
    Layers,
    /// No banned crate, license or source is in the dependency graph.
    Deny,
    /// The lints are clean.
    Clippy,
    /// Each library builds alone, without default features.
    Alone,
    /// The documentation builds without a warning.
    Doc,
    /// The official Python SDKs work through the gateway.
    Sdk,
    /// The tests of all crates pass.
    Test,
}

impl Step {
    /// The word for `--only` and `--skip`.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What the step makes sure of: the same words as in the help text.
    pub(crate) fn title(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// Runs the step; what it counts of tests is empty for a step that runs none.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<Tally> {
        let root = &workspace.root;
        let done = match self {
            Step::Fmt => process::run(&mut cargo(root, ["fmt", "--all", "--check"])),
            Step::Layers => layers::run(workspace),
            Step::Deny => deny(workspace),
            Step::Clippy => {
                let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                process::run(&mut cargo(root, arguments))
            }
            Step::Alone => workspace.libraries().try_for_each(|member| {
                let arguments =
                    ["check", "--quiet", "--lib", "--no-default-features", "--package", &member.name];
                process::run(&mut cargo(root, arguments))
            }),
            Step::Doc => {
                let mut command = cargo(root, ["doc", "--workspace", "--no-deps"]);
                process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
            }
            Step::Sdk => return sdk(workspace),
            Step::Test => return test(workspace),
        };
        done.map(|()| Tally::default())
    }
}

fn deny(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    if !setup::deny_is_ready(root) {
        bail!("cargo-deny is missing: run `cargo xtask setup`");
    }
    // The graph spans platforms whose crates a build on this one never fetches.
    process::run(&mut cargo(root, ["fetch", "--quiet", "--locked"]))?;
    let checks = ["deny", "--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    process::run(&mut cargo(root, checks))
}

fn sdk(workspace: &Workspace) -> Result<Tally> {
    let root = &workspace.root;
    if !setup::python_is_ready(root)? {
        bail!(".venv is missing or out of date: run `cargo xtask setup`");
    }
    process::run(&mut cargo(root, ["build", "--package", "lunaroute-cli"]))?;
    let mut command = Command::new(setup::python(root));
    command
        .current_dir(root)
        .args(["-m", "pytest", "-q", "tests/sdk"])
        .env("LUNAROUTE_BIN", workspace.target.join("debug/lunaroute"));
    counted(&mut command, Runner::Pytest)
}

fn test(workspace: &Workspace) -> Result<Tally> {
    let root = &workspace.root;
    let mut total = Tally::default();
    if has_doc_tests(workspace)? {
        // Before the others: nextest knows no documentation tests, and an empty run must not be the last word.
        let arguments = ["test", "--workspace", "--doc", "--no-fail-fast"];
        total += counted(&mut cargo(root, arguments), Runner::CargoTest)?;
    }
    let with_nextest = process::succeeds(&mut cargo(root, ["nextest", "--version"]));
    let (arguments, runner): (&[&str], _) = if with_nextest {
        (&["nextest", "run", "--workspace", "--no-fail-fast"], Runner::Nextest)
    } else {
        (&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"], Runner::CargoTest)
    };
    total += counted(&mut cargo(root, arguments), runner)?;
    Ok(total)
}

fn counted(command: &mut Command, runner: Runner) -> Result<Tally> {
    let tallies = process::run_reading(command, |line| runner.closing_line(line))?;
    let total = tallies.into_iter().fold(Tally::default(), |total, tally| total + tally);
    Ok(total)
}

/// Whether any library shows code in its documentation.
fn has_doc_tests(workspace: &Workspace) -> Result<bool> {
    for member in workspace.libraries() {
        for path in source::files(&workspace.root.join(&member.folder).join("src"))? {
            let text = std::fs::read_to_string(&path)?;
            let fence = |line: &str| {
                let line = line.trim_start();
                line.starts_with("/// ```") || line.starts_with("//! ```")
            };
            if text.lines().any(fence) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
