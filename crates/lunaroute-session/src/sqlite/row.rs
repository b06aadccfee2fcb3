//! The columns of a request's own row, from what is known of it so far.

use lunaroute_core::{Ending, Usage};
use rusqlite::types::ValueRef;
use serde::Serialize;

use super::failure::StepError;
use super::pending::Pending;
use super::table::{bytes, figure, number, text, truth};
use crate::event::{Stats, TranslationWarning};

/// Columns of the table, `digest` excepted.
const COLUMNS: usize = 59;

/// What the row keeps of the request's bytes.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) decoded: Option<Vec<u8>>,
    pub(crate) content: Option<i64>,
    pub(crate) sections: Option<Vec<u8>>,
    /// Where a whole small body stands in the content.
    pub(crate) body_start: Option<usize>,
    pub(crate) answer: Option<i64>,
    /// The blob of each attempt's body, by its number; attempts without one are left out.
    pub(crate) attempt_bodies: Vec<(u32, i64)>,
    /// The same in the provider's form, of a translated request.
    pub(crate) provider_head: Option<i64>,
    pub(crate) provider_body: Option<Vec<u8>>,
    pub(crate) provider_answer: Option<i64>,
}

/// The request's status in the words of the schema.
pub(crate) fn request_status(pending: &Pending) -> &'static str {
    let Some(completed) = &pending.completed else { return "running" };
    match completed.ending {
        Ending::Completed if completed.status.is_some_and(|status| status >= 400) => "error",
        Ending::Completed => "success",
        Ending::UpstreamError | Ending::GatewayError => "error",
        Ending::Cancelled => "cancelled",
        Ending::Interrupted => "interrupted",
    }
}

/// The row; [`cells`](Self::cells) borrows from it.
pub(crate) struct RequestRow<'pending> {
    pending: &'pending Pending,
    /// The number of its session.
    session: i64,
    kept: Kept,
    id: String,
    attempt_list: Option<String>,
    warnings: Option<String>,
    answer_hash: Option<blake3::Hash>,
    /// Figures are told once, when the request is over: the session's sums are those of its rows at any time.
    stats: Option<&'pending Stats>,
}

