//! A small file system of our own, in memory, that nobody else sees.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

/// The option by which this program tells itself that it has mounts of its own.
const OWN_MOUNTS: &str = "--own-mounts";

/// Runs this program again, with the same arguments, where what it mounts is seen by itself alone and goes with it.
///
/// # Errors
/// When the system lets nobody but its administrator have mounts of their own.
pub fn with_own_mounts() -> Result<ExitStatus> {
    let program = std::env::current_exe().context("cannot tell where this program stands")?;
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let possible = |way: &&&[&str]| {
        let tried = Command::new("unshare").args(**way).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let way = ways
        .iter()
        .find(possible)
        .context("this system allows no mounts of one's own: run this as root, or allow user namespaces")?;
    let mut command = Command::new("unshare");
    command.args(*way).arg("--").arg(program).args(std::env::args_os().skip(1)).arg(OWN_MOUNTS);
    command.status().context("cannot run unshare")
}

/// A file system in memory, mounted over a directory. Dropped, it goes with all that is on it.
pub(super) struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Mounts an empty one of so many MiB.
    pub(super) fn new(directory: &'a Path, mebibytes: u64) -> Result<Self> {
        let size = format!("size={mebibytes}m,mode=0700");
        command("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], directory)?;
        Ok(Self(directory))
    }

    /// Changes its size.
    pub(super) fn resize(&self, mebibytes: u64) -> Result<()> {
        command("mount", &["-o", &format!("remount,size={mebibytes}m")], self.0)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // A gateway that ends at this moment may still have files open: the mount goes with the last of them.
        if let Err(error) = command("umount", &["--lazy"], self.0) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn command(program: &str, arguments: &[&str], directory: &Path) -> Result<()> {
    let output = Command::new(program).args(arguments).arg(directory).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), told.trim());
    Ok(())
}
