//! Whether to try again, and when.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use lunaroute_core::Retry;
use lunaroute_egress::retry::{Backoff, RetryPolicy, classify, retry_after};
use proptest::prelude::*;

use crate::headers;

/// 2026-11-21T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_200)
}

#[test]
fn a_wait_is_read_in_every_form() {
    for (pairs, expected) in [
        (vec![("retry-after", "3")], Some(3_000)),
        (vec![("retry-after", " 1.5 ")], Some(1_500)),
        (vec![("retry-after", "0")], Some(0)),
        (vec![("retry-after-ms", "250")], Some(250)),
        (vec![("retry-after-ms", "250.5"), ("retry-after", "9")], Some(250)),
        (vec![("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000)),
        (vec![("retry-after", "Sat, 21 Nov 2026 00:00:30 GMT")], Some(30_000)),
        (vec![("retry-after", "Fri, 20 Nov 2026 23:59:30 GMT")], Some(0)),
        (vec![("retry-after", "-1")], None),
        (vec![("retry-after", "NaN")], None),
        (vec![("retry-after", "inf")], None),
        (vec![("retry-after", "1e300")], None),
        (vec![("retry-after", "")], None),
        (vec![("retry-after", "tomorrow")], None),
        (vec![], None),
    ] {
        let wait = retry_after(&headers(&pairs), now()).map(|wait| wait.as_millis());
        assert_eq!(wait, expected, "{pairs:?}");
    }
}

#[test]
fn the_status_decides_unless_the_provider_says_otherwise() {
    let outcome = |status: u16, pairs: &[(&str, &str)]| {
        classify(StatusCode::from_u16(status).expect("a status"), &headers(pairs), now())
    };
    for status in 100..=599 {
        let worth_it = matches!(status, 408 | 409 | 429 | 500..=504 | 529);
        let expected = if worth_it { Retry::Elsewhere } else { Retry::Never };
        assert_eq!(outcome(status, &[]), expected, "{status}");
        let error = status >= 400;
        let asked = outcome(status, &[("x-should-retry", "true"), ("retry-after", "2")]);
        assert_eq!(
            asked,
            if error { Retry::After(Duration::from_secs(2)) } else { Retry::Never },
            "{status}"
        );
        assert_eq!(outcome(status, &[("x-should-retry", "false"), ("retry-after", "2")]), Retry::Never);
    }
    assert_eq!(outcome(429, &[("retry-after-ms", "20")]), Retry::After(Duration::from_millis(20)));
    assert_eq!(outcome(429, &[("x-should-retry", "perhaps")]), Retry::Elsewhere);
}

#[test]
fn a_wait_that_is_too_long_ends_the_attempts_and_a_short_one_is_kept() {
    let backoff = || Backoff::new(RetryPolicy::default());
    assert_eq!(backoff().next_delay(Retry::Never), None);
    assert_eq!(backoff().next_delay(Retry::After(Duration::from_secs(21))), None);
    let mut backoff = backoff();
    let kept = Duration::from_millis(20_000);
    assert_eq!(backoff.next_delay(Retry::After(kept)), Some(kept));
    assert_eq!(backoff.next_delay(Retry::After(Duration::ZERO)), Some(Duration::ZERO));
    assert_eq!(backoff.next_delay(Retry::After(Duration::ZERO)), None, "three attempts are two repetitions");
}

proptest! {
    #[test]
    fn waits_grow_within_their_bounds(
        max_attempts in 0_u32..12,
        first in 1_u64..2_000,
        max in 1_u64..20_000,
    ) {
        let policy = RetryPolicy {
            max_attempts,
            first_delay: Duration::from_millis(first),
            max_delay: Duration::from_millis(max),
            ..RetryPolicy::default()
        };
        let mut backoff = Backoff::new(policy);
        let mut repetitions = 0;
        while let Some(delay) = backoff.next_delay(Retry::Elsewhere) {
            let planned = policy.first_delay.saturating_mul(1 << repetitions).min(policy.max_delay);
            let longest = planned.saturating_mul(2).min(policy.max_delay);
            prop_assert!(delay >= planned.mul_f64(0.999) && delay <= longest.mul_f64(1.001), "{delay:?}");
            repetitions += 1;
        }
        prop_assert_eq!(repetitions, max_attempts.saturating_sub(1));
    }
}
