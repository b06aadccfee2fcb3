//! What is counted and measured.

mod labels;
mod recorder;
mod request;
mod translation;

use std::sync::{Mutex, PoisonError};

use lunaroute_core::{AttemptReason, Dialect, FailureKind, Observer, Outcome};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

pub use labels::Labels;
pub use recorder::{RecorderFigures, WriterFigures};

use labels::KnownLabels;
use recorder::RecorderFamilies;
use request::RequestFamilies;
use translation::TranslationFamilies;

/// The metrics of one gateway. Shared by reference; every method returns at once.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    labels: KnownLabels,
    in_flight: IntGauge,
    body_bytes: IntGauge,
    refused: IntCounterVec,
    requests: RequestFamilies,
    translations: TranslationFamilies,
    /// Guards the step from figures to counters, so that two scrapes at once do not both add the same difference.
    recorder: Mutex<RecorderFamilies>,
}

/// The metrics library refused a definition or could not write the text.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be kept: {0}; this is a fault of the program, please report it")]
pub struct MetricsError(#[from] prometheus::Error);

impl Metrics {
    /// Makes the metrics of a gateway of this version. What can be known before is there at once with the value 0.
    ///
    /// # Errors
    /// [`MetricsError`] when the library refuses a definition.
    pub fn new(version: &str, labels: &Labels) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let in_flight = IntGauge::new("lunaroute_requests_in_flight", "Requests that are being served.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let body_bytes = IntGauge::new(
            "lunaroute_request_body_bytes",
            "Bytes of request bodies, and of answers that are translated whole, that are in memory.",
        )?;
        registry.register(Box::new(body_bytes.clone()))?;
        let build_info = IntGaugeVec::new(
            Opts::new("lunaroute_build_info", "Always 1; the label says which build runs."),
            &["version"],
        )?;
        build_info.with_label_values(&[version]).set(1);
        registry.register(Box::new(build_info))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let refused = IntCounterVec::new(
            Opts::new("lunaroute_refused_total", "Arrivals that were turned away before they were recorded."),
            &["reason"],
        )?;
        registry.register(Box::new(refused.clone()))?;
        let requests = RequestFamilies::register(&registry, labels)?;
        let translations = TranslationFamilies::register(&registry)?;
        let recorder = Mutex::new(RecorderFamilies::register(&registry)?);
        Ok(Self {
            registry,
            labels: KnownLabels::new(labels),
            in_flight,
            body_bytes,
            refused,
            requests,
            translations,
            recorder,
        })
    }

    /// Counts one attempt at a provider.
    pub fn attempt(&self, provider: &str, reason: AttemptReason, failure: Option<FailureKind>) {
        self.requests.attempt(self.labels.provider(Some(provider)), reason, failure);
    }

    /// Counts one answer that was translated for a client that speaks `from`, by a provider that speaks `to`, and each field
    /// of the request that could not be carried over as it was.
    pub fn translated<'a>(&self, from: Dialect, to: Dialect, fields: impl Iterator<Item = &'a str>) {
        self.translations.translated(from, to, fields);
    }

    /// Counts somebody who was turned away before the request was recorded.
    pub fn refused(&self, reason: FailureKind) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// Takes over how many bytes of request bodies are in memory; to be called before [`Metrics::text`].
    pub fn bodies(&self, bytes: usize) {
        self.body_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Takes over the recorder's figures; to be called before [`Metrics::text`].
    pub fn recorder(&self, figures: &RecorderFigures) {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).take(figures);
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// [`MetricsError`] when the library cannot write them.
    pub fn text(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// The content type of [`Metrics::text`].
    #[must_use]
    pub const fn content_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }
}

impl Observer for Metrics {
    fn started(&self) {
        self.in_flight.inc();
    }

    fn finished(&self, outcome: &Outcome) {
        self.in_flight.dec();
        self.requests.finished(outcome, &self.labels);
    }
}
