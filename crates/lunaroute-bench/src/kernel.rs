//! The kernel's account of processes and their threads, from `/proc` and the processes' CPU clocks.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

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

/// What one thread, or several of one name, used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ThreadAccount {
    pub(crate) cpu: Duration,
    /// Bytes that it caused to be sent to a disk.
    pub(crate) written: u64,
}

/// User and system time of a process, of those under it, and of those under it that have ended.
///
/// The time of what runs is exact to the nanosecond; of what has ended the kernel keeps ticks of 10 ms.
pub(crate) fn cpu_of_tree(root: u32) -> Result<Duration> {
    let mut processes = BTreeMap::new();
    for process in numbers_in("/proc")? {
        // A process that has ended since the listing is no loss: its parent has its time by now.
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok();
        if let Some(stat) = stat.and_then(|text| Stat::parse(&text)) {
            processes.insert(process, stat);
        }
    }
    anyhow::ensure!(processes.contains_key(&root), "process {root} is gone");
    let mut total = Duration::ZERO;
    let mut generation = vec![root];
    while !generation.is_empty() {
        for process in &generation {
            let ended = processes.get(process).map_or(0, |stat| stat.ended_ticks);
            total += cpu_of(*process).unwrap_or_default() + TICK * ended;
        }
        let parented = |(id, stat): (&u32, &Stat)| generation.contains(&stat.parent).then_some(*id);
        generation = processes.iter().filter_map(parented).collect();
    }
    Ok(total)
}

/// User and system time of all threads that a process has or had; `None` when it is gone.
fn cpu_of(process: u32) -> Option<Duration> {
    let process = Pid::from_raw(i32::try_from(process).ok()?);
    Some(clock_getcpuclockid(process).ok()?.now().ok()?.into())
}

/// What each of a process's threads used, by name. Threads that have ended are not in it.
pub(crate) fn threads(process: u32) -> Result<BTreeMap<String, ThreadAccount>> {
    let folder = format!("/proc/{process}/task");
    let mut found = BTreeMap::<String, ThreadAccount>::new();
    for thread in numbers_in(&folder)? {
        let of_thread = |file: &str| fs::read_to_string(format!("{folder}/{thread}/{file}")).ok();
        let Some(name) = of_thread("comm") else { continue };
        let account = found.entry(name.trim().to_owned()).or_default();
        // The first figure of proc_pid_schedstat is the time on a processor in nanoseconds.
        let time = of_thread("schedstat").and_then(|text| text.split(' ').next()?.parse().ok());
        account.cpu += Duration::from_nanos(time.unwrap_or(0));
        account.written += of_thread("io").and_then(|text| field_of(&text, "write_bytes:")).unwrap_or(0);
    }
    Ok(found)
}

/// Time that all processors together spent on processes, or that another machine on the same hardware took, since this
/// machine was started.
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

/// Names in a folder that are numbers.
fn numbers_in(folder: &str) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {folder}"))? {
        let name = entry.with_context(|| format!("cannot list {folder}"))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(numbers)
}

struct Stat {
    parent: u32,
    /// Time of the children that have ended and were waited for.
    ended_ticks: u32,
}

impl Stat {
    /// The name in the second field may hold spaces and brackets: what counts stands after the last bracket.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        // cutime and cstime: fields 16 and 17 of proc_pid_stat(5), the state being field 3.
        let ended_ticks = fields.get(13..15)?.iter().filter_map(|field| field.parse::<u32>().ok()).sum();
        Some(Self { parent, ended_ticks })
    }
}

/// user, nice, system and stolen; interrupts belong to nobody and waiting is no work.
fn busy_in(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u32> = line.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
    let stolen = ticks.get(7).copied().unwrap_or(0);
    Some(TICK * (ticks.get(..3)?.iter().sum::<u32>() + stolen))
}

fn field_of(text: &str, field: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(field))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{Stat, busy_in, cpu_of, cpu_of_tree, field_of, memory, threads};

    #[test]
    fn a_name_with_brackets_does_not_mislead() {
        let stat =
            Stat::parse("12 (a) (b c) S 7 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5\n").unwrap();
        assert_eq!((stat.parent, stat.ended_ticks), (7, 7));
    }

    #[test]
    fn the_line_of_all_processors_counts_without_waiting() {
        let text = "cpu  1 2 3 400 5 6 7 8 0 0\ncpu0 9 9 9 9\n";
        assert_eq!(busy_in(text), Some(Duration::from_millis(140)));
        assert_eq!(field_of("read_bytes: 3\nwrite_bytes: 42\n", "write_bytes:"), Some(42));
    }

    #[test]
    fn this_process_has_an_account_that_moves_with_its_work() {
        let process = std::process::id();
        let before = (cpu_of_tree(process).unwrap(), cpu_of(process).unwrap());
        let memory = memory(process).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");
        assert!(cpu_of_tree(u32::MAX).is_err());
        let deadline = Instant::now() + Duration::from_secs(20);
        let work = Duration::from_millis(30);
        while cpu_of(process).unwrap() < before.1 + work {
            assert!(Instant::now() < deadline, "the clock of this process stands still");
        }
        assert!(cpu_of_tree(process).unwrap() >= before.0 + work);
        let of_threads: Duration = threads(process).unwrap().values().map(|thread| thread.cpu).sum();
        assert!(of_threads > Duration::ZERO && of_threads <= cpu_of(process).unwrap(), "{of_threads:?}");
    }

    #[test]
    fn the_work_of_a_child_counts_while_it_runs_and_after_it_ended() {
        let process = std::process::id();
        let before = cpu_of_tree(process).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while cpu_of(child.id()).unwrap_or_default() < Duration::from_millis(20) {
            assert!(Instant::now() < deadline, "the child does not work");
        }
        assert!(cpu_of_tree(process).unwrap() >= before + Duration::from_millis(20), "while it runs");
        let own = cpu_of(process).unwrap();
        child.wait().unwrap();
        let all = cpu_of_tree(process).unwrap();
        assert!(all >= own + Duration::from_millis(20), "{all:?} after it ended, {own:?} without it");
    }
}
