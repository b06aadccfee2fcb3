//! A small workspace on disk, to run the tasks on.

use std::fs;
use std::process::{Command, Output};

/// A workspace that lives as long as this value.
pub(crate) struct Skeleton {
    folder: tempfile::TempDir,
}

impl Skeleton {
    /// A workspace with these crates, each given as its name and the lines of its `[dependencies]`.
    pub(crate) fn with(crates: &[(&str, &str)]) -> Skeleton {
        let skeleton = Skeleton { folder: tempfile::tempdir().expect("a folder for the test") };
        skeleton.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n[workspace.lints]\n",
        );
        for (name, dependencies) in crates {
            let manifest = format!(
                "[package]\nname = \"{name}\"\nedition = \"2024\"\n\
                 [dependencies]\n{dependencies}\n[lints]\nworkspace = true\n"
            );
            skeleton.write(&format!("crates/{name}/Cargo.toml"), &manifest);
            skeleton.write(&format!("crates/{name}/src/lib.rs"), "//! A crate.\n");
        }
        skeleton
    }

    /// Writes a file, given by its path in the workspace.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        let folder = path.parent().expect("a file stands in a folder");
        fs::create_dir_all(folder).expect("a folder of the workspace");
        fs::write(path, text).expect("a file of the workspace");
    }

    /// Runs one task in the workspace; gives whether it succeeded, and all that it printed.
    pub(crate) fn run(&self, task: &str) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let Output { status, stdout, stderr } =
            command.arg(task).current_dir(self.folder.path()).output().expect("xtask starts");
        let printed = [stdout, stderr].concat();
        (status.success(), String::from_utf8(printed).expect("xtask prints text"))
    }
}
