//! The gateway as it was at an earlier revision.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{build_release, run_apart};
use crate::workspace::Workspace;

/// Builds it in a worktree of its own that is removed afterwards, and keeps the program; a second time it is there.
pub(super) fn build(workspace: &Workspace, revision: &str) -> Result<PathBuf> {
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
    // In this tree's own target folder: what both depend on is built already.
    let built = build_release(&tree, &workspace.target, "lunaroute-cli").and_then(|()| {
        let built = workspace.target.join("release/lunaroute");
        std::fs::copy(built, &program).context("cannot keep the earlier program")
    });
    let removed = run_apart(git(&workspace.root).args(["worktree", "remove", "--force"]).arg(&tree));
    built.and(removed)?;
    Ok(program)
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
