//! The kernel's account of processes, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A tick of the times in `/proc`: `USER_HZ` is 100 on every architecture that Linux runs on.
const TICK: Duration = Duration::from_millis(10);

/// Memory of one process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// What is resident now.
    pub(crate) resident: u64,
    /// The most that ever was.
    pub(crate) peak: u64,
}

/// User and system time of a process, of those under it, and of those under it that have ended.
pub(crate) fn cpu_of_tree(root: u32) -> Result<Duration> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let name = entry.context("cannot list /proc")?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that has ended since the listing is no loss: its parent has its time by now.
        let Some(stat) =
            fs::read_to_string(format!("/proc/{process}/stat")).ok().and_then(|text| Stat::parse(&text))
        else {
            continue;
        };
        parents.insert(process, stat);
    }
    let of_root = parents.get(&root).with_context(|| format!("process {root} is gone"))?;
    let mut total = of_root.ticks;
    let mut generation = vec![root];
    while !generation.is_empty() {
        let children: Vec<_> = parents
            .iter()
            .filter(|(_, stat)| generation.contains(&stat.parent))
            .map(|(id, stat)| (*id, stat.ticks))
            .collect();
        total += children.iter().map(|(_, ticks)| ticks).sum::<u32>();
        generation = children.into_iter().map(|(id, _)| id).collect();
    }
    Ok(TICK * total)
}

/// Time that all processors together spent on processes since the machine was started.
pub(crate) fn busy() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    busy_in(&text).context("/proc/stat has no line of all processors")
}

/// What a process has of memory.
pub(crate) fn memory(process: u32) -> Result<Memory> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kibibytes = |field| field_of(&text, field).with_context(|| format!("{path} has no {field}"));
    Ok(Memory { resident: kibibytes("VmRSS:")? * 1024, peak: kibibytes("VmHWM:")? * 1024 })
}

/// Bytes that a process caused to be sent to a disk.
pub(crate) fn written(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    field_of(&text, "write_bytes:").with_context(|| format!("{path} has no write_bytes"))
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// The name in the second field may hold spaces and brackets: what counts stands after the last bracket.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        // utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5), the state being field 3.
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u32>().ok()).sum();
        Some(Self { parent, ticks })
    }
}

/// user, nice and system; interrupts belong to nobody and waiting is no work.
fn busy_in(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    Some(
        TICK * line
            .split_ascii_whitespace()
            .take(3)
            .filter_map(|field| field.parse::<u32>().ok())
            .sum::<u32>(),
    )
}

fn field_of(text: &str, field: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(field))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Stat, busy_in, cpu_of_tree, field_of, memory};

    #[test]
    fn a_name_with_brackets_does_not_mislead() {
        let stat =
            Stat::parse("12 (a) (b c) S 7 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5\n").unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 127));
    }

    #[test]
    fn the_line_of_all_processors_counts_without_waiting() {
        assert_eq!(busy_in("cpu  1 2 3 400 5 6 7 0 0 0\ncpu0 9 9 9 9\n"), Some(Duration::from_millis(60)));
        assert_eq!(field_of("read_bytes: 3\nwrite_bytes: 42\n", "write_bytes:"), Some(42));
    }

    #[test]
    fn this_process_has_an_account() {
        let process = std::process::id();
        assert!(cpu_of_tree(process).is_ok());
        let memory = memory(process).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");
        assert!(cpu_of_tree(u32::MAX).is_err());
    }
}
