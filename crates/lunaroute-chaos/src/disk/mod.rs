//! A disk that gets full, fails, or comes back damaged.

mod damage;
mod faulty;
mod full;
mod mounts;
mod points;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use self::full::Policy;
pub use self::mounts::with_own_mounts;
use crate::report::Report;
use crate::stage::provider;

/// The run. It mounts file systems: the program runs it [with mounts of its own](with_own_mounts).
#[derive(Debug, Clone)]
pub struct Disk {
    /// Sizes of the file systems that get full, in MiB.
    pub sizes: Vec<u64>,
    /// For how many seconds the load goes on when a file system is full.
    pub full_seconds: u64,
    /// Points at which the journal's disk fails once.
    pub points: usize,
    /// KiB of the journal that is cut at every byte and in which every bit is flipped.
    pub damage_kib: usize,
}

impl Disk {
    /// What is promised.
    #[must_use]
    pub fn full() -> Self {
        Self { sizes: vec![8, 16, 32, 64], full_seconds: 10, points: 200, damage_kib: 1_024 }
    }

    /// For every change.
    #[must_use]
    pub fn short() -> Self {
        Self { sizes: vec![24], full_seconds: 2, points: 40, damage_kib: 16 }
    }

    /// Fills, breaks and damages.
    ///
    /// # Errors
    /// When a file system cannot be mounted, the gateway cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let mut report = Report::new("a disk that gets full, fails, or comes back damaged");
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let provider = provider().await?;
        for size in &self.sizes {
            for policy in [Policy::Open, Policy::Required] {
                let run = (*size, policy, Duration::from_secs(self.full_seconds));
                report.take_over(full::run(program, &folder, &provider, run).await?);
            }
        }
        provider.shutdown().await;
        let (points, damage_kib) = (self.points, self.damage_kib);
        report.take_over(tokio::task::block_in_place(|| points::run(points))?);
        report.take_over(tokio::task::block_in_place(|| damage::run(damage_kib))?);
        Ok(report)
    }
}
