//! What a provider says when it turns a request away: some things that decide whether and when to come again stand in the
//! body alone.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http_body_util::BodyExt;
use lunaroute_core::Retry;
use lunaroute_dialect::cross::Meaning;
use lunaroute_dialect::error::upstream_error;
use lunaroute_egress::{Inbound, retry};

/// How much of the body is read ahead. What is longer is no sentence of a provider.
const READ_AHEAD: usize = 64 * 1024;

/// How long that may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// What may be done after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether and when to come again.
    pub(crate) wish: Retry,
    /// How long the provider asks to wait, wherever it says so.
    pub(crate) retry_after: Option<Duration>,
    /// The same provider has nothing more to give: its credit is used up. Another one may.
    pub(crate) is_spent: bool,
}

/// Judges an answer by its status and headers, and one of 429 also by its body, which stays whole.
pub(crate) async fn judge(inbound: &mut Inbound) -> Judgement {
    let now = SystemTime::now();
    let wish = retry::classify(inbound.status, &inbound.headers, now);
    // Only who refuses says when to come again.
    let told = (!inbound.status.is_success()).then(|| retry::retry_after(&inbound.headers, now)).flatten();
    if inbound.status != StatusCode::TOO_MANY_REQUESTS {
        return Judgement { wish, retry_after: told, is_spent: false };
    }
    let body = read_ahead(inbound).await;
    let error = upstream_error(inbound.status, &inbound.headers, &body).unwrap_or_default();
    let is_spent = Meaning::of(Some(inbound.status), &error, false) == Meaning::NoCredit;
    let retry_after = told.or(error.retry_after);
    let wish = match (wish, retry_after) {
        (Retry::Elsewhere, Some(wait)) => Retry::After(wait),
        (wish, _) => wish,
    };
    Judgement { wish, retry_after, is_spent }
}

/// The start of a body; it comes again.
async fn read_ahead(inbound: &mut Inbound) -> Vec<u8> {
    let (mut frames, mut start) = (Vec::new(), Vec::new());
    let read = async {
        while start.len() < READ_AHEAD {
            // A body that breaks says so again to whoever reads it to its end.
            let Some(Ok(frame)) = inbound.body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                start.extend_from_slice(&data);
                frames.push(data);
            }
        }
    };
    // What came in time is enough, or says nothing.
    let _complete = tokio::time::timeout(PATIENCE, read).await;
    inbound.body.put_back(frames);
    start
}
