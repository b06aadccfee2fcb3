//! The last events of a request.

use std::sync::Arc;

use bytes::Bytes;
use lunaroute_core::{Answer, Ending, Outcome, RequestId, Usage};

use super::figures::Counters;
use super::note::{Close, Lost};
use super::outlet::Outlet;
use super::reply::Reply;
use super::request::OpenRequest;
use super::settle::{Told, Verdict, settle};
use crate::event::{EventKind, ResponseRead, Stats};

/// Longest preview of an answer, in characters.
const PREVIEW: usize = 1_000;

impl OpenRequest {
    /// Writes the end of the request, whatever is still held included, and says how it ended. The body must have been
    /// read before.
    pub(crate) fn close(
        mut self,
        outlet: &mut Outlet,
        offset_us: u64,
        close: &Close,
        counters: &Counters,
    ) -> Outcome {
        for reply in [&mut self.reply, &mut self.provider_reply].into_iter().flatten() {
            reply.finish(counters, offset_us);
        }
        self.write_stretch(counters, outlet);
        if let Some(lost) = self.provider_reply.as_deref().and_then(Reply::too_long) {
            // The client's form of it is what counts as lost or kept.
            self.tell_loss(outlet, offset_us, &Lost { frames: 0, ..lost });
        }
        let too_long = self.reply.as_deref().and_then(Reply::too_long);
        let losses = [too_long, close.lost];
        losses.iter().flatten().for_each(|lost| self.tell_loss(outlet, offset_us, lost));
        let mut answer =
            self.reply.as_mut().map(|reply| std::mem::take(&mut reply.answer)).unwrap_or_default();
        let mut is_estimated = false;
        if let Some(provider) = &mut self.provider_reply {
            let theirs = std::mem::take(&mut provider.answer);
            is_estimated = says_more(&answer.usage, &theirs.usage);
            told_by_provider(&mut answer, theirs);
        }
        let verdict = self.judge(&answer, close);
        if self.reply.is_some() {
            self.write_answer(outlet, offset_us, &answer, is_estimated);
        }
        let stats = self.stats(offset_us, &losses);
        let first_token_us = stats.ttft_us;
        self.emit(outlet, offset_us, EventKind::Stats(stats));
        if let Some(error) = verdict.error {
            let message = verdict.message.clone().unwrap_or_default();
            self.emit(outlet, offset_us, EventKind::Error { error, message });
        }
        let (ending, error) = (verdict.ending, verdict.error);
        let completed = EventKind::Completed { ending, status: self.status, error, message: verdict.message };
        self.emit(outlet, offset_us, completed);
        Outcome {
            request: self.id,
            session: self.session.clone(),
            dialect: self.exchange.dialect,
            operation: self.exchange.operation,
            provider: self.provider,
            model: self.model,
            streamed: self.reply.as_ref().is_some_and(|reply| reply.is_event_stream),
            ending,
            status: self.status,
            failure: error,
            usage: answer.usage,
            stop: answer.stop.as_ref().map(|(reason, _)| *reason),
            tool_calls: u32::try_from(answer.tool_calls.len()).unwrap_or(u32::MAX),
            attempts: self.attempts,
            total_us: offset_us,
            first_token_us,
        }
    }

    fn tell_loss(&mut self, outlet: &mut Outlet, offset_us: u64, lost: &Lost) {
        let gap = EventKind::Gap { lost_frames: lost.frames, lost_bytes: lost.bytes, cause: lost.cause };
        self.emit_with(outlet, offset_us, gap, Bytes::copy_from_slice(lost.blake3.as_bytes()));
    }

    fn judge(&self, answer: &Answer, close: &Close) -> Verdict {
        let judgeable_stream = self.exchange.operation.is_generation()
            && close.lost.is_none()
            && self.reply.as_ref().is_some_and(|reply| reply.is_event_stream && reply.was_readable());
        let verdict = settle(&Told {
            ending: close.ending,
            failure: close.failure.as_ref(),
            status: self.status,
            answer,
            judgeable_stream,
        });
        if verdict.ending == Ending::Interrupted && verdict.message.is_none() {
            let message = "the gateway stopped while the request was under way".to_owned();
            return Verdict { message: Some(message), ..verdict };
        }
        verdict
    }

