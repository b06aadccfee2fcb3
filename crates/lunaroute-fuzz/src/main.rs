//! The program behind `cargo xtask fuzz`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use lunaroute_fuzz::{Amount, Corpus, Outcome, Run, Target, keep_panics, targets};

/// Throws damaged input at everything that reads bytes from outside.
#[derive(Parser)]
#[command(name = "lunaroute-fuzz", disable_help_subcommand = true)]
struct Cli {
    /// Which targets, such as `sse` or all that begin with `translate-stream`; none means all, a wrong one lists them.
    targets: Vec<String>,
    /// How long each target is tried.
    #[arg(long, conflicts_with = "runs")]
    minutes: Option<f64>,
    /// How many inputs each target gets.
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    /// From which number the cases are made; the same number makes the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where findings are saved.
    #[arg(long, value_name = "FOLDER", default_value = "target/fuzz")]
    findings: PathBuf,
    /// The valid bodies to begin with.
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "crates/lunaroute-dialect/tests/fixtures/cross/sources"
    )]
    corpus: PathBuf,
    /// Try this saved input alone; the name of its file ends with its case.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "runs"])]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn run(cli: &Cli) -> Result<bool> {
    let all = targets(&Corpus::read(&cli.corpus)?);
    let wanted = chosen(&all, &cli.targets)?;
    keep_panics();
    if let Some(input) = &cli.input {
        return again(&wanted, input);
    }
    let amount = match cli.minutes {
        Some(minutes) => Amount::Time(
            Duration::try_from_secs_f64(60.0 * minutes).context("--minutes is no length of time")?,
        ),
        None => Amount::Inputs(cli.runs),
    };
    let run = Run { amount, seed: cli.seed, findings: cli.findings.clone() };
    println!("| target | inputs | seconds | findings |\n|---|--:|--:|--:|");
    let mut is_clean = true;
    for target in wanted {
        let outcome = run.target(target)?;
        let (seconds, found) = (outcome.took.as_secs_f64(), outcome.findings.len());
        println!("| {} | {} | {seconds:.1} | {found} |", target.name(), outcome.inputs);
        report(target, &outcome);
        is_clean &= outcome.findings.is_empty();
    }
    Ok(is_clean)
}

fn report(target: &Target, outcome: &Outcome) {
    for finding in &outcome.findings {
        eprintln!("{}: {}", target.name(), finding.what);
        if let Some(input) = &finding.input {
            eprintln!("  again with: cargo xtask fuzz {} --input {}", target.name(), input.display());
        }
    }
}

/// The targets whose names begin with one of these words.
fn chosen<'a>(all: &'a [Target], words: &[String]) -> Result<Vec<&'a Target>> {
    if let Some(wrong) = words.iter().find(|word| !all.iter().any(|target| target.name().starts_with(*word)))
    {
        let names: Vec<&str> = all.iter().map(Target::name).collect();
        bail!("there is no target '{wrong}'; there are {}", names.join(", "));
    }
    let fits =
        |target: &&Target| words.is_empty() || words.iter().any(|word| target.name().starts_with(word));
    Ok(all.iter().filter(fits).collect())
}

/// Tries one saved input.
fn again(targets: &[&Target], path: &Path) -> Result<bool> {
    let [target] = targets else { bail!("--input needs the name of one target") };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let case = name.rsplit('-').next().and_then(|digits| digits.parse().ok());
    let case = case.with_context(|| format!("'{name}' does not end with a case, as saved inputs do"))?;
    let input = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let outcome = Run::again(target, &input, case);
    let what = outcome.as_ref().map_or_else(String::as_str, |()| "nothing is wrong with it");
    println!("{}: {what}", target.name());
    Ok(outcome.is_ok())
}
