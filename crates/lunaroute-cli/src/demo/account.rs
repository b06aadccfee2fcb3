//! Two accounts of the same exchanges side by side: the gateway's record and the provider's ledger.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use lunaroute_core::Usage;
use lunaroute_session::query::{Page, RequestDetail, RequestFilter, SessionQuery, TokenCounts};
use lunaroute_sim::{Entry, Ledger, Outcome};
use serde::Serialize;

use super::client::MARK;
use super::exchanges::Sent;

/// How often the record is asked whether it is complete.
const INTERVAL: Duration = Duration::from_millis(20);

/// One exchange as one side tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Side {
    outcome: &'static str,
    status: Option<u16>,
    tokens: Usage,
    tool_calls: u64,
}

/// One exchange as both sides tell it.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    exchange: String,
    recorded: Option<Side>,
    provider: Option<Side>,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) lines: Vec<Line>,
}

impl Account {
    /// How many exchanges the two sides tell differently.
    pub(super) fn differences(&self) -> usize {
        self.lines.iter().filter(|line| line.differs()).count()
    }

    /// The exchanges that are told differently, for people.
    pub(super) fn disagreements(&self) -> impl Iterator<Item = String> {
        self.lines.iter().filter(|line| line.differs()).map(|line| {
            format!("{}: recorded {:?}, the provider says {:?}", line.exchange, line.recorded, line.provider)
        })
    }
}

impl Line {
    fn differs(&self) -> bool {
        self.recorded.is_none() || self.recorded != self.provider
    }
}

/// Waits until every exchange has ended in the record, and lays it beside the ledger.
pub(super) async fn settle(
    query: &dyn SessionQuery,
    ledger: &Ledger,
    sent: &Sent,
    patience: Duration,
) -> anyhow::Result<Account> {
    let deadline = Instant::now() + patience;
    loop {
        let recorded = recorded(query)?;
        if sent.marks.iter().all(|mark| recorded.contains_key(mark)) {
            return Ok(compare(recorded, ledger, sent));
        }
        if Instant::now() > deadline {
            bail!(
                "of {} exchanges only {} are recorded after {patience:?}",
                sent.marks.len(),
                recorded.len()
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn compare(mut recorded: HashMap<String, Side>, ledger: &Ledger, sent: &Sent) -> Account {
    let mut provider: HashMap<&str, Side> =
        ledger.entries.iter().filter_map(|entry| Some((entry.test_id.as_deref()?, told(entry)))).collect();
    let lines = sent.marks.iter().map(|mark| Line {
        exchange: mark.clone(),
        recorded: recorded.remove(mark),
        provider: provider.remove(mark.as_str()),
    });
    Account { lines: lines.collect() }
}

/// The exchanges that have ended in the record, by their marks.
fn recorded(query: &dyn SessionQuery) -> anyhow::Result<HashMap<String, Side>> {
    let listing = query.requests(&RequestFilter::default(), Page::new(1_000, 0))?;
    let mut sides = HashMap::new();
    for request in listing.items.iter().filter(|request| request.completed_at.is_some()) {
        let detail = query.request(request.id)?;
        if let Some((_, mark)) = detail.request_headers.iter().find(|(name, _)| name == MARK) {
            sides.insert(mark.clone(), written(&detail));
        }
    }
    Ok(sides)
}

fn written(detail: &RequestDetail) -> Side {
    let request = &detail.request;
    let outcome = match (request.ending.as_deref(), request.http_status) {
        (Some("completed"), Some(400..)) => "error status",
        (Some("completed"), _) => "completed",
        (Some("upstream_error"), _) => "broken",
        (Some("cancelled"), _) => "client gone",
        _ => "unknown",
    };
    Side {
        outcome,
        status: request.http_status,
        tokens: usage(&request.tokens),
        tool_calls: request.tool_calls.unwrap_or(0),
    }
}

fn usage(counts: &TokenCounts) -> Usage {
    Usage {
        input: counts.input,
        cache_read: counts.cache_read,
        cache_write_5m: counts.cache_write_5m,
        cache_write_1h: counts.cache_write_1h,
        output: counts.output,
        reasoning: counts.reasoning,
    }
}

fn told(entry: &Entry) -> Side {
    let outcome = match entry.outcome {
        Some(Outcome::Completed) => "completed",
        Some(Outcome::ErrorStatus) => "error status",
        Some(Outcome::ErrorEvent | Outcome::Cut) => "broken",
        Some(Outcome::ClientGone) => "client gone",
        None => "unknown",
    };
    Side {
        outcome,
        status: (entry.status > 0).then_some(entry.status),
        tokens: entry.usage,
        tool_calls: u64::from(entry.tool_calls),
    }
}