    fn write_answer(&mut self, outlet: &mut Outlet, offset_us: u64, answer: &Answer, is_estimated: bool) {
        let encoding = self.reply.as_ref().and_then(|reply| reply.content_encoding.clone());
        for kind in answer_events(self.id, answer, encoding, is_estimated) {
            self.emit(outlet, offset_us, kind);
        }
    }

    fn stats(&self, offset_us: u64, losses: &[Option<Lost>]) -> Stats {
        let lost = |count: fn(&Lost) -> u64| losses.iter().flatten().map(count).sum::<u64>();
        let mut stats = Stats {
            request_bytes: self.request_bytes,
            response_blake3: blake3::Hasher::new().finalize().to_hex().to_string(),
            total_us: offset_us,
            overhead_pre_us: self.overhead_pre_us,
            ..Stats::default()
        };
        if let Some(reply) = &self.reply {
            // Only a model's stream says when its first word came; of any other answer the first bytes are the first piece.
            let words = reply.is_event_stream && self.exchange.operation.is_generation();
            let words = words && self.status.is_some_and(|status| status < 400);
            stats.response_bytes = reply.bytes + lost(|lost| lost.bytes);
            stats.response_blake3 = reply.hash().to_hex().to_string();
            stats.frames = reply.frames + lost(|lost| lost.frames);
            stats.ttft_us = if words { reply.first_content_us } else { reply.first_frame_us };
            stats.gap_p50_us = reply.gap_at(0.50);
            stats.gap_p95_us = reply.gap_at(0.95);
            stats.gap_p99_us = reply.gap_at(0.99);
            stats.overhead_post_us = reply.last_frame_us.map_or(0, |last| offset_us.saturating_sub(last));
        }
        stats
    }
}

/// Of a translated answer the provider's own figures and words count: what the client got was made of them, and its dialect
/// may have no place for all. Ids of calls stay the client's, for it brings their results back by them.
fn told_by_provider(answer: &mut Answer, provider: Answer) {
    answer.usage = provider.usage;
    answer.id = provider.id.or(answer.id.take());
    answer.model = provider.model.or(answer.model.take());
    if let (Some((_, word)), Some((_, theirs))) = (&mut answer.stop, provider.stop) {
        *word = theirs;
    }
}

/// Whether a client was told figures that its provider did not tell: they are an estimate.
fn says_more(told: &Usage, theirs: &Usage) -> bool {
    let input = told.total_input().is_some() && theirs.total_input().is_none();
    input || told.output.is_some() && theirs.output.is_none()
}

/// What an answer said in all, as events: its tool calls, then the answer itself.
pub(crate) fn answer_events(
    request: RequestId,
    answer: &Answer,
    content_encoding: Option<String>,
    usage_estimated: bool,
) -> Vec<EventKind> {
    let mut events: Vec<EventKind> = answer
        .tool_calls
        .iter()
        .enumerate()
        .map(|(number, call)| EventKind::ToolCall {
            id: if call.id.is_empty() { format!("{request}-{number}") } else { call.id.clone() },
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        })
        .collect();
    let preview: String = answer.text.chars().take(PREVIEW).collect();
    events.push(EventKind::Response(Arc::new(ResponseRead {
        provider_response_id: answer.id.clone(),
        model: answer.model.clone(),
        text_preview: (!preview.is_empty()).then_some(preview),
        usage: answer.usage,
        stop: answer.stop.as_ref().map(|(reason, _)| *reason),
        stop_raw: answer.stop.as_ref().map(|(_, raw)| raw.clone()),
        tool_calls: u32::try_from(answer.tool_calls.len()).unwrap_or(u32::MAX),
        content_encoding,
        ended: answer.ended,
        usage_estimated,
    })));
    events
}
