//! What is told of requests and attempts.

use lunaroute_core::{AttemptReason, Dialect, Ending, FailureKind, Operation, Outcome, Usage};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, exponential_buckets};

use super::labels::{KnownLabels, Labels};

#[derive(Debug)]
pub(super) struct RequestFamilies {
    requests: IntCounterVec,
    duration: HistogramVec,
    first_token: HistogramVec,
    tokens: IntCounterVec,
    tool_calls: IntCounterVec,
    attempts: IntCounterVec,
}

impl RequestFamilies {
    pub(super) fn register(registry: &Registry, labels: &Labels) -> prometheus::Result<Self> {
        let families = Self {
            requests: counter(
                registry,
                "lunaroute_requests_total",
                "Requests that have ended.",
                &["dialect", "operation", "provider", "model", "outcome", "status_class", "stream"],
            )?,
            duration: histogram(
                registry,
                "lunaroute_request_duration_seconds",
                "Time from a request's arrival to its end.",
                &["dialect", "provider", "stream"],
            )?,
            first_token: histogram(
                registry,
                "lunaroute_time_to_first_token_seconds",
                "Time from a request's arrival to the first piece of its answer.",
                &["dialect", "provider"],
            )?,
            tokens: counter(
                registry,
                "lunaroute_tokens_total",
                "Tokens in disjoint classes; reasoning is a part of output and not to be added to it.",
                &["provider", "model", "type"],
            )?,
            tool_calls: counter(
                registry,
                "lunaroute_tool_calls_total",
                "Tool calls that models asked for.",
                &["provider"],
            )?,
            attempts: counter(
                registry,
                "lunaroute_upstream_attempts_total",
                "Attempts at providers by why they were made and what failed.",
                &["provider", "reason", "failure"],
            )?,
        };
        families.begin_at_zero(labels);
        Ok(families)
    }

    /// Makes the series that can be known before anything has happened, because an absent series raises no alert.
    fn begin_at_zero(&self, labels: &Labels) {
        for (provider, dialects) in &labels.providers {
            for dialect in dialects {
                for stream in ["false", "true"] {
                    for (ending, status_class) in [
                        (Ending::Completed, "2xx"),
                        (Ending::UpstreamError, "5xx"),
                        (Ending::GatewayError, "5xx"),
                        (Ending::Cancelled, "none"),
                    ] {
                        self.requests.with_label_values(&[
                            dialect.as_str(),
                            generation(*dialect).as_str(),
                            provider.as_str(),
                            "other",
                            ending.as_str(),
                            status_class,
                            stream,
                        ]);
                    }
                    self.duration.with_label_values(&[dialect.as_str(), provider.as_str(), stream]);
                }
                self.first_token.with_label_values(&[dialect.as_str(), provider.as_str()]);
            }
            for (class, _) in token_classes(&Usage::default()) {
                self.tokens.with_label_values(&[provider.as_str(), "other", class]);
            }
            self.tool_calls.with_label_values(&[provider]);
            for reason in [AttemptReason::Primary, AttemptReason::Retry, AttemptReason::Fallback] {
                self.attempts.with_label_values(&[provider.as_str(), reason.as_str(), "none"]);
            }
        }
    }

    pub(super) fn attempt(&self, provider: &str, reason: AttemptReason, failure: Option<FailureKind>) {
        let failure = failure.map_or("none", FailureKind::as_str);
        self.attempts.with_label_values(&[provider, reason.as_str(), failure]).inc();
    }

    pub(super) fn finished(&self, outcome: &Outcome, labels: &KnownLabels) {
        let dialect = outcome.dialect.as_str();
        let provider = labels.provider(outcome.provider.as_deref());
        let model = labels.model(outcome.model.as_deref());
        let stream = if outcome.streamed { "true" } else { "false" };
        self.requests
            .with_label_values(&[
                dialect,
                outcome.operation.as_str(),
                provider,
                model,
                outcome.ending.as_str(),
                status_class(outcome.status),
                stream,
            ])
            .inc();
        self.duration.with_label_values(&[dialect, provider, stream]).observe(seconds(outcome.total_us));
        if let Some(first_token_us) = outcome.first_token_us {
            self.first_token.with_label_values(&[dialect, provider]).observe(seconds(first_token_us));
        }
        for (class, tokens) in token_classes(&outcome.usage) {
            if let Some(tokens) = tokens {
                self.tokens.with_label_values(&[provider, model, class]).inc_by(tokens);
            }
        }
        if outcome.tool_calls > 0 {
            self.tool_calls.with_label_values(&[provider]).inc_by(u64::from(outcome.tool_calls));
        }
    }
}

fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let family = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// 14 buckets from 10 ms, each twice the last: the advice of the OpenTelemetry conventions for model calls.
fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(exponential_buckets(0.01, 2.0, 14)?);
    let family = HistogramVec::new(options, labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

const fn token_classes(usage: &Usage) -> [(&'static str, Option<u64>); 6] {
    [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write_5m", usage.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ]
}

const fn generation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenaiChat => Operation::Chat,
        Dialect::OpenaiResponses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::GenerateContent,
    }
}

const fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
        None => "none",
    }
}

#[expect(clippy::cast_precision_loss, reason = "a request that lasts 285 years may be off by a microsecond")]
const fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
