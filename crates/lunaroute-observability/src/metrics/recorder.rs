//! What is told of the recorder. It counts for itself; its totals are taken over when somebody asks.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The recorder's totals since the process began, and what waits now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecorderFigures {
    /// Events that requests handed over.
    pub received: u64,
    /// Events that are in the journal.
    pub written: u64,
    /// Events that could not be written.
    pub failed: u64,
    /// Writes that were tried again.
    pub retried: u64,
    /// Events that wait for the journal.
    pub waiting_events: u64,
    /// Bytes of the events that wait.
    pub waiting_bytes: u64,
    /// Age in seconds of the oldest event that waits; 0 when none does.
    pub oldest_unwritten_seconds: f64,
    /// Gap records: each names events that were lost.
    pub gaps: u64,
    /// The writers behind the journal.
    pub writers: Vec<WriterFigures>,
}

/// One writer's totals since the process began, and how far it is behind the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterFigures {
    /// Its configured name.
    pub name: String,
    /// Events that it has written.
    pub written: u64,
    /// Events or batches that failed.
    pub failed: u64,
    /// Bytes of the journal that it has not applied.
    pub behind_bytes: u64,
}

#[derive(Debug)]
pub(super) struct RecorderFamilies {
    received: IntCounter,
    written: IntCounter,
    failed: IntCounter,
    retried: IntCounter,
    gaps: IntCounter,
    waiting_events: IntGauge,
    waiting_bytes: IntGauge,
    oldest_unwritten: Gauge,
    writer_written: IntCounterVec,
    writer_failed: IntCounterVec,
    writer_behind: IntGaugeVec,
}

impl RecorderFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |what: &str, help: &str| {
            let counter = IntCounter::new(format!("lunaroute_recorder_{what}_total"), help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |what: &str, help: &str| {
            let gauge = IntGauge::new(format!("lunaroute_recorder_{what}"), help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let by_writer = |what: &str, help: &str| {
            let options = Opts::new(format!("lunaroute_recorder_writer_{what}_total"), help);
            let counters = IntCounterVec::new(options, &["writer"])?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let oldest_unwritten = Gauge::new(
            "lunaroute_recorder_oldest_unwritten_seconds",
            "Age of the oldest event that waits for the journal.",
        )?;
        registry.register(Box::new(oldest_unwritten.clone()))?;
        let writer_behind = IntGaugeVec::new(
            Opts::new("lunaroute_recorder_writer_behind_bytes", "Bytes of the journal not yet applied."),
            &["writer"],
        )?;
        registry.register(Box::new(writer_behind.clone()))?;
        Ok(Self {
            received: counter("received", "Events that requests handed to the recorder.")?,
            written: counter("written", "Events that are in the journal.")?,
            failed: counter("failed", "Events that could not be written.")?,
            retried: counter("retried", "Writes to the journal that were tried again.")?,
            gaps: counter("gaps", "Gap records; each names events that were lost.")?,
            waiting_events: gauge("waiting_events", "Events that wait for the journal.")?,
            waiting_bytes: gauge("waiting_bytes", "Bytes of the events that wait for the journal.")?,
            oldest_unwritten,
            writer_written: by_writer("written", "Events that the writer has written.")?,
            writer_failed: by_writer("failed", "Events or batches that failed in the writer.")?,
            writer_behind,
        })
    }

    pub(super) fn take(&mut self, figures: &RecorderFigures) {
        raise(&self.received, figures.received);
        raise(&self.written, figures.written);
        raise(&self.failed, figures.failed);
        raise(&self.retried, figures.retried);
        raise(&self.gaps, figures.gaps);
        self.waiting_events.set(signed(figures.waiting_events));
        self.waiting_bytes.set(signed(figures.waiting_bytes));
        self.oldest_unwritten.set(figures.oldest_unwritten_seconds);
        for writer in &figures.writers {
            let name = [writer.name.as_str()];
            raise(&self.writer_written.with_label_values(&name), writer.written);
            raise(&self.writer_failed.with_label_values(&name), writer.failed);
            self.writer_behind.with_label_values(&name).set(signed(writer.behind_bytes));
        }
    }
}

/// Brings a counter up to a total; it never falls, because a counter that falls reads as a restart.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
