//! Whether an answer is worth another attempt, and when.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, StatusCode};
use lunaroute_core::Retry;

/// How long a provider asks to wait: `retry-after-ms`, or else `retry-after` in seconds or as an HTTP date. `None` when
/// it does not say, or says what cannot be read. A date in the past is no wait.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str, unit: f64| {
        text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| number(text, 0.001)) {
        return Some(wait);
    }
    let value = text("retry-after")?;
    number(value, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// What may be done after an answer of this status: nothing, unless it is 408, 409, 429, 500 to 504 or 529 (Anthropic's
/// word for overload). A provider that says `x-should-retry` has the last word on its errors.
#[must_use]
pub fn classify(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Retry {
    if status.is_success() {
        return Retry::Never;
    }
    let by_status = matches!(status.as_u16(), 408 | 409 | 429 | 500..=504 | 529);
    let is_error = status.is_client_error() || status.is_server_error();
    let worth_it = match headers.get("x-should-retry").map(http::HeaderValue::as_bytes) {
        Some(b"true") => is_error,
        Some(b"false") => false,
        _ => by_status,
    };
    match retry_after(headers, now) {
        _ if !worth_it => Retry::Never,
        Some(wait) => Retry::After(wait),
        None => Retry::Elsewhere,
    }
}

/// How often and how patiently one target is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at one target, the first included; 0 and 1 both mean no repetition.
    pub max_attempts: u32,
    /// The wait before the first repetition; it doubles each time.
    pub first_delay: Duration,
    /// The longest wait that is chosen here.
    pub max_delay: Duration,
    /// The longest wait that a provider can ask for. A longer one is not waited out here: the caller gets the answer
    /// with its `retry-after` and can do better things than hold a connection.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(20),
        }
    }
}

/// The waits between the attempts of one request at one target.
#[derive(Debug)]
pub struct Backoff {
    delays: ExponentialBackoff,
    policy: RetryPolicy,
}

impl Backoff {
    /// The waits of a policy, each up to twice as long by chance, so that callers that failed together do not return
    /// together.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(policy.first_delay)
            .with_max_delay(policy.max_delay)
            .with_factor(2.0)
            .with_max_times(policy.max_attempts.saturating_sub(1) as usize)
            .with_jitter()
            .build();
        Self { delays, policy }
    }

    /// How long to wait before the next attempt; `None` when there is to be none. A provider's own wait is kept to the
    /// millisecond or not at all.
    pub fn next_delay(&mut self, retry: Retry) -> Option<Duration> {
        match retry {
            Retry::Never => None,
            Retry::After(wait) if wait > self.policy.max_retry_after => None,
            Retry::After(wait) => self.delays.next().map(|_| wait),
            Retry::Elsewhere => self.delays.next().map(|delay| delay.min(self.policy.max_delay)),
        }
    }
}
