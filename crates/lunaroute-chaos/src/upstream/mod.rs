//! What a provider does to a gateway: answers that drip, heads and bodies beyond all measure, and bombs.

mod bombs;
mod drip;
mod large;

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::clients::Scale;
use crate::report::Report;

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UpstreamPart {
    /// Streams of one byte per second.
    Drip,
    /// Heads from 64 KiB to 1 MiB, and a body of 1 GiB.
    Large,
    /// Content codings that unpack to a thousand times their size, in both directions.
    Bombs,
}

/// The run.
#[derive(Debug, Clone, Default)]
pub struct UpstreamBasics {
    /// The parts; none means all.
    pub parts: Vec<UpstreamPart>,
    /// Small numbers: seconds instead of minutes, and no verdict over what a loaded machine or a debug build would spoil.
    pub short: bool,
}

impl UpstreamBasics {
    /// Runs the parts, each with a gateway of its own.
    ///
    /// # Errors
    /// When a gateway or a provider cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (folder, scale) = (folder.path(), Scale { short: self.short });
        let mut report = Report::new("what providers do");
        let wanted = |part: &UpstreamPart| self.parts.is_empty() || self.parts.contains(part);
        for part in UpstreamPart::value_variants().iter().copied().filter(wanted) {
            report.take_over(match part {
                UpstreamPart::Drip => drip::run(program, folder, &scale).await?,
                UpstreamPart::Large => large::run(program, folder, &scale).await?,
                UpstreamPart::Bombs => bombs::run(program, folder, &scale).await?,
            });
        }
        Ok(report)
    }
}
