//! Counters and histograms of requests, in the Prometheus text format.

use std::collections::BTreeSet;
use std::sync::Mutex;

use lunaroute_core::{AttemptReason, Ending, FailureKind, Observer, Outcome};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, exponential_buckets,
};

use crate::recorder::{RecorderCollector, RecorderFigures};

/// What stands in a label for everything that is not configured.
const OTHER: &str = "other";

/// Most names of models that become label values.
const MODELS: usize = 200;

/// The metrics could not be set up: two have the same name, which is a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be registered: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// The gateway's figures since its start.
pub struct Metrics {
    registry: Registry,
    models: BTreeSet<String>,
    in_flight: IntGauge,
    requests: IntCounterVec,
    refused: IntCounterVec,
    seconds: HistogramVec,
    first_token_seconds: HistogramVec,
    overhead_seconds: Histogram,
    tokens: IntCounterVec,
    tool_calls: IntCounter,
    attempts: IntCounterVec,
    recorder: Mutex<RecorderCollector>,
}

impl Metrics {
    /// Figures at zero. `models` are the configured names: only they become values of the `model` label, at most 200 of
    /// them. `providers` are the configured ones.
    ///
    /// # Errors
    /// [`MetricsError`] when a metric cannot be registered.
    pub fn new(
        version: &str,
        models: impl IntoIterator<Item = String>,
        providers: impl IntoIterator<Item = String>,
    ) -> Result<Self, MetricsError> {
        let registry = Registry::new_custom(Some("lunaroute".to_owned()), None)?;
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
        let durations =
            |name: &str, help: &str, labels: &[&str]| -> Result<HistogramVec, prometheus::Error> {
                let options = HistogramOpts::new(name, help).buckets(exponential_buckets(0.01, 2.0, 14)?);
                let histogram = HistogramVec::new(options, labels)?;
                registry.register(Box::new(histogram.clone()))?;
                Ok(histogram)
            };
        let of_request = ["dialect", "operation", "provider", "model", "outcome", "status_class", "stream"];
        let metrics = Self {
            requests: counters("requests_total", "Requests that have ended.", &of_request)?,
            refused: counters(
                "refused_total",
                "Arrivals turned away before they were recorded.",
                &["reason"],
            )?,
            seconds: durations(
                "request_duration_seconds",
                "From arrival to end.",
                &["operation", "provider"],
            )?,
            first_token_seconds: durations(
                "time_to_first_token_seconds",
                "From arrival to the first piece of the answer.",
                &["operation", "provider"],
            )?,
            overhead_seconds: Histogram::with_opts(
                HistogramOpts::new("gateway_overhead_seconds", "From arrival to the first attempt.")
                    .buckets(exponential_buckets(0.000_05, 2.0, 13)?),
            )?,
            tokens: counters("tokens_total", "Tokens by class.", &["type"])?,
            tool_calls: IntCounter::new("tool_calls_total", "Tool calls that models asked for.")?,
            attempts: counters(
                "upstream_attempts_total",
                "Attempts at providers that ended without an answer for the client, by failure; `none` gave one.",
                &["provider", "reason", "failure"],
            )?,
            in_flight: IntGauge::new("requests_in_flight", "Requests that have not ended.")?,
            models: models.into_iter().take(MODELS).collect(),
            recorder: Mutex::new(RecorderCollector::new(&registry)?),
            registry,
        };
        metrics.registry.register(Box::new(metrics.in_flight.clone()))?;
        metrics.registry.register(Box::new(metrics.tool_calls.clone()))?;
        metrics.registry.register(Box::new(metrics.overhead_seconds.clone()))?;
        let build = IntGaugeVec::new(Opts::new("build_info", "The program that runs."), &["version"])?;
        build.with_label_values(&[version]).set(1);
        metrics.registry.register(Box::new(build))?;
        register_process(&metrics.registry)?;
        metrics.start_at_zero(providers);
        Ok(metrics)
    }

    /// A series that is 0 is shown as 0: an alert on something absent never fires.
    fn start_at_zero(&self, providers: impl IntoIterator<Item = String>) {
        for class in ["input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"] {
            self.tokens.with_label_values(&[class]);
        }
        for provider in providers {
            for reason in [AttemptReason::Primary, AttemptReason::Retry, AttemptReason::Fallback] {
                self.attempts.with_label_values(&[provider.as_str(), reason.as_str(), "none"]);
            }
        }
    }

    /// An attempt at a provider has ended: with an answer for the client, or with a failure.
    pub fn attempt(&self, provider: &str, reason: AttemptReason, failure: Option<FailureKind>) {
        let failure = failure.map_or("none", FailureKind::as_str);
        self.attempts.with_label_values(&[provider, reason.as_str(), failure]).inc();
    }

    /// Somebody was turned away before the request was recorded.
    pub fn refused(&self, reason: FailureKind) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// The gateway worked this long, in microseconds, before it asked a provider.
    pub fn overhead(&self, micros: u64) {
        self.overhead_seconds.observe(seconds(micros));
    }

    /// All figures as text, those of the recorder as they are now.
    ///
    /// # Errors
    /// [`MetricsError`] when the text cannot be written.
    pub fn text(&self, recorder: Option<&RecorderFigures>) -> Result<String, MetricsError> {
        if let Some(figures) = recorder {
            let mut collector = self.recorder.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            collector.update(figures);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn model<'a>(&self, outcome: &'a Outcome) -> &'a str {
        outcome.model.as_deref().filter(|model| self.models.contains(*model)).unwrap_or(OTHER)
    }
}

impl Observer for Metrics {
    fn started(&self) {
        self.in_flight.inc();
    }

    fn finished(&self, outcome: &Outcome) {
        self.in_flight.dec();
        let provider = outcome.provider.as_deref().unwrap_or("none");
        let operation = outcome.operation.as_str();
        self.requests
            .with_label_values(&[
                outcome.dialect.as_str(),
                operation,
                provider,
                self.model(outcome),
                result(outcome),
                status_class(outcome.status),
                if outcome.streamed { "true" } else { "false" },
            ])
            .inc();
        self.seconds.with_label_values(&[operation, provider]).observe(seconds(outcome.total_us));
        if let Some(micros) = outcome.first_token_us {
            self.first_token_seconds.with_label_values(&[operation, provider]).observe(seconds(micros));
        }
        self.tool_calls.inc_by(u64::from(outcome.tool_calls));
        let usage = &outcome.usage;
        for (class, tokens) in [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write_5m", usage.cache_write_5m),
            ("cache_write_1h", usage.cache_write_1h),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ] {
            if let Some(tokens) = tokens {
                self.tokens.with_label_values(&[class]).inc_by(tokens);
            }
        }
    }
}

/// How it went, in the words of the record; an error that the provider answered whole is an error.
fn result(outcome: &Outcome) -> &'static str {
    match (outcome.ending, outcome.status) {
        (Ending::Completed, Some(400..)) => "error",
        (ending, _) => ending.as_str(),
    }
}

const fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..200) => "1xx",
        Some(200..300) => "2xx",
        Some(300..400) => "3xx",
        Some(400..500) => "4xx",
        Some(500..600) => "5xx",
        _ => "none",
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a request fit into the 52 bits")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) -> Result<(), prometheus::Error> {
    Ok(())
}