impl<'pending> RequestRow<'pending> {
    pub(crate) fn new(pending: &'pending Pending, session: i64, kept: Kept) -> Result<Self, StepError> {
        let over = pending.completed.is_some();
        let stats = pending.stats.as_ref().filter(|_| over);
        let told = stats.and_then(|stats| blake3::Hash::from_hex(&stats.response_blake3).ok());
        let answer_hash = over.then(|| told.unwrap_or_else(|| pending.answer.hash()));
        let attempt_list = attempt_list(pending, &kept.attempt_bodies)?;
        let is_estimated = pending.response.as_ref().is_some_and(|response| response.usage_estimated);
        let provider = pending.provider.as_ref();
        let warnings = provider.and_then(|provider| warnings(&provider.request.warnings, is_estimated));
        let id = pending.request.to_string();
        Ok(Self { pending, session, kept, id, attempt_list, warnings, answer_hash, stats })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The columns in the order of the table.
    pub(crate) fn cells(&self) -> Result<[ValueRef<'_>; COLUMNS], StepError> {
        let mut cells = [ValueRef::Null; COLUMNS];
        let columns = self
            .head()
            .into_iter()
            .chain(self.times()?)
            .chain(self.tokens()?)
            .chain(self.outcome())
            .chain(self.wire()?)
            .chain(self.flow()?)
            .chain(self.bytes())
            .chain(self.provider());
        for (cell, column) in cells.iter_mut().zip(columns) {
            *cell = column;
        }
        Ok(cells)
    }

    /// Who asked what of whom.
    fn head(&self) -> [ValueRef<'_>; 11] {
        let Pending { started, read, attempts, response, session, .. } = self.pending;
        let started = started.as_deref();
        let read = read.as_deref();
        let attempt = attempts.values().rev().find_map(|attempt| attempt.started.as_ref());
        let attempt = attempt.map(|(_, started)| started);
        let answered_by = response.as_ref().and_then(|response| response.model.as_deref());
        [
            text(Some(&self.id)),
            text(Some(session.as_str())),
            number(Some(self.session)),
            text(started.map(|started| started.operation.as_str())),
            text(started.map(|started| started.method.as_str())),
            text(started.map(|started| started.path.as_str())),
            text(started.map(|started| started.dialect.as_str())),
            text(attempt.map(|attempt| attempt.provider.as_str())),
            text(read.and_then(|read| read.model.as_deref())),
            text(answered_by.or(attempt.and_then(|attempt| attempt.model.as_deref()))),
            truth(read.map(|read| read.stream)),
        ]
    }

    /// How it stands, and when.
    fn times(&self) -> Result<[ValueRef<'_>; 9], StepError> {
        let pending = self.pending;
        let completed = pending.completed.as_ref();
        let total_us = self.total_us();
        let pre_us = self.stats.map(|stats| stats.overhead_pre_us);
        let begun = pending.started.as_ref().filter(|_| completed.is_some());
        let pre_us = pre_us.or(begun.map(|started| started.overhead_pre_us));
        let status = completed.and_then(|completed| completed.status);
        let status = status.or(pending.head.as_ref().map(|(status, _)| *status));
        Ok([
            text(Some(request_status(pending))),
            text(completed.map(|completed| completed.ending.as_str())),
            number(status.map(i64::from)),
            number(Some(pending.first_at.as_millis())),
            number(completed.map(|completed| completed.at.as_millis())),
            figure("total_us", total_us.map(|micros| micros / 1_000))?,
            figure("overhead_pre_us", pre_us)?,
            figure("overhead_post_us", self.stats.map(|stats| stats.overhead_post_us))?,
            figure("ttft_us", self.stats.and_then(|stats| stats.ttft_us))?,
        ])
    }

    fn total_us(&self) -> Option<u64> {
        let completed = self.pending.completed.as_ref();
        self.stats.map_or_else(
            || completed.map(|completed| completed.at.micros_since(self.pending.first_at)),
            |stats| Some(stats.total_us),
        )
    }

    /// Milliseconds of the whole request; 0 while it runs.
    pub(crate) fn total_ms(&self) -> i64 {
        self.total_us().map_or(0, |micros| i64::try_from(micros / 1_000).unwrap_or(i64::MAX))
    }

    /// Tokens by class.
    pub(crate) fn usage(&self) -> [Option<u64>; 6] {
        let over = self.pending.completed.is_some();
        let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = self
            .pending
            .response
            .as_ref()
            .filter(|_| over)
            .map(|response| response.usage)
            .unwrap_or_default();
        [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning]
    }

    fn tokens(&self) -> Result<[ValueRef<'_>; 6], StepError> {
        let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning] = self.usage();
        Ok([
            figure("input_tokens", input)?,
            figure("cache_read_tokens", cache_read)?,
            figure("cache_write_5m_tokens", cache_write_5m)?,
            figure("cache_write_1h_tokens", cache_write_1h)?,
            figure("output_tokens", output)?,
            figure("reasoning_tokens", reasoning)?,
        ])
    }

    /// The sentence about what failed.
    pub(crate) fn error(&self) -> Option<&str> {
        let message = self.pending.completed.as_ref().and_then(|completed| completed.message.as_deref());
        message.or(self.pending.mishaps.last().map(|mishap| mishap.message.as_str()))
    }

    /// What came of it.
    fn outcome(&self) -> [ValueRef<'_>; 6] {
        let response = self.pending.response.as_deref();
        let completed = self.pending.completed.as_ref();
        let mishap = self.pending.mishaps.last();
        let kind = completed.and_then(|completed| completed.error).or(mishap.map(|mishap| mishap.kind));
        [
            number(Some(i64::try_from(self.pending.attempts.len()).unwrap_or(i64::MAX))),
            number(response.map(|response| i64::from(response.tool_calls))),
            text(response.and_then(|response| response.stop).map(|stop| stop.as_str())),
            text(response.and_then(|response| response.stop_raw.as_deref())),
            text(kind.map(|kind| kind.as_str())),
            text(self.error()),
        ]
    }

    /// What went over the wire.
    fn wire(&self) -> Result<[ValueRef<'_>; 9], StepError> {
        let pending = self.pending;
        let read = pending.read.as_deref();
        let over = pending.completed.is_some();
        let response_bytes = self.stats.map_or(pending.answer.length(), |stats| stats.response_bytes);
        // An answer that was too large to be held whole says so where other losses say their cause.
        let lost = pending.lost.filter(|_| over);
        let cut = pending.is_cut().then_some("body_limit");
        let cause = lost.as_ref().map(|lost| lost.cause.as_str()).or(cut);
        let encoding = pending.response.as_ref().and_then(|response| response.content_encoding.as_deref());
        Ok([
            text(read.and_then(|read| read.problem.as_deref())),
            text(read.and_then(|read| read.content_encoding.as_deref())),
            text(encoding),
            figure("request_bytes", pending.started.as_ref().map(|_| pending.body_length))?,
            figure("response_bytes", over.then_some(response_bytes))?,
            bytes(self.answer_hash.as_ref().map(|hash| &hash.as_bytes()[..])),
            figure("lost_frames", lost.map(|lost| lost.frames))?,
            figure("lost_bytes", lost.map(|lost| lost.bytes))?,
            text(cause),
        ])
    }

