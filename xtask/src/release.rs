//! `cargo xtask release`: builds the gateway by a profile of its own work.
//!
//! The compiler cannot know which ways through the program are taken often. A build that counts them does the bench's work, and
//! a second build lays the program out by what was counted.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{build_release, cargo, run_apart};
use crate::workspace::Workspace;

/// What the counting build does: the rows of the bench in which the gateway works, one round of each.
const WORK: [&str; 9] =
    ["small", "agent", "stream50", "stream500", "msgs50", "translate", "latency", "first-event", "paced"];

/// How the program is built.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// LLVM's `llvm-profdata`; without it, it is looked for in the toolchain and among the installed programs.
    #[arg(long, value_name = "FILE")]
    profdata: Option<PathBuf>,
}

/// Counts, merges and builds; prints where the program is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let compiler = Compiler::ask()?;
    // Before the builds, which take minutes.
    let profdata = compiler.profdata(options.profdata.as_deref())?;
    let folder = workspace.target.join("by-profile");
    // A profile is not among what cargo compares: with what is left of the last one it might build nothing.
    for left in ["counts", "built"].map(|name| folder.join(name)) {
        if left.exists() {
            fs::remove_dir_all(&left).with_context(|| format!("cannot remove {}", left.display()))?;
        }
    }

    let counts = folder.join("counts");
    let counting = compiler.build(workspace, &folder.join("counting"), "generate", &counts)?;
    build_release(&workspace.root, &workspace.target, "lunaroute-bench")?;
    let mut bench = Command::new(workspace.target.join("release/lunaroute-bench"));
    run_apart(bench.arg("run").args(WORK).args(["--rounds", "1", "--no-gate", "--gateway"]).arg(&counting))?;

    let profile = folder.join("profile.profdata");
    run_apart(Command::new(profdata).args(["merge", "--sparse", "--output"]).arg(&profile).arg(&counts))?;
    let built = compiler.build(workspace, &folder.join("built"), "use", &profile)?;
    let program = folder.join("lunaroute");
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    println!("{}", program.display());
    Ok(())
}

/// What is known of `rustc`.
struct Compiler {
    host: String,
    /// Of LLVM: what it counts can be read by the same version's tools, or by later ones.
    major: u32,
}

impl Compiler {
    fn ask() -> Result<Self> {
        Self::read(&said(Command::new("rustc").arg("-vV"))?)
    }

    fn read(version: &str) -> Result<Self> {
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        match (host, llvm_major(version)) {
            (Some(host), Some(major)) => Ok(Self { host: host.trim().to_owned(), major }),
            _ => bail!("`rustc -vV` names no host and no version of LLVM: profiles need a rustc with LLVM"),
        }
    }

    /// Builds the gateway with `-C profile-generate` or `-C profile-use` and no other flags, and says where it is.
    fn build(&self, workspace: &Workspace, target: &Path, what: &str, path: &Path) -> Result<PathBuf> {
        let mut flag = OsString::from(format!("-Cprofile-{what}="));
        flag.push(path);
        // With a target named, the flags are for the program alone and not for what runs while it is built.
        let arguments = ["build", "--release", "--package", "lunaroute-cli", "--target", &self.host];
        let mut build = cargo(&workspace.root, arguments);
        run_apart(build.env("CARGO_TARGET_DIR", target).env("CARGO_ENCODED_RUSTFLAGS", flag))?;
        Ok(target.join(&self.host).join("release/lunaroute"))
    }

    /// An `llvm-profdata` that can read what this compiler's programs count: the given one, or the first that is found.
    fn profdata(&self, given: Option<&Path>) -> Result<PathBuf> {
        if let Some(given) = given {
            return match self.reads(given) {
                true => Ok(given.to_owned()),
                false => bail!("{} is no llvm-profdata of LLVM {} or later", given.display(), self.major),
            };
        }
        let major = self.major;
        let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]))?;
        let installed = [
            Path::new(sysroot.trim()).join("lib/rustlib").join(&self.host).join("bin/llvm-profdata"),
            PathBuf::from("llvm-profdata"),
            PathBuf::from(format!("llvm-profdata-{major}")),
            PathBuf::from(format!("/usr/lib/llvm-{major}/bin/llvm-profdata")),
        ];
        installed.into_iter().find(|tool| self.reads(tool)).with_context(|| {
            format!(
                "no llvm-profdata of LLVM {major} or later: `rustup component add llvm-tools`, install your system's \
                 llvm-{major}, or name it with --profdata"
            )
        })
    }

    fn reads(&self, tool: &Path) -> bool {
        let version = said(Command::new(tool).args(["merge", "--version"]));
        version.is_ok_and(|version| llvm_major(&version).is_some_and(|found| found >= self.major))
    }
}

/// The number before the first dot of `LLVM version: 22.1.2`, or of `LLVM version 22.1.2`.
fn llvm_major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("LLVM version")?;
    rest.trim_start_matches([':', ' ']).split('.').next()?.parse().ok()
}

fn said(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Compiler, llvm_major};

    #[test]
    fn the_compiler_names_its_host_and_its_llvm() {
        let said = "rustc 1.95.0\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let compiler = Compiler::read(said).expect("rustc says both");
        assert_eq!((compiler.host.as_str(), compiler.major), ("x86_64-unknown-linux-gnu", 22));
        assert!(
            Compiler::read("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n").is_err(),
            "another back end"
        );
    }

    #[test]
    fn tools_say_their_version_in_their_own_way() {
        assert_eq!(llvm_major("Debian LLVM version 14.0.6\n  Optimized build."), Some(14));
        assert_eq!(llvm_major("LLVM (http://llvm.org/):\n  LLVM version 22.1.2-rust"), Some(22));
        assert_eq!(llvm_major("command not found"), None);
    }
}
