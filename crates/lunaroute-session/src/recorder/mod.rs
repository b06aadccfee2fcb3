//! The recorder: one handle for the gateway, one pen that writes, one thread for each writer.

pub(crate) mod barrier;
mod batch;
mod bodies;
mod builder;
mod coalesce;
mod config;
mod ending;
mod error;
pub(crate) mod figures;
mod ledger;
pub(crate) mod note;
pub(crate) mod opening;
mod outlet;
mod patience;
mod pen;
pub(crate) mod queue;
mod recover;
mod reply;
mod request;
mod roll_call;
mod seat;
mod settle;
pub(crate) mod shared;
mod syncer;
mod unpublished;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use self::barrier::Barrier;
pub use self::builder::RecorderBuilder;
pub use self::config::{RecorderConfig, SyncPolicy};
pub use self::error::{FlushError, NotRecorded, RecorderError};
pub use self::figures::{Figures, JournalState, WriterFigures, WriterState};
use self::note::Entry;
pub use self::note::{ProviderForm, RequestStart};
use self::shared::Shared;
use crate::recording::Recording;
use crate::writer::DrainReport;

/// Records every request that passes. A cheap handle; the threads behind it end when the last handle is dropped or
/// [`shutdown`](Self::shutdown) is awaited, which also waits for them.
#[derive(Clone)]
pub struct Recorder {
    owner: Arc<Owner>,
}

/// Asks the threads to end when nobody holds the recorder any more.
struct Owner {
    shared: Arc<Shared>,
}

/// Time that the threads have to end after the last handle was dropped without a shutdown.
const DROP_TIME: Duration = Duration::from_secs(5);

impl Recorder {
    /// A recorder to be furnished and started.
    pub fn builder(config: RecorderConfig) -> RecorderBuilder {
        RecorderBuilder::new(config)
    }

    pub(crate) fn over(shared: Arc<Shared>) -> Self {
        Self { owner: Arc::new(Owner { shared }) }
    }

    /// Opens the record of a request. Never blocks and never fails; [`Recording::written`] says whether the journal has
    /// it.
    #[must_use]
    pub fn begin(&self, start: RequestStart) -> Recording {
        Recording::open(Arc::clone(&self.owner.shared), start)
    }

    /// What the recorder and its writers did so far and how they are.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.owner.shared.figures()
    }

    /// Waits until everything that was reported before is durable in the journal and in every writer. May be called
    /// again and again.
    ///
    /// # Errors
    /// [`FlushError`] names what was behind when `deadline` was over.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let shared = &self.owner.shared;
        let by = tokio::time::Instant::now() + deadline;
        let failed = |behind| FlushError { waited: deadline, behind };
        let barrier = Arc::new(Barrier::default());
        let queued = shared.queue.push(Entry::Flush(Arc::clone(&barrier)), Instant::now());
        if queued.is_err() || !matches!(timeout_at(by, barrier.reached()).await, Ok(Ok(_))) {
            return Err(failed(vec!["journal".to_owned()]));
        }
        let number = shared.published.flush();
        let mut behind = Vec::new();
        for projector in &shared.projectors {
            if timeout_at(by, projector.until_flushed(number)).await.is_err() {
                behind.push(projector.name());
            }
        }
        if behind.is_empty() { Ok(()) } else { Err(failed(behind)) }
    }

    /// Writes everything, ends what is still open as interrupted, and lets the writers catch up, all within `deadline`.
    /// What a writer does not reach stays in the journal and is written after the next start. The report counts notes:
    /// `written` are in the journal, `lost` are the gaps since the start and what the disk did not take in time,
    /// but not what was left out because an answer was too long to be kept.
    pub async fn shutdown(&self, deadline: Duration) -> DrainReport {
        let shared = &self.owner.shared;
        let by = Instant::now() + deadline;
        shared.queue.stop(by);
        // A disk that hangs holds the thread beyond the time; the process need not wait for it.
        let grace = tokio::time::Instant::from_std(by) + Duration::from_millis(100);
        let ended = timeout_at(grace, shared.until_pen_ended()).await.is_ok();
        if !ended {
            tracing::error!("the recorder's disk did not answer in time");
        }
        shared.published.stop(by);
        for projector in &shared.projectors {
            if timeout_at(grace, projector.until_stopped()).await.is_err() {
                tracing::warn!(writer = projector.name(), "the writer did not stop in time");
            }
        }
        let figures = shared.figures();
        DrainReport { written: figures.written, lost: figures.gaps + figures.waiting_notes }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The pen stops the projectors when it has ended.
        self.shared.queue.stop(Instant::now() + DROP_TIME);
    }
}
