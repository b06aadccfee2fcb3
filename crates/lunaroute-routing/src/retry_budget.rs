//! How many further attempts all requests together may cost, so that a storm of errors is passed on and not amplified.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of a token, so that a share can be earned without fractions.
const TOKEN: u64 = 1_000;

/// Tokens that are there at the start and the most that can be saved: a quiet gateway can always try again a few times.
const RESERVE: u64 = 10;

/// A bucket of tokens: each request earns a share of one, each further attempt costs one.
#[derive(Debug)]
pub struct RetryBudget {
    tokens: AtomicU64,
    share: u64,
}

impl RetryBudget {
    /// A full bucket. `share` is the part of a token that a request earns, from 0 (no further attempts beyond the
    /// reserve) to 1 (one for each request).
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the share is brought into 0 to 1 first"
    )]
    pub fn new(share: f64) -> Self {
        let share = (share.clamp(0.0, 1.0) * TOKEN as f64) as u64;
        let start = if share == 0 { 0 } else { RESERVE * TOKEN };
        Self { tokens: AtomicU64::new(start), share }
    }

    /// A request has come.
    pub fn earn(&self) {
        let add =
            |tokens: u64| Some((tokens + self.share).min(RESERVE * TOKEN)).filter(|more| *more != tokens);
        let _unchanged_when_full = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes a token for a further attempt; `false` when there is none.
    pub fn spend(&self) -> bool {
        self.tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(TOKEN))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_costs_no_more_than_the_share() {
        let budget = RetryBudget::new(0.2);
        let requests = 1_000;
        let mut attempts = 0;
        for _ in 0..requests {
            budget.earn();
            attempts += 1 + u64::from(budget.spend());
        }
        assert!(attempts >= requests + 200 && attempts <= requests + 200 + RESERVE, "{attempts}");
    }

    #[test]
    fn a_share_of_nothing_never_tries_again() {
        let budget = RetryBudget::new(0.0);
        budget.earn();
        assert!(!budget.spend());
    }
}
