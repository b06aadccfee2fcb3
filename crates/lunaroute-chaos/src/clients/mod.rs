//! What clients do to a gateway: unclear requests, hang-ups, silence, floods, and more of everything than it can bear.

mod cases;
mod disconnects;
mod echo;
mod floods;
mod hostile;
mod idle;
mod overload;
mod pipelining;
mod raw;
mod slowloris;
mod squeeze;
mod stalled;
mod steady;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

pub(crate) use self::echo::find;
pub(crate) use self::hostile::is_in_dialect;
pub(crate) use self::steady::{Comparison, Others};
use crate::report::{Promise, Report};

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientPart {
    /// Raw HTTP/1.1 cases: what is unclear is refused, and nothing is smuggled.
    Raw,
    /// Many requests in one segment are answered in their order and recorded.
    Pipelining,
    /// Clients that hang up at every stage; the provider is cut, the record has what had come.
    Disconnects,
    /// Clients that say nothing, or say it a byte at a time.
    Slowloris,
    /// Clients that stop reading.
    Stalled,
    /// What an HTTP/2 client can send without end for next to nothing.
    Floods,
    /// Bodies that are too large, and JSON that is none.
    Hostile,
    /// Fewer file descriptors than connections.
    Descriptors,
    /// Streams that say nothing for a long time.
    Idle,
    /// More requests, bodies and connections than the gateway may serve.
    Overload,
}

/// The run.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// The parts; none means all.
    pub parts: Vec<ClientPart>,
    /// Small numbers: seconds instead of minutes, and no verdict over what a loaded machine or a debug build would spoil.
    pub short: bool,
}

impl Clients {
    /// Runs the parts, each with a gateway of its own.
    ///
    /// # Errors
    /// When a gateway or a provider cannot be started, or a record cannot be read.
    pub async fn run(&self, program: &Path) -> Result<Report> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (folder, scale) = (folder.path(), Scale { short: self.short });
        let mut report = Report::new("what clients do");
        let wanted = |part: &ClientPart| self.parts.is_empty() || self.parts.contains(part);
        for part in ClientPart::value_variants().iter().copied().filter(wanted) {
            report.take_over(match part {
                ClientPart::Raw => raw::run(program, folder).await?,
                ClientPart::Pipelining => pipelining::run(program, folder, &scale).await?,
                ClientPart::Disconnects => disconnects::run(program, folder, &scale).await?,
                ClientPart::Slowloris => slowloris::run(program, folder, &scale).await?,
                ClientPart::Stalled => stalled::run(program, folder, &scale).await?,
                ClientPart::Floods => floods::run(program, folder, &scale).await?,
                ClientPart::Hostile => hostile::run(program, folder, &scale).await?,
                ClientPart::Descriptors => squeeze::run(program, folder, &scale).await?,
                ClientPart::Idle => idle::run(program, folder, &scale).await?,
                ClientPart::Overload => overload::run(program, folder, &scale).await?,
            });
        }
        Ok(report)
    }
}

/// How large a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) short: bool,
}

impl Scale {
    pub(crate) fn of<T>(self, short: T, full: T) -> T {
        if self.short { short } else { full }
    }

    /// A promise over time or memory that only an optimised build on a quiet machine can be held to.
    pub(crate) fn judged(self, promise: Promise) -> Promise {
        self.of(Promise::Told, promise)
    }

    /// How long others are watched where nothing else says it.
    pub(crate) fn watch(self) -> Duration {
        self.of(Duration::from_millis(600), Duration::from_secs(5))
    }
}

/// A new home for a gateway.
pub(crate) fn home(folder: &Path, name: &str) -> Result<PathBuf> {
    let home = folder.join(name);
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    Ok(home)
}
