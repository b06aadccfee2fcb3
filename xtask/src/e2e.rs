//! `cargo xtask e2e`: the frameworks that applications are written with, through the real gateway.
//!
//! No part of `ci`: they are large, and what they install changes often. Versions are pinned in `tests/e2e`; what is
//! installed lies under cargo's target folder, in an environment of its own for each language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo};
use crate::setup::Environment;
use crate::workspace::Workspace;

/// The tests, the files that name packages, and the program that runs in Node.
const FOLDER: &str = "tests/e2e";
const REQUIREMENTS: &str = "tests/e2e/requirements.txt";
const LOCK: &str = "package-lock.json";
const NODE_FILES: [&str; 3] = ["package.json", LOCK, "ask.mjs"];
/// A copy of the lock file, written when all of it is installed.
const STAMP: &str = "installed-lock.json";
const NODE_NEEDED: &str = "install Node.js 20 or newer with npm (Debian: nodejs and npm)";

/// Installs what is missing, builds the gateway and runs the tests.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    let place = workspace.target.join("e2e");
    let node = place.join("node");
    let python = place.join("python");
    let python = python.to_str().context("the path of the target folder is no UTF-8")?;
    let environment = Environment { folder: python, requirements: REQUIREMENTS };
    environment.make(root)?;
    install_node_packages(&root.join(FOLDER).join("node"), &node)?;
    let build = ["build", "--package", "lunaroute-cli"];
    process::run(cargo(root, build).env("CARGO_TARGET_DIR", &workspace.target))?;
    process::run(
        Command::new(environment.python(root))
            .current_dir(root)
            .args(["-m", "pytest", "-q", FOLDER])
            .env("E2E_NODE", &node)
            .env("LUNAROUTE_BIN", workspace.target.join("debug/lunaroute")),
    )
}

/// Brings the program and its packages to `place`: Node looks for packages beside the program that asks for them.
fn install_node_packages(source: &Path, place: &Path) -> Result<()> {
    if !process::succeeds(Command::new("npm").arg("--version")) {
        bail!("npm was not found: {NODE_NEEDED}");
    }
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    for name in NODE_FILES {
        let (from, to) = (source.join(name), place.join(name));
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    if is_installed(place)? {
        println!("{}: up to date with {FOLDER}/node/{LOCK}", place.display());
        return Ok(());
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    process::run(Command::new("npm").current_dir(place).args(arguments))?;
    let stamp = place.join(STAMP);
    fs::copy(place.join(LOCK), &stamp).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(())
}

/// Whether the packages are those that the lock file beside them names.
fn is_installed(place: &Path) -> Result<bool> {
    let lock: PathBuf = place.join(LOCK);
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let is_there = place.join("node_modules").is_dir();
    Ok(is_there && fs::read(place.join(STAMP)).is_ok_and(|installed| installed == wanted))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{LOCK, STAMP, is_installed};

    #[test]
    fn packages_are_installed_until_the_lock_file_changes() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
        assert!(is_installed(place.path()).is_err(), "there is no lock file");
        write(LOCK, "{}");
        write(STAMP, "{}");
        assert!(!is_installed(place.path()).unwrap(), "there are no packages");
        fs::create_dir(place.path().join("node_modules")).unwrap();
        assert!(is_installed(place.path()).unwrap());
        write(LOCK, "{ }");
        assert!(!is_installed(place.path()).unwrap(), "the lock file changed");
    }
}
