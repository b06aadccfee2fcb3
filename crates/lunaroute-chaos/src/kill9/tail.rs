//! What goes with a killed process: the end of each live stream that its client had and the record has not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lunaroute_session::query::{QueryError, SessionQuery};

use crate::report::{Promise, Report};
use crate::stage::client::Seen;
use crate::stage::record::query;

/// Joined pieces of at most this age and size go in a kill.
const AGE: Duration = Duration::from_millis(50);
const BYTES: usize = 64 << 10;

/// What a loaded machine may take to give the recorder's thread its turn.
const TURN: Duration = Duration::from_millis(150);

/// What was measured of all streams so far.
#[derive(Debug, Default)]
pub(super) struct Tail {
    ages: Vec<Duration>,
    bytes: usize,
    /// Requests whose record says something else than what their client had.
    wrong: Vec<String>,
}

impl Tail {
    /// Measures what the clients of one kill had before it.
    pub(super) fn measure(&mut self, home: &Path, seen: &[Seen], killed_at: Instant) -> Result<()> {
        let query = query(home)?;
        for seen in seen.iter().filter(|seen| seen.status.is_some()) {
            let Some(id) = seen.id else { bail!("{} was answered without the gateway's id", seen.mark) };
            let Ok(detail) = query.request(id) else {
                // It is lost, which the comparison tells.
                continue;
            };
            let kept = match query.response_body(id) {
                Ok(body) => body,
                Err(QueryError::NotKept { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let common = seen.body.len().min(kept.len());
            if seen.body[..common] != kept[..common] {
                self.wrong.push(format!("the record of {} has other bytes than its client", seen.mark));
            }
            let live = seen.mark.contains("stream");
            let ending = detail.request.ending.as_deref();
            let early = seen.ended_at.is_some_and(|ended| ended + AGE * 4 < killed_at);
            if live && ending != Some("interrupted") || seen.whole && early && ending != Some("completed") {
                self.wrong.push(format!("{} ended as {ending:?}", seen.mark));
            }
            if live {
                let arrival = seen.arrival_of(kept.len());
                let age = arrival.map_or(Duration::ZERO, |at| killed_at.saturating_duration_since(at));
                self.ages.push(age);
                self.bytes = self.bytes.max(seen.body.len().saturating_sub(kept.len()));
            }
        }
        Ok(())
    }

    pub(super) fn tell(mut self, report: &mut Report) {
        self.ages.sort_unstable();
        let milliseconds = |age: Option<&Duration>| age.map_or(f64::NAN, |age| age.as_secs_f64() * 1e3);
        let at = |share: usize| {
            self.ages.get((self.ages.len() * share / 100).min(self.ages.len().wrapping_sub(1)))
        };
        let limit = AGE.as_secs_f64() * 1e3;
        report.count("live streams killed", self.ages.len(), Promise::Told);
        report.count("records with another end or other bytes", self.wrong.len(), Promise::Exactly(0.0));
        report.line("tail of a stream, age at the median, ms", milliseconds(at(50)), Promise::AtMost(limit));
        report.line("tail of a stream, age at the 99th percentile, ms", milliseconds(at(99)), Promise::Told);
        let greatest = milliseconds(self.ages.last());
        let with_turn = Promise::AtMost(limit + TURN.as_secs_f64() * 1e3);
        report.line("tail of a stream, greatest age, ms", greatest, with_turn);
        #[expect(clippy::cast_precision_loss, reason = "a tail has far less than 2^52 bytes")]
        report.line("tail of a stream, most bytes", self.bytes as f64, Promise::AtMost(BYTES as f64));
        self.wrong.into_iter().take(5).for_each(|wrong| report.note(wrong));
    }
}
