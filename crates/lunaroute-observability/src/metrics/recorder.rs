//! What is told of the recorder. It counts for itself; its totals are taken over when somebody asks.

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The recorder's totals since the process began, and what waits now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecorderFigures {
    /// Events that requests handed over.
    pub received: u64,
    /// Events that are in the journal.
    pub written: u64,
    /// Appends and syncs of the journal that failed.
    pub failed: u64,
    /// Appends and syncs that were tried again.
    pub retried: u64,
    /// Events that wait for the journal.
    pub waiting_events: u64,
    /// Bytes of the events that wait.
    pub waiting_bytes: u64,
    /// Age in seconds of the oldest event that waits; 0 when none does.
    pub oldest_unwritten_seconds: f64,
    /// Events that are lost; gap records name them wherever one could be written.
    pub gaps: u64,
    /// Pieces of answers beyond the longest that is kept.
    pub left_out: u64,
    /// Times that the journal was made durable.
    pub syncs: u64,
    /// Seconds that this took.
    pub sync_seconds: f64,
    /// Requests that were never taken.
    pub refused: u64,
    /// Requests of an earlier process that were ended as interrupted.
    pub interrupted: u64,
    /// Events that were kept without content because the filter failed.
    pub filtered_out: u64,
    /// Panics of what reads, filters or observes; each was contained.
    pub contained_panics: u64,
    /// Requests that are open in the record.
    pub open_requests: u64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// The writers behind the journal.
    pub writers: Vec<WriterFigures>,
}

/// One writer's totals since the process began, and how far it is behind the journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriterFigures {
    /// Its configured name.
    pub name: String,
    /// Events that it has written.
    pub written: u64,
    /// Batches that it refused.
    pub failed: u64,
    /// Batches that it was offered again.
    pub retried: u64,
    /// Events that it put aside because they can never be written.
    pub quarantined: u64,
    /// Entries of the journal that could not be read for it.
    pub damaged: u64,
    /// Batches that it took.
    pub batches: u64,
    /// Seconds that it spent on them.
    pub batch_seconds: f64,
    /// Times that what it keeps was damaged or gone, and was made anew.
    pub replaced: u64,
    /// Sessions that it removed because they were old.
    pub removed_sessions: u64,
    /// Events that it is to take next.
    pub waiting_events: u64,
    /// Bytes of the journal that it has not written.
    pub behind_bytes: u64,
    /// Age in seconds of the oldest of the events that it is to take next; 0 when there is none.
    pub oldest_unwritten_seconds: f64,
}

#[derive(Debug)]
pub(super) struct RecorderFamilies {
    received: IntCounter,
    written: IntCounter,
    failed: IntCounter,
    retried: IntCounter,
    gaps: IntCounter,
    left_out: IntCounter,
    syncs: IntCounter,
    sync_seconds: Counter,
    refused: IntCounter,
    interrupted: IntCounter,
    filtered_out: IntCounter,
    contained_panics: IntCounter,
    open_requests: IntGauge,
    journal_bytes: IntGauge,
    waiting_events: IntGauge,
    waiting_bytes: IntGauge,
    oldest_unwritten: Gauge,
    writers: WriterFamilies,
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
        let sync_seconds = Counter::new(
            "lunaroute_recorder_sync_seconds_total",
            "Seconds spent making the journal durable.",
        )?;
        registry.register(Box::new(sync_seconds.clone()))?;
        let oldest_unwritten = Gauge::new(
            "lunaroute_recorder_oldest_unwritten_seconds",
            "Age of the oldest event that waits for the journal.",
        )?;
        registry.register(Box::new(oldest_unwritten.clone()))?;
        Ok(Self {
            received: counter("received", "Events that requests handed to the recorder.")?,
            written: counter("written", "Events that are in the journal.")?,
            failed: counter("failed", "Appends and syncs of the journal that failed.")?,
            retried: counter("retried", "Appends and syncs of the journal that were tried again.")?,
            gaps: counter("gaps", "Events that were lost; gap records name them.")?,
            left_out: counter(
                "left_out",
                "Pieces of answers that are longer than is kept; gap records tell their length and hash.",
            )?,
            syncs: counter("syncs", "Times that the journal was made durable.")?,
            sync_seconds,
            refused: counter("refused", "Requests that the recorder never took.")?,
            interrupted: counter("interrupted", "Requests of an earlier process that were left open.")?,
            filtered_out: counter("filtered_out", "Events kept without content: the filter failed.")?,
            contained_panics: counter("contained_panics", "Panics in reading, filtering or observing.")?,
            open_requests: gauge("open_requests", "Requests that are open in the record.")?,
            journal_bytes: gauge("journal_bytes", "Bytes of the journal on disk.")?,
            waiting_events: gauge("waiting_events", "Events that wait for the journal.")?,
            waiting_bytes: gauge("waiting_bytes", "Bytes of the events that wait for the journal.")?,
            oldest_unwritten,
            writers: WriterFamilies::register(registry)?,
        })
    }

    pub(super) fn take(&mut self, figures: &RecorderFigures) {
        raise(&self.received, figures.received);
        raise(&self.written, figures.written);
        raise(&self.failed, figures.failed);
        raise(&self.retried, figures.retried);
        raise(&self.gaps, figures.gaps);
        raise(&self.left_out, figures.left_out);
        raise(&self.syncs, figures.syncs);
        raise_seconds(&self.sync_seconds, figures.sync_seconds);
        raise(&self.refused, figures.refused);
        raise(&self.interrupted, figures.interrupted);
        raise(&self.filtered_out, figures.filtered_out);
        raise(&self.contained_panics, figures.contained_panics);
        self.open_requests.set(signed(figures.open_requests));
        self.journal_bytes.set(signed(figures.journal_bytes));
        self.waiting_events.set(signed(figures.waiting_events));
        self.waiting_bytes.set(signed(figures.waiting_bytes));
        self.oldest_unwritten.set(figures.oldest_unwritten_seconds);
        figures.writers.iter().for_each(|writer| self.writers.take(writer));
    }
}

