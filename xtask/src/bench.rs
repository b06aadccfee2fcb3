//! `cargo xtask bench`: builds the release binaries and has `lunaroute-bench` measure them.

mod earlier;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::process::{build_release, cargo, run_apart};
use crate::workspace::{Member, Workspace};

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
    other: Option<Other>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Build an earlier revision too, and measure both in turn.
    Compare {
        /// The revision, as git knows it.
        revision: String,
        #[command(flatten)]
        lengths: Lengths,
    },
    /// Run the micro-benchmarks of all crates that have some.
    Micro {
        /// Only those whose name holds one of these words.
        filters: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Lengths {
    /// Rounds; the table shows medians over them.
    #[arg(long)]
    rounds: Option<u32>,
    /// One round: for a first look, not for a claim.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Seconds that each measurement of a round takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Print the tables alone, in Markdown, as docs/PERFORMANCE.md has them.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// Builds what is measured, measures it, and prints the tables.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let release = workspace.target.join("release");
    let mut bench = Command::new(release.join("lunaroute-bench"));
    match &options.other {
        Some(Other::Micro { filters }) => return micro(workspace, filters),
        None => {
            bench.arg("run").args(&options.rows);
            options.lengths.pass_on(&mut bench);
            if options.no_gate {
                bench.arg("--no-gate");
            }
            // The next run says what changed since this one.
            bench.arg("--keep").arg(workspace.target.join("bench-last.json"));
        }
        Some(Other::Compare { revision, lengths }) => {
            // Before the build of this tree, which would otherwise be overwritten by it.
            bench.arg("compare").arg("--against").arg(earlier::build(workspace, revision)?);
            lengths.pass_on(&mut bench);
        }
    }
    // The gateway as it is delivered, and then the bench: built together, each would get the other's features.
    for package in ["lunaroute-cli", "lunaroute-bench"] {
        build_release(&workspace.root, &workspace.target, package)?;
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
        let flags = [(self.quick, "--quick"), (self.json, "--json"), (self.markdown, "--markdown")];
        bench.args(flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)));
    }
}

/// Each crate's benchmarks in turn, none beside another.
fn micro(workspace: &Workspace, filters: &[String]) -> Result<()> {
    let measured: Vec<&Member> =
        workspace.members.iter().filter(|member| !member.benches.is_empty()).collect();
    if measured.is_empty() {
        bail!("no crate has a micro-benchmark: they stand in crates/*/benches");
    }
    measured.iter().try_for_each(|member| run_apart(&mut micro_of(&workspace.root, member, filters)))
}

/// The benchmarks by name, because the crate's own tests would otherwise be asked for benchmarks too.
fn micro_of(root: &Path, member: &Member, filters: &[String]) -> Command {
    let mut command = cargo(root, ["bench", "--package", &member.name]);
    for name in &member.benches {
        command.args(["--bench", name]);
    }
    if !filters.is_empty() {
        command.arg("--").args(filters);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::micro_of;
    use crate::workspace::Member;

    #[test]
    fn micro_benchmarks_are_named_one_by_one() {
        let member = Member {
            name: "lunaroute-session".to_owned(),
            folder: String::new(),
            has_library: true,
            benches: vec!["recorder".to_owned(), "sqlite".to_owned()],
            inherits_lints: true,
            dependencies: Vec::new(),
        };
        let words = |filters: &[String]| -> Vec<String> {
            let command = micro_of(Path::new("."), &member, filters);
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let all = ["bench", "--package", "lunaroute-session", "--bench", "recorder", "--bench", "sqlite"];
        assert_eq!(words(&[]), all);
        assert_eq!(words(&["codec".to_owned()]), [&all[..], &["--", "codec"]].concat());
    }
}
