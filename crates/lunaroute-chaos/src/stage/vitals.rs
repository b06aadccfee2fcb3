//! What the kernel says of a process.

use std::time::Duration;

use anyhow::{Context, Result};

/// A tick of the times in `/proc`: `USER_HZ` is 100 on every architecture that Linux runs on.
const TICK: Duration = Duration::from_millis(10);

/// A process at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// The most that it ever had.
    pub(crate) peak: u64,
    /// Open file descriptors.
    pub(crate) descriptors: u64,
    /// User and system time since its start.
    pub(crate) cpu: Duration,
}

impl Vitals {
    /// Reads them.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{process}/{name}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (status, stat) = (read("status")?, read("stat")?);
        let kibibytes = |field: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
            number.with_context(|| format!("/proc/{process}/status has no {field}"))
        };
        // The name in the second field may hold spaces and brackets: what counts stands after the last bracket. Fields
        // 14 and 15 of proc_pid_stat(5) are the times, the state being field 3.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks =
            fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).context("cannot list descriptors")?;
        Ok(Self {
            resident: kibibytes("VmRSS:")? * 1024,
            peak: kibibytes("VmHWM:")? * 1024,
            descriptors: open.count() as u64,
            cpu: TICK * ticks.sum::<u32>(),
        })
    }
}

/// KiB from one reading to another, divided among `parts`; 0 when it became less.
#[expect(clippy::cast_precision_loss, reason = "memory of a process has far less than 52 bits")]
pub(crate) fn kibibytes_each(before: u64, after: u64, parts: usize) -> f64 {
    after.saturating_sub(before) as f64 / 1024.0 / parts.max(1) as f64
}

/// MiB from one reading to another; 0 when it became less.
pub(crate) fn mebibytes(before: u64, after: u64) -> f64 {
    kibibytes_each(before, after, 1024)
}

#[cfg(test)]
mod tests {
    use super::{Vitals, kibibytes_each, mebibytes};

    #[test]
    fn this_process_is_alive() {
        let vitals = Vitals::of(std::process::id()).expect("it has an account");
        assert!(
            vitals.resident > 0 && vitals.peak >= vitals.resident && vitals.descriptors > 2,
            "{vitals:?}"
        );
        assert!(Vitals::of(u32::MAX).is_err());
    }

    #[test]
    fn memory_is_shared_out() {
        assert!((kibibytes_each(1024, 5 * 1024, 2) - 2.0).abs() < 1e-9);
        assert!((mebibytes(0, 3 << 20) - 3.0).abs() < 1e-9);
        assert!(mebibytes(5, 3).abs() < 1e-9);
    }
}