    /// How the answer flowed.
    fn flow(&self) -> Result<[ValueRef<'_>; 7], StepError> {
        let pending = self.pending;
        let response = pending.response.as_deref();
        let has_response = pending.head.is_some() || response.is_some() || pending.answer.length() > 0;
        let stats = self.stats;
        Ok([
            truth(pending.completed.as_ref().map(|_| has_response)),
            text(response.and_then(|response| response.provider_response_id.as_deref())),
            text(self.attempt_list.as_deref()),
            figure("frames", stats.map(|stats| stats.frames))?,
            figure("gap_p50_us", stats.and_then(|stats| stats.gap_p50_us))?,
            figure("gap_p95_us", stats.and_then(|stats| stats.gap_p95_us))?,
            figure("gap_p99_us", stats.and_then(|stats| stats.gap_p99_us))?,
        ])
    }

    /// Where the bytes are.
    fn bytes(&self) -> [ValueRef<'_>; 6] {
        let kept = &self.kept;
        [
            bytes(kept.body.as_deref()),
            bytes(kept.decoded.as_deref()),
            number(kept.content),
            bytes(kept.sections.as_deref()),
            number(kept.answer),
            ValueRef::Null,
        ]
    }

    /// The provider's form of a translated request.
    fn provider(&self) -> [ValueRef<'_>; 5] {
        let (provider, kept) = (self.pending.provider.as_ref(), &self.kept);
        [
            text(provider.map(|provider| provider.request.dialect.as_str())),
            text(self.warnings.as_deref()),
            number(kept.provider_head),
            bytes(kept.provider_body.as_deref()),
            number(kept.provider_answer),
        ]
    }
}

/// What stands among the warnings when the client got figures that nobody counted.
const ESTIMATED: (&str, &str, bool) =
    ("usage", "the provider told no figures; those that the client got are an estimate", false);

/// Warnings as the column has them; nothing when there are none.
fn warnings(warnings: &[TranslationWarning], is_estimated: bool) -> Option<String> {
    let list: Vec<(&str, &str, bool)> = warnings
        .iter()
        .map(|warning| (warning.path.as_str(), warning.what.as_str(), warning.loses_meaning))
        .chain(is_estimated.then_some(ESTIMATED))
        .collect();
    (!list.is_empty()).then(|| serde_json::to_string(&list).expect("plain data is JSON"))
}

/// An attempt as `attempt_list` has it: an array in the order of the columns of the view.
#[derive(Serialize)]
struct AttemptColumns<'attempt>(
    u32,
    Option<&'attempt str>,
    Option<&'attempt str>,
    Option<u16>,
    Option<&'static str>,
    Option<i64>,
    Option<i64>,
    Option<u64>,
    Option<&'static str>,
    Option<&'attempt str>,
    Option<u64>,
    Option<i64>,
);

fn attempt_list(pending: &Pending, bodies: &[(u32, i64)]) -> Result<Option<String>, StepError> {
    if pending.attempts.is_empty() {
        return Ok(None);
    }
    for (_, outcome) in pending.attempts.values().filter_map(|attempt| attempt.finished.as_ref()) {
        figure("latency_us", Some(outcome.latency_us))?;
        figure("retry_after_ms", outcome.retry_after_ms)?;
    }
    let list: Vec<AttemptColumns<'_>> = pending
        .attempts
        .iter()
        .map(|(ordinal, attempt)| {
            let started = attempt.started.as_ref();
            let finished = attempt.finished.as_ref();
            let outcome = finished.map(|(_, outcome)| outcome);
            AttemptColumns(
                *ordinal,
                started.map(|(_, started)| started.provider.as_str()),
                started.and_then(|(_, started)| started.model.as_deref()),
                outcome.and_then(|outcome| outcome.status),
                started.map(|(_, started)| started.reason.as_str()),
                started.map(|(at, _)| at.as_millis()),
                finished.map(|(at, _)| at.as_millis()),
                outcome.map(|outcome| outcome.latency_us / 1_000),
                outcome.and_then(|outcome| outcome.failure).map(|kind| kind.as_str()),
                outcome.and_then(|outcome| outcome.message.as_deref()),
                outcome.and_then(|outcome| outcome.retry_after_ms),
                bodies.iter().find(|(of, _)| of == ordinal).map(|(_, blob)| *blob),
            )
        })
        .collect();
    Ok(Some(serde_json::to_string(&list).expect("plain data is JSON")))
}
