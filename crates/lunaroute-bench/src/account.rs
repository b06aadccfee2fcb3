//! What the kernel says was used between two moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::Share;
use crate::kernel::{self, ThreadAccount};
use crate::stand::Stand;

/// The recorder's threads, as the gateway names them after a prefix.
const THREADS: &[&str] = &["pen", "sync", "sqlite", "jsonl"];
const PREFIX: &str = "lunaroute-";

/// The kernel's account at a moment.
pub(crate) struct Account {
    at: Instant,
    process: Duration,
    threads: BTreeMap<String, ThreadAccount>,
    bench: Duration,
    machine: Duration,
    written: u64,
}

/// What was used between two moments.
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// CPU time of the measured process and of those under it.
    pub(crate) process: Duration,
    /// The part of the recorder's threads in it, by short name.
    pub(crate) threads: BTreeMap<String, ThreadAccount>,
    /// CPU time of all that is not part of the bench.
    pub(crate) foreign: Duration,
    /// Bytes that the measured process caused to be sent to a disk.
    pub(crate) written: u64,
}

impl Account {
    pub(crate) fn read(stand: &Stand, process: u32) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            process: kernel::cpu_of_tree(process)?,
            threads: kernel::threads(process)?,
            bench: stand.own_cpu()?,
            machine: kernel::busy()?,
            // A process of another user tells only its owner what it wrote; nginx may be one.
            written: kernel::written(process).unwrap_or(0),
        })
    }

    /// What was used from an earlier moment until this one.
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let bench = self.bench.saturating_sub(before.bench);
        let mut threads = BTreeMap::new();
        for (name, now) in &self.threads {
            let Some(short) = short_name(name) else { continue };
            let earlier = before.threads.get(name).copied().unwrap_or_default();
            threads.insert(
                short.to_owned(),
                ThreadAccount {
                    cpu: now.cpu.saturating_sub(earlier.cpu),
                    written: now.written.saturating_sub(earlier.written),
                },
            );
        }
        Spent {
            time: self.at - before.at,
            process: self.process.saturating_sub(before.process),
            threads,
            foreign: self.machine.saturating_sub(before.machine).saturating_sub(bench),
            written: self.written.saturating_sub(before.written),
        }
    }
}

impl Spent {
    /// What each of the recorder's threads had in one of so many requests.
    pub(crate) fn shares(&self, requests: u64) -> BTreeMap<String, Share> {
        let share = |account: &ThreadAccount| Share {
            cpu: account.cpu.as_secs_f64() * 1e6 / requests as f64,
            written: account.written as f64 / requests as f64,
        };
        self.threads.iter().map(|(name, account)| (name.clone(), share(account))).collect()
    }
}

/// The kernel cuts a thread's name after 15 bytes.
fn short_name(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix(PREFIX).filter(|rest| !rest.is_empty())?;
    THREADS.iter().copied().find(|known| known.starts_with(rest))
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn cut_names_are_known_and_others_are_not_the_recorders() {
        assert_eq!(short_name("lunaroute-sqlit"), Some("sqlite"));
        assert_eq!(short_name("lunaroute-jsonl"), Some("jsonl"));
        assert_eq!(short_name("lunaroute-pen"), Some("pen"));
        for other in ["lunaroute", "lunaroute-", "tokio-rt-worker", "lunaroute-pencil"] {
            assert_eq!(short_name(other), None, "{other}");
        }
    }
}
