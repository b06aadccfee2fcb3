//! Out to the providers: one attempt after the other, as long as no byte has left for the client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use lunaroute_core::{AttemptOutcome, AttemptReason, Failure, FailureKind, Retry};
use lunaroute_egress::Inbound;
use lunaroute_egress::retry::Backoff;
use lunaroute_routing::{Plan, Target};

use crate::crossing::{Decoded, WayBack};
use crate::desk::Desk;
use crate::dressing;
use crate::guest_book::Entry;
use crate::house::{House, Upstream};
use crate::turned_away::{Judgement, judge};
use crate::visitor::Visitor;

/// How much of an answer that is tried again is read for the record.
const DISCARDED_LIMIT: usize = 64 * 1024;

/// How long that may take.
const DISCARDED_TIME: Duration = Duration::from_millis(500);

/// An answer that goes to the client.
pub(crate) struct Passage {
    pub(crate) inbound: Inbound,
    pub(crate) provider: Arc<str>,
    pub(crate) transcode: Transcode,
}

/// What has to be done so that the client understands the answer.
pub(crate) enum Transcode {
    /// Nothing: it is in the client's dialect.
    Same,
    /// It is translated.
    Cross(Box<WayBack>),
}

/// Tries the plan's targets until one answers with something that the client should see.
///
/// # Errors
/// The last attempt's failure, when none answered.
pub(crate) async fn pass(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    plan: &Plan,
    entry: &mut Entry,
) -> Result<Passage, Failure> {
    let mut backoff = Backoff::new(house.retry);
    let path = dressing::path(visitor);
    let decoded = Decoded::default();
    house.retry_budget.earn();
    let mut ordinal = 0;
    loop {
        let (target, upstream) = house.target(plan, ordinal)?;
        let reason = reason(plan, ordinal);
        let model = target.upstream_model.as_deref().or_else(|| desk.model());
        let crossed = decoded.cross(house, visitor, desk, target, upstream)?;
        entry.attempt_started(&target.provider, model, reason);
        let path = dressing::path_for(visitor, target, &path);
        let outbound = match &crossed {
            None => dressing::dress(house, visitor, desk, target, upstream, &path),
            Some(crossed) => {
                entry.provider_request(crossed);
                crossed.outbound(upstream)
            }
        };
        let began = Instant::now();
        let mut result = house.egress.attempt(outbound, &house.timeouts).await;
        let mut outcome = outcome(&result, began);
        let judgement = match &mut result {
            Ok(inbound) => judge(inbound).await,
            Err(failure) => Judgement { wish: failure.retry, retry_after: None, is_spent: false },
        };
        outcome.retry_after_ms = judgement.retry_after.map(milliseconds);
        let delay = next_delay(house, &mut backoff, judgement, (plan, ordinal));
        let failed = match &result {
            Ok(_) => delay.map(|_| FailureKind::Provider),
            Err(failure) => Some(failure.kind),
        };
        house.metrics.attempt(&target.provider, reason, failed);
        match (result, delay) {
            (Ok(inbound), None) => {
                let transcode =
                    crossed.map_or(Transcode::Same, |crossed| Transcode::Cross(Box::new(crossed.back)));
                let passage = Passage { inbound, provider: Arc::clone(&target.provider), transcode };
                return admitted(passage, upstream, &mut outcome, entry);
            }
            (Ok(inbound), Some(_)) => {
                let discarded = discard(inbound).await;
                entry.attempt_finished(outcome, discarded);
            }
            (Err(failure), delay) => {
                entry.attempt_finished(outcome, Bytes::new());
                if delay.is_none() {
                    return Err(failure);
                }
            }
        }
        match delay {
            Some(delay) if !delay.is_zero() => tokio::time::sleep(delay).await,
            _ => {}
        }
        ordinal += 1;
    }
}

