//! The folder in which a gateway keeps what it records.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::workload::FOREIGN_MODEL;

/// The names that `docs/RECORDING.md` promises.
pub(crate) const DATABASE: &str = "lunaroute.sqlite";
pub(crate) const FILES: &str = "sessions";
const JOURNAL: &str = "journal";

/// A gateway's folder. When it was made for one gateway alone, its files are emptied with this value and stay until the
/// folder goes that they are in: a file system that looks for names to use again (ext4 passes by those that went within the
/// last seconds) would let the next gateway pay for thousands of files that went.
pub(crate) struct Home {
    path: PathBuf,
    is_own: bool,
}

/// How a gateway records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Not at all.
    Nothing,
    /// As it is by default: journal, SQLite, JSON Lines, group synchronisation.
    Group,
    /// The same with interval synchronisation.
    Interval,
}

/// Bytes on the disk, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    /// The database and what SQLite keeps beside it.
    pub(crate) database: u64,
    pub(crate) journal: u64,
    /// JSON Lines.
    pub(crate) files: u64,
}

impl Home {
    /// An empty one.
    pub(crate) fn empty(within: &Path) -> Result<Self> {
        let own = tempfile::tempdir_in(within).context("no temporary folder")?;
        Ok(Self { path: own.keep(), is_own: true })
    }

    /// One that is there already and stays.
    pub(crate) fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), is_own: false }
    }

    /// Writes the configuration of a gateway that keeps its records here. With `foreign`, one model is at a provider that
    /// speaks nothing but Chat Completions.
    pub(crate) fn configure(&self, keeping: Keeping, provider: SocketAddr, foreign: bool) -> Result<()> {
        let mut configuration = json!({
            "listen": "127.0.0.1:0",
            "providers": {
                "openai": {"base_url": format!("http://{provider}/v1")},
                "anthropic": {"base_url": format!("http://{provider}")},
            },
            "recording": {
                "enabled": keeping != Keeping::Nothing,
                "directory": self.path,
                "sync": if keeping == Keeping::Interval { "interval" } else { "group" },
            },
            "network": {"proxy_from_environment": false},
        });
        if foreign {
            configuration["providers"]["foreign"] = json!({"dialect": "openai", "dialects": ["openai_chat"], "base_url": format!("http://{provider}/v1")});
            let model = json!({"model": FOREIGN_MODEL, "provider": "foreign", "upstream": "gpt-5-mini"});
            configuration["models"] = json!([model]);
        }
        let file = self.configuration();
        fs::write(&file, configuration.to_string())
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn configuration(&self) -> PathBuf {
        self.path.join("lunaroute.json")
    }

    /// The program with this home's configuration; what it shall do is to be added.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LUNAROUTE_HOME", &self.path).arg("--config").arg(self.configuration());
        command
    }

    /// Runs the program here to its end.
    pub(crate) fn output(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(program);
        command.args(arguments).output().with_context(|| format!("cannot run {}", program.display()))
    }

    /// What the program prints as JSON, and whether it is content.
    pub(crate) fn json(&self, program: &Path, arguments: &[&str]) -> Result<(Value, bool)> {
        let output = self.output(program, &[&["--json"], arguments].concat())?;
        let value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{}` did not print JSON", arguments.join(" ")))?;
        Ok((value, output.status.success()))
    }

    pub(crate) fn sizes(&self) -> Result<Sizes> {
        let mut sizes = Sizes {
            journal: size(&self.path.join(JOURNAL))?,
            files: size(&self.path.join(FILES))?,
            database: 0,
        };
        for suffix in ["", "-wal", "-shm"] {
            sizes.database += size(&self.path.join(format!("{DATABASE}{suffix}")))?;
        }
        Ok(sizes)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_own {
            empty(&self.path);
        }
    }
}

/// Takes the bytes out of all files in a folder. One that cannot be emptied takes room until the folder goes.
fn empty(folder: &Path) {
    for path in fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            empty(&path);
        } else {
            let _room_stays_taken = File::create(&path);
        }
    }
}

/// Bytes of a file, or of all files in a folder; 0 when there is none.
fn size(path: &Path) -> Result<u64> {
    let missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        // A file may go while it is looked for.
        Err(error) if missing(&error) => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        total += size(&entry.with_context(|| format!("cannot list {}", path.display()))?.path())?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Home, Sizes};

    #[test]
    fn what_is_kept_is_measured_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::empty(folder.path()).unwrap();
        assert_eq!(home.sizes().unwrap(), Sizes::default());
        for (name, bytes) in [
            ("lunaroute.sqlite", 10),
            ("lunaroute.sqlite-wal", 5),
            ("journal/a", 3),
            ("sessions/day/b.jsonl", 2),
        ] {
            let path = home.path.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        }
        assert_eq!(home.sizes().unwrap(), Sizes { database: 15, journal: 3, files: 2 });
        let existing = Home::existing(&home.path);
        drop(home);
        assert_eq!(existing.sizes().unwrap(), Sizes::default(), "its files are empty");
        assert!(existing.path.join("sessions/day/b.jsonl").exists(), "and still there");
    }
}
