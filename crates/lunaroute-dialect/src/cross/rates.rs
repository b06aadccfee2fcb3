//! Rate limits: what vendors call them, and how they tell when there is room again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use lunaroute_core::Dialect;

use crate::dispatch::language;

/// How a vendor says when there is room again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// The moment, in RFC 3339: `2026-01-01T00:00:05Z` (Anthropic).
    Moment,
    /// The time until then: `6m0s`, `1.5s`, `20ms` (OpenAI).
    Wait,
}

/// The headers in which a vendor tells its limits, names in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitHeaders {
    /// Of requests: how many, how many are left, when there is room again.
    pub(crate) requests: [&'static str; 3],
    /// The same of tokens.
    pub(crate) tokens: [&'static str; 3],
    /// How the last of each is told.
    pub(crate) reset: Reset,
}

impl LimitHeaders {
    fn dimensions(&self) -> [[&'static str; 3]; 2] {
        [self.requests, self.tokens]
    }
}

/// A provider's rate limits under the names of the caller's dialect and in its form: limit, rest and renewal of requests
/// and of tokens, as far as the provider tells them.
#[must_use]
pub fn rate_limits(
    from: Dialect,
    to: Dialect,
    headers: &HeaderMap,
    now: SystemTime,
) -> Vec<(&'static str, HeaderValue)> {
    let (Some(theirs), Some(ours)) = (language(from).limit_headers(), language(to).limit_headers()) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    for (their, our) in theirs.dimensions().into_iter().zip(ours.dimensions()) {
        for (their, our) in their.into_iter().zip(our).take(2) {
            told.extend(headers.get(their).map(|value| (our, value.clone())));
        }
        let reset = headers.get(their[2]).and_then(|value| {
            if theirs.reset == ours.reset {
                return Some(value.clone());
            }
            let wait = wait_of(value.to_str().ok()?, theirs.reset, now)?;
            HeaderValue::from_str(&told_wait(wait, ours.reset, now)?).ok()
        });
        told.extend(reset.map(|value| (our[2], value)));
    }
    told
}

/// How long a provider's limits ask to wait: until there is room in every dimension of which nothing is left. `None` when
/// something is left of each, or it does not say.
#[must_use]
pub fn room_after(from: Dialect, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let limits = language(from).limit_headers()?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let spent = limits.dimensions().into_iter().filter(|[_, left, _]| text(left) == Some("0"));
    spent.filter_map(|[_, _, reset]| wait_of(text(reset)?, limits.reset, now)).max()
}

/// The time until there is room; none for a moment that is past.
fn wait_of(told: &str, form: Reset, now: SystemTime) -> Option<Duration> {
    match form {
        Reset::Moment => {
            let moment: SystemTime = told.trim().parse::<Timestamp>().ok()?.into();
            Some(moment.duration_since(now).unwrap_or_default())
        }
        Reset::Wait => told.trim().parse::<SignedDuration>().ok()?.try_into().ok(),
    }
}

/// The same in a vendor's form. A moment is rounded up to the second, because there is no room before it.
fn told_wait(wait: Duration, form: Reset, now: SystemTime) -> Option<String> {
    match form {
        Reset::Moment => {
            let moment = Timestamp::try_from(now.checked_add(wait)?).ok()?;
            let seconds = moment.as_second() + i64::from(moment.subsec_nanosecond() > 0);
            Some(Timestamp::from_second(seconds).ok()?.to_string())
        }
        Reset::Wait => {
            let (minutes, seconds) = (wait.as_secs() / 60, wait.as_secs() % 60);
            Some(match (minutes, wait.subsec_millis()) {
                (0, 0) => format!("{seconds}s"),
                (0, millis) if seconds == 0 => format!("{millis}ms"),
                (0, millis) => format!("{seconds}.{millis:03}s"),
                (minutes, _) if minutes < 60 => format!("{minutes}m{seconds}s"),
                (minutes, _) => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_and_moments_are_told_in_each_others_form() {
        let now = SystemTime::from(Timestamp::from_second(1_700_000_000).expect("a moment"));
        for (wait, millis, again) in [
            ("1s", 1_000, "1s"),
            ("6m0s", 360_000, "6m0s"),
            ("20ms", 20, "20ms"),
            ("1.5s", 1_500, "1.500s"),
            ("1h2m3s", 3_723_000, "1h2m3s"),
            ("0s", 0, "0s"),
        ] {
            let read = wait_of(wait, Reset::Wait, now).expect(wait);
            assert_eq!(read, Duration::from_millis(millis), "{wait}");
            assert_eq!(told_wait(read, Reset::Wait, now).as_deref(), Some(again));
        }
        let told = told_wait(Duration::from_millis(1_500), Reset::Moment, now).expect("a moment");
        assert_eq!(told, "2023-11-14T22:13:22Z");
        assert_eq!(wait_of(&told, Reset::Moment, now), Some(Duration::from_secs(2)));
        assert_eq!(wait_of("2023-11-14T22:13:00Z", Reset::Moment, now), Some(Duration::ZERO), "it is past");
        for odd in ["", "soon", "-5s", "6"] {
            assert_eq!(wait_of(odd, Reset::Wait, now), None, "{odd}");
            assert_eq!(wait_of(odd, Reset::Moment, now), None, "{odd}");
        }
    }
}
