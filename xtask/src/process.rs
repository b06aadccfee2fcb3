//! Runs other programs: shows the command, and says which one failed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// `cargo` with these arguments, in this folder.
pub(crate) fn cargo<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder).args(arguments);
    command
}

/// Builds a package as it is delivered, into that target folder.
pub(crate) fn build_release(root: &Path, target: &Path, package: &str) -> Result<()> {
    run_apart(cargo(root, ["build", "--release", "--package", package]).env("CARGO_TARGET_DIR", target))
}

/// Runs the command with the terminal as it is.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = announce(command);
    end_well(command, &shown)
}

/// Runs the command without a word on the standard output, which may have to be JSON.
pub(crate) fn run_apart(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    end_well(command, &shown)
}

fn end_well(command: &mut Command, shown: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs the command, passes its output on line by line, and gives `read` each line.
///
/// The lines come also when the command fails; its failure is the error.
pub(crate) fn run_reading<T: Send>(
    command: &mut Command,
    read: impl Fn(&str) -> Option<T> + Sync,
) -> Result<Vec<T>> {
    let shown = announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let output = child.stdout.take().context("the output was not piped")?;
    let errors = child.stderr.take().context("the error output was not piped")?;
    let (from_output, from_errors) = thread::scope(|scope| {
        let errors = scope.spawn(|| pass_on(errors, std::io::stderr(), &read));
        let output = pass_on(output, std::io::stdout(), &read);
        (output, errors.join())
    });
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    let from_errors = from_errors.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok(from_output?.into_iter().chain(from_errors?).collect())
}

/// Whether the command can be started and ends well; its output goes nowhere.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn pass_on<T>(
    from: impl Read,
    mut to: impl Write,
    read: impl Fn(&str) -> Option<T>,
) -> std::io::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // Bytes and not `lines()`: a test may print what is not UTF-8.
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        found.extend(read(String::from_utf8_lossy(&line).trim()));
        line.clear();
    }
    Ok(found)
}

fn announce(command: &Command) -> String {
    let shown = shown(command);
    println!("$ {shown}");
    shown
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::Result;

    use super::{pass_on, run, run_apart, run_reading, succeeds};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn every_line_of_both_streams_is_read() {
        let lines = run_reading(&mut shell("echo out; echo err >&2"), |line| Some(line.to_owned())).unwrap();
        assert_eq!(lines, ["out", "err"]);
    }

    #[test]
    fn lines_are_passed_on_byte_for_byte() {
        let from = b"one\nbad \xff byte\nlast".as_slice();
        let mut to = Vec::new();
        let lines = pass_on(from, &mut to, |line| Some(line.to_owned())).unwrap();
        assert_eq!(to, from);
        assert_eq!(lines, ["one", "bad \u{fffd} byte", "last"]);
    }

    #[test]
    fn a_failure_names_the_command() {
        let said = |done: Result<()>| done.unwrap_err().to_string();
        assert_eq!(said(run(&mut shell("exit 3"))), "`sh -c exit 3` failed (exit status: 3)");
        assert_eq!(said(run_apart(&mut shell("exit 5"))), "`sh -c exit 5` failed (exit status: 5)");
        let reading = run_reading(&mut shell("exit 4"), |_| None::<()>).map(drop);
        assert_eq!(said(reading), "`sh -c exit 4` failed (exit status: 4)");
        assert!(!succeeds(&mut Command::new("no-such-program-anywhere")));
    }
}
