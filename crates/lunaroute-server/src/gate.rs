//! Out to the providers: one attempt after the other, as long as no byte has left for the client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use lunaroute_core::{AttemptOutcome, Failure, FailureKind, Retry};
use lunaroute_egress::Inbound;
use lunaroute_egress::retry::Backoff;
use lunaroute_routing::Plan;

use crate::crossing::WayBack;
use crate::desk::Desk;
use crate::dressing;
use crate::guest_book::Entry;
use crate::house::{House, Upstream};
use crate::route::{Leg, Route};
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
/// The last attempt's failure, when none answered; why the first target cannot carry the request, when none can.
pub(crate) async fn pass(
    house: &House,
    visitor: &Visitor,
    desk: &Desk,
    plan: &Plan,
    entry: &mut Entry,
) -> Result<Passage, Failure> {
    let mut backoff = Backoff::new(house.retry);
    let path = dressing::path(visitor);
    let mut route = Route { house, visitor, desk, plan, refused: Vec::new() };
    house.retry_budget.earn();
    let (mut ordinal, mut leg) = (0, route.leg(0)?);
    loop {
        let (result, mut outcome, judgement) = attempt(&route, &leg, &path, entry).await;
        let Leg { target, upstream, reason, crossed } = leg;
        // Another attempt makes its own body.
        let back = crossed.map(|crossed| crossed.back);
        // Known before the answer is given up: where nobody else can carry the request, it is the one to tell.
        let next = (judgement.wish != Retry::Never).then(|| route.leg(ordinal + 1).ok()).flatten();
        let next = next.and_then(|next| {
            Some((next_delay(house, &mut backoff, judgement, (route.left(), ordinal))?, next))
        });
        let failed = match &result {
            Ok(_) => next.as_ref().map(|_| FailureKind::Provider),
            Err(failure) => Some(failure.kind),
        };
        house.metrics.attempt(&target.provider, reason, failed);
        let delay = match (result, next) {
            (Ok(inbound), None) => {
                let transcode = back.map_or(Transcode::Same, |back| Transcode::Cross(Box::new(back)));
                let passage = Passage { inbound, provider: Arc::clone(&target.provider), transcode };
                return admitted(passage, upstream, &mut outcome, entry);
            }
            (Ok(inbound), Some((delay, next))) => {
                let discarded = discard(inbound).await;
                entry.attempt_finished(outcome, discarded);
                leg = next;
                delay
            }
            (Err(failure), next) => {
                entry.attempt_finished(outcome, Bytes::new());
                let Some((delay, next)) = next else { return Err(failure) };
                leg = next;
                delay
            }
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        ordinal += 1;
    }
}

/// Makes one attempt; what came of it, and what that says about another one.
async fn attempt(
    route: &Route<'_>,
    leg: &Leg<'_>,
    path: &str,
    entry: &mut Entry,
) -> (Result<Inbound, Failure>, AttemptOutcome, Judgement) {
    let Route { house, visitor, desk, .. } = *route;
    let Leg { target, upstream, reason, crossed } = leg;
    let model = target.upstream_model.as_deref().or_else(|| desk.model());
    entry.attempt_started(&target.provider, model, *reason);
    let path = dressing::path_for(visitor, target, path);
    let outbound = match crossed {
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
    (result, outcome, judgement)
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
    (targets, ordinal): (usize, usize),
) -> Option<Duration> {
    let next = ordinal + 1;
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
