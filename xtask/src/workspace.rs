//! What cargo says of this workspace: its folders, its crates, and what each crate declares to depend on.
//!
//! Only declared dependencies are read, so it needs no network and no lock file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

/// The workspace around the current folder.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// In the order of their names.
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder, relative to the workspace root.
    pub(crate) folder: String,
    pub(crate) has_library: bool,
    /// Names of its benchmarks.
    pub(crate) benches: Vec<String>,
    /// Whether the manifest takes the workspace's lints.
    pub(crate) inherits_lints: bool,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency, under its real name even where the manifest renames it.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The features asked for, also those that the crate's own features switch on.
    pub(crate) features: Vec<String>,
}

/// Who sees a dependency: the crate as built, or only its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Normal and build dependencies.
    Built,
    /// Dev-dependencies.
    Tests,
}

impl Workspace {
    /// Asks `cargo metadata` for the workspace of the current folder.
    pub(crate) fn load() -> Result<Workspace> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .other_options(["--offline".to_owned()])
            .exec()
            .context("cargo metadata could not read the workspace of this folder")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut members = metadata
            .workspace_packages()
            .into_iter()
            .map(|package| Member::read(&root, package))
            .collect::<Result<Vec<_>>>()?;
        members.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Workspace { root, target: metadata.target_directory.into_std_path_buf(), members })
    }

    /// The crates that others can use, as opposed to those that are only a program.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.has_library)
    }
}

impl Member {
    fn read(root: &Path, package: &Package) -> Result<Member> {
        let manifest = package.manifest_path.as_std_path();
        let text =
            fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root).ok()).unwrap_or(root);
        Ok(Member {
            name: package.name.to_string(),
            folder: folder.to_string_lossy().into_owned(),
            benches: package
                .targets
                .iter()
                .filter(|target| target.kind.contains(&TargetKind::Bench))
                .map(|target| target.name.clone())
                .collect(),
            has_library: package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib)),
            inherits_lints: inherits_lints(&text),
            dependencies: package.dependencies.iter().map(|found| Dependency::read(package, found)).collect(),
        })
    }
}

impl Dependency {
    fn read(package: &Package, found: &cargo_metadata::Dependency) -> Dependency {
        let called = found.rename.as_deref().unwrap_or(&found.name);
        let switched_on = package.features.values().flatten().filter_map(|value| {
            let (name, feature) = value.split_once('/')?;
            (name.trim_end_matches('?') == called).then(|| feature.to_owned())
        });
        Dependency {
            name: found.name.clone(),
            kind: match found.kind {
                DependencyKind::Development => Kind::Tests,
                _ => Kind::Built,
            },
            features: found.features.iter().cloned().chain(switched_on).collect(),
        }
    }
}

fn inherits_lints(manifest: &str) -> bool {
    let mut in_lints = false;
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            in_lints = line == "[lints]";
        }
        line == "lints.workspace = true" || (in_lints && line == "workspace = true")
    })
}

#[cfg(test)]
mod tests {
    use super::inherits_lints;

    #[test]
    fn lints_count_only_in_their_own_table() {
        assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(inherits_lints("lints.workspace = true\n"));
        assert!(!inherits_lints("[dependencies.serde]\nworkspace = true\n"));
        assert!(!inherits_lints("[lints]\n[dependencies.serde]\nworkspace = true\n"));
    }
}