/// What is told of each writer, by its name.
#[derive(Debug)]
struct WriterFamilies {
    written: IntCounterVec,
    failed: IntCounterVec,
    retried: IntCounterVec,
    quarantined: IntCounterVec,
    damaged: IntCounterVec,
    batches: IntCounterVec,
    batch_seconds: CounterVec,
    replaced: IntCounterVec,
    removed_sessions: IntCounterVec,
    waiting_events: IntGaugeVec,
    behind_bytes: IntGaugeVec,
    oldest_unwritten: GaugeVec,
}

impl WriterFamilies {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = |what: &str, help: &str| Opts::new(format!("lunaroute_recorder_writer_{what}"), help);
        let counters = |what: &str, help: &str| {
            let counters = IntCounterVec::new(options(what, help), &["writer"])?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let gauges = |what: &str, help: &str| {
            let gauges = IntGaugeVec::new(options(what, help), &["writer"])?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let batch_seconds = CounterVec::new(
            options("batch_seconds_total", "Seconds that the writer spent on batches."),
            &["writer"],
        )?;
        registry.register(Box::new(batch_seconds.clone()))?;
        let oldest_unwritten = GaugeVec::new(
            options("oldest_unwritten_seconds", "Age of the oldest event that the writer is to take next."),
            &["writer"],
        )?;
        registry.register(Box::new(oldest_unwritten.clone()))?;
        Ok(Self {
            written: counters("written_total", "Events that the writer has written.")?,
            failed: counters("failed_total", "Batches that the writer refused.")?,
            retried: counters("retried_total", "Batches that the writer was offered again.")?,
            quarantined: counters("quarantined_total", "Events that the writer put aside.")?,
            damaged: counters("damaged_total", "Entries of the journal that could not be read.")?,
            batches: counters("batches_total", "Batches that the writer took.")?,
            batch_seconds,
            replaced: counters("replaced_total", "Times that the writer's store was made anew.")?,
            removed_sessions: counters("removed_sessions_total", "Sessions removed for their age.")?,
            waiting_events: gauges("waiting_events", "Events that the writer is to take next.")?,
            behind_bytes: gauges("behind_bytes", "Bytes of the journal not yet written.")?,
            oldest_unwritten,
        })
    }

    fn take(&self, writer: &WriterFigures) {
        let name = [writer.name.as_str()];
        raise(&self.written.with_label_values(&name), writer.written);
        raise(&self.failed.with_label_values(&name), writer.failed);
        raise(&self.retried.with_label_values(&name), writer.retried);
        raise(&self.quarantined.with_label_values(&name), writer.quarantined);
        raise(&self.damaged.with_label_values(&name), writer.damaged);
        raise(&self.batches.with_label_values(&name), writer.batches);
        raise_seconds(&self.batch_seconds.with_label_values(&name), writer.batch_seconds);
        raise(&self.replaced.with_label_values(&name), writer.replaced);
        raise(&self.removed_sessions.with_label_values(&name), writer.removed_sessions);
        self.waiting_events.with_label_values(&name).set(signed(writer.waiting_events));
        self.behind_bytes.with_label_values(&name).set(signed(writer.behind_bytes));
        self.oldest_unwritten.with_label_values(&name).set(writer.oldest_unwritten_seconds);
    }
}

/// Brings a counter up to a total; it never falls, because a counter that falls reads as a restart.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// As [`raise`], for seconds.
fn raise_seconds(counter: &Counter, total: f64) {
    counter.inc_by((total - counter.get()).max(0.0));
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