/// The answer, unless it only says that the key is wrong which the gateway sent, or that it sent none: that is nothing that
/// the caller could mend, and agents log their user out on a 401.
fn admitted(
    passage: Passage,
    upstream: &Upstream,
    outcome: &mut AttemptOutcome,
    entry: &mut Entry,
) -> Result<Passage, Failure> {
    let own_key = match &passage.transcode {
        Transcode::Same => upstream.credential.is_some(),
        Transcode::Cross(back) => back.own_key,
    };
    if own_key && passage.inbound.status == http::StatusCode::UNAUTHORIZED {
        outcome.failure = Some(FailureKind::Unauthenticated);
        entry.attempt_finished(outcome.clone(), Bytes::new());
        let provider = &passage.provider;
        let what = match upstream.credential {
            Some(_) => "refused the gateway's own key; check",
            None => "wants a key, and a client's key is not shown to another vendor; set",
        };
        return Err(Failure::upstream(
            FailureKind::Provider,
            Retry::Never,
            format!("the provider '{provider}' {what} providers.{provider}.api_key"),
        ));
    }
    entry.attempt_finished(outcome.clone(), Bytes::new());
    Ok(passage)
}

/// The wait before another attempt, when there may be one. A target that was not tried yet is tried at once and whatever
/// the retry budget is: the wait that another provider asks for, and the storm that it is in, say nothing about it.
fn next_delay(
    house: &House,
    backoff: &mut Backoff,
    Judgement { wish, is_spent, .. }: Judgement,
    (plan, ordinal): (&Plan, usize),
) -> Option<Duration> {
    let (next, targets) = (ordinal + 1, plan.targets.len());
    if next < targets {
        return (wish != Retry::Never).then_some(Duration::ZERO);
    }
    // Who has nothing left to pay with has not more of it a second later.
    if is_spent {
        return None;
    }
    // With several targets each has had its attempt, so that the first round counts as well.
    if targets > 1 && next >= house.retry.max_attempts as usize {
        return None;
    }
    let delay = backoff.next_delay(wish)?;
    house.retry_budget.spend().then_some(delay)
}

fn reason(plan: &Plan, ordinal: usize) -> AttemptReason {
    match ordinal {
        0 => AttemptReason::Primary,
        _ if plan.targets.len() > 1 => AttemptReason::Fallback,
        _ => AttemptReason::Retry,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn outcome(result: &Result<Inbound, Failure>, began: Instant) -> AttemptOutcome {
    let latency_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    match result {
        Ok(inbound) => AttemptOutcome {
            status: Some(inbound.status.as_u16()),
            latency_us,
            failure: None,
            message: None,
            retry_after_ms: None,
        },
        Err(failure) => AttemptOutcome {
            status: None,
            latency_us,
            failure: Some(failure.kind),
            message: Some(failure.message.clone()),
            retry_after_ms: None,
        },
    }
}

/// The start of an answer that the client never sees; the connection is reused when that is all of it.
async fn discard(mut inbound: Inbound) -> Bytes {
    let mut start = BytesMut::new();
    let read = async {
        while let Some(Ok(frame)) = inbound.body.frame().await {
            if let Some(data) = frame.data_ref() {
                start.extend_from_slice(&data[..data.len().min(DISCARDED_LIMIT - start.len())]);
            }
            if start.len() == DISCARDED_LIMIT {
                break;
            }
        }
    };
    // What came in time is kept; the rest is of no use to anybody.
    let _complete = tokio::time::timeout(DISCARDED_TIME, read).await;
    start.freeze()
}

impl House {
    fn target<'a>(&'a self, plan: &'a Plan, ordinal: usize) -> Result<(&'a Target, &'a Upstream), Failure> {
        let target = plan.targets.get(ordinal % plan.targets.len().max(1));
        target.and_then(|target| Some((target, self.upstreams.get(&target.provider)?))).ok_or_else(|| {
            Failure::gateway(
                FailureKind::Internal,
                "the plan names a provider that is not configured; restart the gateway",
            )
        })
    }
}
