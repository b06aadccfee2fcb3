//! The recorder's own figures, shown beside those of the requests.

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Figures of the recorder at one moment, counters since its start. Notes are what the client's path reports.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecorderFigures {
    /// Notes taken.
    pub received: u64,
    /// Notes that are in the journal.
    pub written: u64,
    /// Appends and syncs of the journal that failed.
    pub failed: u64,
    /// Appends and syncs of the journal that were tried again.
    pub retried: u64,
    /// Notes that are lost.
    pub gaps: u64,
    /// Requests that could not be taken at all.
    pub refused: u64,
    /// Requests that are open.
    pub open_requests: u64,
    /// Notes on their way to the journal.
    pub waiting_events: u64,
    /// Bytes on their way to the journal.
    pub waiting_bytes: u64,
    /// Age of the oldest of them in seconds.
    pub oldest_unwritten_seconds: f64,
    /// Syncs of the journal.
    pub syncs: u64,
    /// Seconds spent in them.
    pub sync_seconds: f64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// The writers.
    pub writers: Vec<WriterFigures>,
}

/// Figures of one writer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriterFigures {
    /// Its name.
    pub name: String,
    /// Events that it took.
    pub written: u64,
    /// Batches that it refused.
    pub failed: u64,
    /// Batches that it was offered again.
    pub retried: u64,
    /// Events that it put aside.
    pub quarantined: u64,
    /// Batches that it took.
    pub batches: u64,
    /// Seconds that it spent on them.
    pub batch_seconds: f64,
    /// Bytes of the journal that it has not read yet.
    pub behind_bytes: u64,
    /// Whether it takes what it is offered.
    pub healthy: bool,
}

/// Holds the last figures. They are gauges here although most only grow, because they are copied, not counted.
pub(crate) struct RecorderCollector {
    notes: IntGaugeVec,
    waiting_bytes: IntGauge,
    oldest: Gauge,
    open: IntGauge,
    journal: GaugeVec,
    writer_events: IntGaugeVec,
    writer: GaugeVec,
}

impl RecorderCollector {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let collector = Self {
            notes: IntGaugeVec::new(
                Opts::new("recorder_notes", "Notes of the recorder by what became of them."),
                &["state"],
            )?,
            waiting_bytes: IntGauge::new("recorder_waiting_bytes", "Bytes on their way to the journal.")?,
            oldest: Gauge::new("recorder_oldest_unwritten_seconds", "Age of the oldest note on its way.")?,
            open: IntGauge::new("recorder_open_requests", "Requests that the recorder has open.")?,
            journal: GaugeVec::new(
                Opts::new(
                    "recorder_journal",
                    "The journal: bytes, syncs and seconds in them, failures, retries.",
                ),
                &["figure"],
            )?,
            writer_events: IntGaugeVec::new(
                Opts::new("recorder_writer_events", "Events by writer and what became of them."),
                &["writer", "state"],
            )?,
            writer: GaugeVec::new(
                Opts::new(
                    "recorder_writer",
                    "Batches, seconds in them, failures, retries, bytes behind, health.",
                ),
                &["writer", "figure"],
            )?,
        };
        registry.register(Box::new(collector.notes.clone()))?;
        registry.register(Box::new(collector.waiting_bytes.clone()))?;
        registry.register(Box::new(collector.oldest.clone()))?;
        registry.register(Box::new(collector.open.clone()))?;
        registry.register(Box::new(collector.journal.clone()))?;
        registry.register(Box::new(collector.writer_events.clone()))?;
        registry.register(Box::new(collector.writer.clone()))?;
        Ok(collector)
    }

    pub(crate) fn update(&mut self, figures: &RecorderFigures) {
        for (state, value) in [
            ("received", figures.received),
            ("written", figures.written),
            ("lost", figures.gaps),
            ("refused", figures.refused),
            ("waiting", figures.waiting_events),
        ] {
            self.notes.with_label_values(&[state]).set(integer(value));
        }
        self.waiting_bytes.set(integer(figures.waiting_bytes));
        self.oldest.set(figures.oldest_unwritten_seconds);
        self.open.set(integer(figures.open_requests));
        for (figure, value) in [
            ("bytes", float(figures.journal_bytes)),
            ("syncs", float(figures.syncs)),
            ("sync_seconds", figures.sync_seconds),
            ("failed", float(figures.failed)),
            ("retried", float(figures.retried)),
        ] {
            self.journal.with_label_values(&[figure]).set(value);
        }
        for writer in &figures.writers {
            self.update_writer(writer);
        }
    }

    fn update_writer(&self, writer: &WriterFigures) {
        let name = writer.name.as_str();
        self.writer_events.with_label_values(&[name, "written"]).set(integer(writer.written));
        self.writer_events.with_label_values(&[name, "quarantined"]).set(integer(writer.quarantined));
        for (figure, value) in [
            ("batches", float(writer.batches)),
            ("batch_seconds", writer.batch_seconds),
            ("failed", float(writer.failed)),
            ("retried", float(writer.retried)),
            ("behind_bytes", float(writer.behind_bytes)),
            ("healthy", if writer.healthy { 1.0 } else { 0.0 }),
        ] {
            self.writer.with_label_values(&[name, figure]).set(value);
        }
    }
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for a chart; 52 bits are enough of it")]
const fn float(value: u64) -> f64 {
    value as f64
}
