//! `cargo xtask setup`: installs what the tests need beyond Rust, a C compiler and Python.
//!
//! Only the ordinary package clients are asked (pip, cargo), for pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Where the tests' own Python packages are installed.
const SDK: Environment = Environment { folder: ".venv", requirements: "tests/sdk/requirements.txt" };
/// The version that `deny.toml` is written for.
const CARGO_DENY_VERSION: &str = "0.20.2";
const PYTHON_NEEDED: &str =
    "install Python 3.11 or newer with its venv module (Debian: python3 and python3-venv)";

/// A virtual environment of Python, and the file that says what is in it.
pub(crate) struct Environment<'a> {
    /// Its folder, within the root of the workspace or absolute.
    pub(crate) folder: &'a str,
    /// The pinned packages, within the root.
    pub(crate) requirements: &'a str,
}

/// Makes `.venv` and installs cargo-deny, each only when it is missing or out of date.
pub(crate) fn run(root: &Path) -> Result<()> {
    SDK.make(root)?;
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

/// The interpreter of `.venv`.
pub(crate) fn python(root: &Path) -> PathBuf {
    SDK.python(root)
}

/// Whether `.venv` works and holds what the requirements say now.
pub(crate) fn python_is_ready(root: &Path) -> Result<bool> {
    SDK.is_ready(root)
}

/// Whether cargo knows its `deny` command.
pub(crate) fn deny_is_ready(root: &Path) -> bool {
    process::succeeds(&mut process::cargo(root, ["deny", "--version"]))
}

impl Environment<'_> {
    /// Makes it when it is missing or out of date.
    pub(crate) fn make(&self, root: &Path) -> Result<()> {
        if self.is_ready(root)? {
            println!("{}: up to date with {}", self.folder, self.requirements);
            return Ok(());
        }
        let wanted = self.wanted(root)?;
        if !process::succeeds(Command::new("python3").arg("--version")) {
            bail!("python3 was not found: {PYTHON_NEEDED}");
        }
        let environment = root.join(self.folder);
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
            .with_context(|| format!("cannot make {}: {PYTHON_NEEDED}", environment.display()))?;
        process::run(
            Command::new(self.python(root))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-input",
                    "--disable-pip-version-check",
                    "--requirement",
                ])
                .arg(root.join(self.requirements)),
        )?;
        // Written last: an installation that broke off is begun again.
        let stamp = self.stamp(root);
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Its interpreter.
    pub(crate) fn python(&self, root: &Path) -> PathBuf {
        root.join(self.folder).join("bin/python")
    }

    /// Whether it works and holds what the requirements say now.
    fn is_ready(&self, root: &Path) -> Result<bool> {
        let wanted = self.wanted(root)?;
        // A link whose interpreter was removed does not exist in this sense either.
        Ok(self.python(root).exists()
            && fs::read_to_string(self.stamp(root)).is_ok_and(|installed| installed == wanted))
    }

    fn wanted(&self, root: &Path) -> Result<String> {
        let path = root.join(self.requirements);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A copy of the requirements that the environment was made from.
    fn stamp(&self, root: &Path) -> PathBuf {
        root.join(self.folder).join("installed-requirements.txt")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::SDK;

    #[test]
    fn an_environment_is_ready_until_its_requirements_change() {
        let root = tempfile::tempdir().unwrap();
        let requirements = root.path().join(SDK.requirements);
        fs::create_dir_all(requirements.parent().unwrap()).unwrap();
        fs::create_dir_all(SDK.python(root.path()).parent().unwrap()).unwrap();
        fs::write(&requirements, "pytest==1\n").unwrap();
        assert!(!SDK.is_ready(root.path()).unwrap(), "nothing is installed");

        fs::write(SDK.stamp(root.path()), "pytest==1\n").unwrap();
        assert!(!SDK.is_ready(root.path()).unwrap(), "there is no interpreter");

        fs::write(SDK.python(root.path()), "").unwrap();
        assert!(SDK.is_ready(root.path()).unwrap());

        fs::write(&requirements, "pytest==2\n").unwrap();
        assert!(!SDK.is_ready(root.path()).unwrap(), "the requirements changed");
    }
}
