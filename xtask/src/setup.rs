//! `cargo xtask setup`: installs what the tests need beyond Rust, a C compiler and Python.
//!
//! Only the ordinary package clients are asked (pip, cargo), for pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

const REQUIREMENTS: &str = "tests/sdk/requirements.txt";
/// The version that `deny.toml` is written for.
const CARGO_DENY_VERSION: &str = "0.20.2";
const PYTHON_NEEDED: &str =
    "install Python 3.11 or newer with its venv module (Debian: python3 and python3-venv)";

/// Makes `.venv` and installs cargo-deny, each only when it is missing or out of date.
pub(crate) fn run(root: &Path) -> Result<()> {
    if python_is_ready(root)? {
        println!(".venv: up to date with {REQUIREMENTS}");
    } else {
        install_python_packages(root)?;
    }
    if deny_is_ready(root) {
        println!("cargo-deny: installed");
    } else {
        // The dev profile builds in a fraction of the time, and one check of a lock file is quick enough with it.
        let arguments =
            ["install", "cargo-deny", "--version", CARGO_DENY_VERSION, "--locked", "--profile", "dev"];
        process::run(&mut process::cargo(root, arguments))?;
    }
    Ok(())
}

/// The interpreter of the virtual environment.
pub(crate) fn python(root: &Path) -> PathBuf {
    root.join(".venv/bin/python")
}

/// Whether `.venv` works and holds what the requirements say now.
pub(crate) fn python_is_ready(root: &Path) -> Result<bool> {
    let wanted = requirements(root)?;
    // A link whose interpreter was removed does not exist in this sense either.
    Ok(python(root).exists() && fs::read_to_string(stamp(root)).is_ok_and(|installed| installed == wanted))
}

/// Whether cargo knows its `deny` command.
pub(crate) fn deny_is_ready(root: &Path) -> bool {
    process::succeeds(&mut process::cargo(root, ["deny", "--version"]))
}

fn install_python_packages(root: &Path) -> Result<()> {
    let wanted = requirements(root)?;
    if !process::succeeds(Command::new("python3").arg("--version")) {
        bail!("python3 was not found: {PYTHON_NEEDED}");
    }
    let environment = root.join(".venv");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .with_context(|| format!("cannot make {}: {PYTHON_NEEDED}", environment.display()))?;
    process::run(
        Command::new(python(root))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(root.join(REQUIREMENTS)),
    )?;
    // Written last: an installation that broke off is begun again.
    fs::write(stamp(root), wanted).with_context(|| format!("cannot write {}", stamp(root).display()))
}

fn requirements(root: &Path) -> Result<String> {
    let path = root.join(REQUIREMENTS);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// A copy of the requirements that the environment was made from.
fn stamp(root: &Path) -> PathBuf {
    root.join(".venv/installed-requirements.txt")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{REQUIREMENTS, python, python_is_ready, stamp};

    #[test]
    fn an_environment_is_ready_until_its_requirements_change() {
        let root = tempfile::tempdir().unwrap();
        let requirements = root.path().join(REQUIREMENTS);
        fs::create_dir_all(requirements.parent().unwrap()).unwrap();
        fs::create_dir_all(python(root.path()).parent().unwrap()).unwrap();
        fs::write(&requirements, "pytest==1\n").unwrap();
        assert!(!python_is_ready(root.path()).unwrap(), "nothing is installed");

        fs::write(stamp(root.path()), "pytest==1\n").unwrap();
        assert!(!python_is_ready(root.path()).unwrap(), "there is no interpreter");

        fs::write(python(root.path()), "").unwrap();
        assert!(python_is_ready(root.path()).unwrap());

        fs::write(&requirements, "pytest==2\n").unwrap();
        assert!(!python_is_ready(root.path()).unwrap(), "the requirements changed");
    }
}
