//! What the gateway's process has, again and again, and whether it grows.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::report::{Promise, Report};
use crate::stage::gateway::Gateway;
use crate::stage::record;

/// The first part of the run, in which caches fill.
const WARM_UP: f64 = 0.25;

/// Growth over the rest that is noise: MiB of memory, and a share of it; files, sockets and threads.
const MEMORY_NOISE: f64 = 1.0;
const MEMORY_SHARE: f64 = 0.03;
const COUNT_NOISE: f64 = 4.0;

/// Seconds after the warm-up from which on growth is more than an allocator that still fills its arenas, and a writer that
/// has not met all sessions yet.
const LONG: f64 = 300.0;

/// What connections need to end when nobody uses them any more.
const GOODBYE: Duration = Duration::from_secs(30);

/// One moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Seconds since the beginning.
    at: f64,
    memory_mib: f64,
    /// Descriptors of files and of what the system wakes it by.
    files: f64,
    /// One for each connection that is open just now, beside those that listen.
    sockets: f64,
    threads: f64,
    journal_mib: f64,
}

impl Sample {
    pub(super) fn take(began: Instant, gateway: &Gateway, home: &Path) -> Result<Self> {
        let id = gateway.id();
        let path = format!("/proc/{id}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok())
        };
        let (files, sockets) = descriptors(id)?;
        #[expect(clippy::cast_precision_loss, reason = "a journal has far less than 2^52 bytes")]
        let journal = record::journal_bytes(home)? as f64;
        Ok(Self {
            at: began.elapsed().as_secs_f64(),
            memory_mib: field("VmRSS:").with_context(|| format!("{path} has no VmRSS"))? / 1_024.0,
            files: f64::from(files),
            sockets: f64::from(sockets),
            threads: field("Threads:").with_context(|| format!("{path} has no Threads"))?,
            journal_mib: journal / f64::from(1 << 20),
        })
    }
}

/// How many descriptors a process has of files and the like, and how many of sockets.
fn descriptors(id: u32) -> Result<(u32, u32)> {
    let (mut files, mut sockets) = (0, 0);
    for entry in fs::read_dir(format!("/proc/{id}/fd")).context("cannot list descriptors")? {
        // One that is closed meanwhile is none.
        let Ok(target) = fs::read_link(entry.context("cannot list descriptors")?.path()) else { continue };
        let is_socket = target.to_string_lossy().starts_with("socket:");
        *if is_socket { &mut sockets } else { &mut files } += 1;
    }
    Ok((files, sockets))
}

/// The sockets that a gateway has at rest: before it was used.
pub(super) fn sockets(gateway: &Gateway) -> Result<u32> {
    Ok(descriptors(gateway.id())?.1)
}

/// How many sockets more than `before` it has when nobody uses it any more.
pub(super) async fn sockets_left(gateway: &Gateway, before: u32) -> Result<u32> {
    let by = Instant::now() + GOODBYE;
    loop {
        let left = sockets(gateway)?.saturating_sub(before);
        if left == 0 || Instant::now() >= by {
            return Ok(left);
        }
        // The kernel tells nobody when another process closes a socket: it is looked for.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// All moments of a run.
#[derive(Debug, Default)]
pub(super) struct Samples {
    moments: Vec<Sample>,
    /// Beyond those at rest, once it was over. How many are open meanwhile is the clients' doing.
    pub(super) sockets_left: u32,
}

impl Samples {
    pub(super) fn add(&mut self, sample: Sample) {
        self.moments.push(sample);
    }

    pub(super) fn tell(&self, report: &mut Report) {
        let end = self.moments.last().map_or(0.0, |sample| sample.at);
        let warm: Vec<Sample> =
            self.moments.iter().filter(|sample| sample.at >= end * WARM_UP).copied().collect();
        let span = end * (1.0 - WARM_UP);
        let most = |figure: fn(&Sample) -> f64| self.moments.iter().map(figure).fold(f64::NAN, f64::max);
        let slope = |figure: fn(&Sample) -> f64| slope(warm.iter().map(|sample| (sample.at, figure(sample))));

        report.count("samples", self.moments.len(), Promise::Told);
        report.line("memory, most, MiB", most(|sample| sample.memory_mib), Promise::Told);
        let memory = slope(|sample| sample.memory_mib);
        report.line("memory after the warm-up, MiB per hour", memory * 3_600.0, Promise::Told);
        let noise = MEMORY_NOISE.max(MEMORY_SHARE * most(|sample| sample.memory_mib));
        let after_long = |most: f64| if span >= LONG { Promise::AtMost(most) } else { Promise::Told };
        report.line("memory, growth after the warm-up, MiB", memory * span, after_long(noise));
        report.line("sockets, most", most(|sample| sample.sockets), Promise::Told);
        let sockets = slope(|sample| sample.sockets) * span;
        report.line("sockets, growth after the warm-up", sockets, Promise::Told);
        let left = f64::from(self.sockets_left);
        report.line("sockets left when nobody used it any more", left, Promise::AtMost(COUNT_NOISE));
        report.line("files, most", most(|sample| sample.files), Promise::Told);
        let files = slope(|sample| sample.files) * span;
        report.line("files, growth after the warm-up", files, after_long(COUNT_NOISE));
        report.line("threads, most", most(|sample| sample.threads), Promise::Told);
        let threads = slope(|sample| sample.threads) * span;
        report.line("threads, growth after the warm-up", threads, Promise::AtMost(COUNT_NOISE));
        report.line("journal, most, MiB", most(|sample| sample.journal_mib), Promise::Told);
    }
}

/// Growth per second, by linear regression; unknown for fewer than two moments.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = f64::from(u32::try_from(points.clone().count()).unwrap_or(u32::MAX));
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - mean_x) * (y - mean_y), below + (x - mean_x).powi(2))
    });
    above / below
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn growth_is_found_under_noise() {
        let flat = (0..100).map(|at| (f64::from(at), 7.0 + f64::from(at % 3)));
        assert!(slope(flat).abs() < 0.005);
        let growing = (0..100).map(|at| (f64::from(at), f64::from(at) * 0.5 + f64::from(at % 3)));
        assert!((slope(growing) - 0.5).abs() < 0.005);
        assert!(slope(std::iter::once((1.0, 1.0))).is_nan());
    }
}
