//! `cargo xtask layers`: siblings never name each other, and some things are named in one place only.

mod compare;
mod law;
mod scan;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Prints every breach of the law; it is an error if there is one.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut breaches: Vec<String> =
        compare::breaches(&workspace.members).iter().map(ToString::to_string).collect();
    breaches.extend(scan::breaches(workspace)?);
    for breach in &breaches {
        eprintln!("layers: {breach}");
    }
    if !breaches.is_empty() {
        bail!("{} breach(es) of the law in xtask/src/layers/law.rs", breaches.len());
    }
    println!("layers: {} crates keep the law", workspace.members.len());
    Ok(())
}
