//! What happened, as bytes: a tag, then the fields in the order of the type.

use std::sync::Arc;

use lunaroute_core::{AttemptOutcome, FailureKind, MessageSpan, ToolResultSpan};

use super::DecodeError;
use super::delta;
use super::wire::{In, Out};
use crate::event::{
    AttemptStarted, EventKind, GapCause, ProviderRequest, Repeats, RequestRead, ResponseRead, Started, Stats,
    TranslationWarning,
};

/// The tags of [`EventKind`], in its order. One that is taken is never given to anything else.
mod tag {
    pub(super) const STARTED: u8 = 0;
    pub(super) const REQUEST: u8 = 1;
    pub(super) const ATTEMPT_STARTED: u8 = 2;
    pub(super) const ATTEMPT_FINISHED: u8 = 3;
    pub(super) const RESPONSE_STARTED: u8 = 4;
    pub(super) const STREAM_DELTA: u8 = 5;
    pub(super) const TOOL_CALL: u8 = 6;
    pub(super) const RESPONSE: u8 = 7;
    pub(super) const STATS: u8 = 8;
    pub(super) const ERROR: u8 = 9;
    pub(super) const GAP: u8 = 10;
    pub(super) const COMPLETED: u8 = 11;
    pub(super) const PROVIDER_REQUEST: u8 = 12;
    pub(super) const PROVIDER_RESPONSE: u8 = 13;
    pub(super) const PROVIDER_DELTA: u8 = 14;
    /// A response whose client was told estimated figures.
    pub(super) const RESPONSE_ESTIMATED: u8 = 15;
}

pub(super) fn put(out: &mut Out, kind: &EventKind) {
    match kind {
        EventKind::Started(started) => put_started(out, started),
        EventKind::Request(read) => put_request(out, read),
        EventKind::AttemptStarted(attempt) => {
            put_tagged(out, tag::ATTEMPT_STARTED, attempt.ordinal);
            out.text(&attempt.provider);
            out.maybe_text(attempt.model.as_deref());
            out.text(attempt.reason.as_str());
        }
        EventKind::AttemptFinished { ordinal, outcome } => {
            put_tagged(out, tag::ATTEMPT_FINISHED, *ordinal);
            out.maybe_number(outcome.status.map(u64::from));
            out.number(outcome.latency_us);
            put_failure(out, outcome.failure);
            out.maybe_text(outcome.message.as_deref());
            out.maybe_number(outcome.retry_after_ms);
        }
        EventKind::ResponseStarted { status, headers } => {
            put_head(out, tag::RESPONSE_STARTED, *status, headers);
        }
        EventKind::StreamDelta { frames, first_us, last_us, parts } => {
            put_tagged(out, tag::STREAM_DELTA, *frames);
            out.number(*first_us);
            out.number(*last_us);
            out.length(parts.len());
            parts.iter().for_each(|part| delta::put(out, part));
        }
        EventKind::ProviderRequest(request) => put_provider_request(out, request),
        EventKind::ProviderResponse { status, headers } => {
            put_head(out, tag::PROVIDER_RESPONSE, *status, headers);
        }
        EventKind::ProviderDelta { frames } => put_tagged(out, tag::PROVIDER_DELTA, *frames),
        EventKind::ToolCall { id, name, arguments } => {
            out.byte(tag::TOOL_CALL);
            [id, name, arguments].into_iter().for_each(|text| out.text(text));
        }
        EventKind::Response(read) => put_response(out, read),
        EventKind::Stats(stats) => put_stats(out, stats),
        EventKind::Error { error, message } => {
            out.byte(tag::ERROR);
            out.text(error.as_str());
            out.text(message);
        }
        EventKind::Gap { lost_frames, lost_bytes, cause } => {
            out.byte(tag::GAP);
            out.number(*lost_frames);
            out.number(*lost_bytes);
            out.text(cause.as_str());
        }
        EventKind::Completed { ending, status, error, message } => {
            out.byte(tag::COMPLETED);
            out.text(ending.as_str());
            out.maybe_number(status.map(u64::from));
            put_failure(out, *error);
            out.maybe_text(message.as_deref());
        }
    }
}

pub(super) fn take(input: &mut In<'_>) -> Result<EventKind, DecodeError> {
    Ok(match input.byte("kind")? {
        tag::STARTED => EventKind::Started(Arc::new(take_started(input)?)),
        tag::REQUEST => EventKind::Request(Arc::new(take_request(input)?)),
        tag::ATTEMPT_STARTED => EventKind::AttemptStarted(Arc::new(AttemptStarted {
            ordinal: input.small("attempt")?,
            provider: input.text("provider")?,
            model: input.maybe_text("model")?,
            reason: input.word("reason")?,
        })),
        tag::ATTEMPT_FINISHED => EventKind::AttemptFinished {
            ordinal: input.small("attempt")?,
            outcome: AttemptOutcome {
                status: input.maybe("status", In::small)?,
                latency_us: input.number("latency")?,
                failure: input.maybe("failure", In::word)?,
                message: input.maybe_text("message")?,
                retry_after_ms: input.maybe("pause", In::number)?,
            },
        },
        tag::RESPONSE_STARTED => EventKind::ResponseStarted {
            status: input.small("status")?,
            headers: input.pairs("headers")?.into(),
        },
        tag::STREAM_DELTA => EventKind::StreamDelta {
            frames: input.small("frames")?,
            first_us: input.number("first frame")?,
            last_us: input.number("last frame")?,
            parts: (0..input.count("parts")?).map(|_| delta::take(input)).collect::<Result<_, _>>()?,
        },
        tag::TOOL_CALL => EventKind::ToolCall {
            id: input.text("id of a call")?,
            name: input.text("tool")?,
            arguments: input.text("arguments")?,
        },
        tag::RESPONSE => EventKind::Response(Arc::new(take_response(input)?)),
        tag::RESPONSE_ESTIMATED => {
            EventKind::Response(Arc::new(ResponseRead { usage_estimated: true, ..take_response(input)? }))
        }
        tag::STATS => EventKind::Stats(take_stats(input)?),
        tag::ERROR => EventKind::Error { error: input.word("error")?, message: input.text("message")? },
        tag::GAP => EventKind::Gap {
            lost_frames: input.number("lost frames")?,
            lost_bytes: input.number("lost bytes")?,
            cause: input.word::<GapCause>("cause")?,
        },
        tag::COMPLETED => EventKind::Completed {
            ending: input.word("ending")?,
            status: input.maybe("status", In::small)?,
            error: input.maybe("error", In::word)?,
            message: input.maybe_text("message")?,
        },
        tag::PROVIDER_REQUEST => EventKind::ProviderRequest(Box::new(take_provider_request(input)?)),
        tag::PROVIDER_RESPONSE => {
            EventKind::ProviderResponse { status: input.small("status")?, headers: input.pairs("headers")? }
        }
        tag::PROVIDER_DELTA => EventKind::ProviderDelta { frames: input.small("frames")? },
        _ => return Err(DecodeError::Invalid { part: "kind" }),
    })
}

/// A tag and the number behind it.
fn put_tagged(out: &mut Out, tag: u8, number: u32) {
    out.byte(tag);
    out.number(number.into());
}

fn put_head(out: &mut Out, tag: u8, status: u16, headers: &[(String, String)]) {
    put_tagged(out, tag, status.into());
    out.pairs(headers);
}

fn put_failure(out: &mut Out, failure: Option<FailureKind>) {
    out.maybe(failure, |out, failure| out.text(failure.as_str()));
}

fn put_started(out: &mut Out, started: &Started) {
    out.byte(tag::STARTED);
    out.text(&started.client);
    out.maybe_text(started.external_id.as_deref());
    out.text(&started.session_source);
    out.text(started.dialect.as_str());
    out.text(started.operation.as_str());
    [&started.listener, &started.method, &started.path].into_iter().for_each(|text| out.text(text));
    out.pairs(&started.headers);
    out.maybe_text(started.client_ip.as_deref());
    out.maybe_text(started.user_agent.as_deref());
    out.number(started.overhead_pre_us);
    out.maybe(started.repeats, |out, repeats| {
        out.request(repeats.of);
        out.number(repeats.prefix);
        out.number(repeats.suffix);
    });
}

fn take_started(input: &mut In<'_>) -> Result<Started, DecodeError> {
    Ok(Started {
        client: input.text("client")?,
        external_id: input.maybe_text("external id")?,
        session_source: input.text("session source")?,
        dialect: input.word("dialect")?,
        operation: input.word("operation")?,
        listener: input.text("listener")?,
        method: input.text("method")?,
        path: input.text("path")?,
        headers: input.pairs("headers")?,
        client_ip: input.maybe_text("address")?,
        user_agent: input.maybe_text("user agent")?,
        overhead_pre_us: input.number("overhead")?,
        repeats: input.maybe("repeats", |input, part| {
            let of = input.request(part)?;
            Ok(Repeats { of, prefix: input.number(part)?, suffix: input.number(part)? })
        })?,
    })
}

fn put_request(out: &mut Out, read: &RequestRead) {
    out.byte(tag::REQUEST);
    out.maybe_text(read.model.as_deref());
    out.flag(read.stream);
    out.maybe_text(read.content_encoding.as_deref());
    put_messages(out, &read.messages);
    out.length(read.tool_results.len());
    let mut reached = 0;
    for result in &read.tool_results {
        out.text(&result.call_id);
        out.maybe(result.is_error, Out::flag);
        put_range(out, &result.range, &mut reached);
    }
    out.maybe_text(read.preview.as_deref());
    out.maybe_text(read.problem.as_deref());
}

fn take_request(input: &mut In<'_>) -> Result<RequestRead, DecodeError> {
    let (model, stream) = (input.maybe_text("model")?, input.flag("stream")?);
    let content_encoding = input.maybe_text("content coding")?;
    let messages = take_messages(input)?;
    let mut reached = 0;
    let tool_results = (0..input.count("tool results")?)
        .map(|_| {
            let call_id = input.text("id of a call")?;
            let is_error = input.maybe("tool error", In::flag)?;
            Ok(ToolResultSpan { call_id, is_error, range: take_range(input, &mut reached)? })
        })
        .collect::<Result<_, DecodeError>>()?;
    let (preview, problem) = (input.maybe_text("preview")?, input.maybe_text("problem")?);
    Ok(RequestRead { model, stream, content_encoding, messages, tool_results, preview, problem })
}

fn put_messages(out: &mut Out, messages: &[MessageSpan]) {
    out.length(messages.len());
    let mut reached = 0;
    for message in messages {
        out.text(message.role.as_str());
        put_range(out, &message.range, &mut reached);
    }
}

fn take_messages(input: &mut In<'_>) -> Result<Vec<MessageSpan>, DecodeError> {
    let mut reached = 0;
    (0..input.count("messages")?)
        .map(|_| Ok(MessageSpan { role: input.word("role")?, range: take_range(input, &mut reached)? }))
        .collect()
}

fn put_provider_request(out: &mut Out, request: &ProviderRequest) {
    out.byte(tag::PROVIDER_REQUEST);
    out.number(request.ordinal.into());
    out.text(request.dialect.as_str());
    out.text(&request.path);
    out.pairs(&request.headers);
    put_messages(out, &request.messages);
    out.length(request.warnings.len());
    for TranslationWarning { path, what, loses_meaning } in &request.warnings {
        out.text(path);
        out.text(what);
        out.flag(*loses_meaning);
    }
}

fn take_provider_request(input: &mut In<'_>) -> Result<ProviderRequest, DecodeError> {
    Ok(ProviderRequest {
        ordinal: input.small("attempt")?,
        dialect: input.word("dialect")?,
        path: input.text("path")?,
        headers: input.pairs("headers")?,
        messages: take_messages(input)?,
        warnings: (0..input.count("warnings")?)
            .map(|_| {
                let (path, what) = (input.text("warning")?, input.text("warning")?);
                Ok(TranslationWarning { path, what, loses_meaning: input.flag("warning")? })
            })
            .collect::<Result<_, DecodeError>>()?,
    })
}

/// Spans mostly follow each other closely, so their distance is short.
fn put_range(out: &mut Out, range: &std::ops::Range<usize>, reached: &mut usize) {
    out.signed((range.start as i64).wrapping_sub(*reached as i64));
    out.signed((range.end as i64).wrapping_sub(range.start as i64));
    *reached = range.end;
}

fn take_range(input: &mut In<'_>, reached: &mut usize) -> Result<std::ops::Range<usize>, DecodeError> {
    let place = |from: usize, distance: i64| {
        let place = (from as i64).wrapping_add(distance);
        usize::try_from(place).map_err(|_| DecodeError::Invalid { part: "span" })
    };
    let start = place(*reached, input.signed("span")?)?;
    let end = place(start, input.signed("span")?)?;
    *reached = end;
    Ok(start..end)
}

fn put_response(out: &mut Out, read: &ResponseRead) {
    out.byte(if read.usage_estimated { tag::RESPONSE_ESTIMATED } else { tag::RESPONSE });
    out.maybe_text(read.provider_response_id.as_deref());
    out.maybe_text(read.model.as_deref());
    out.maybe_text(read.text_preview.as_deref());
    out.usage(&read.usage);
    out.maybe(read.stop, |out, stop| out.text(stop.as_str()));
    out.maybe_text(read.stop_raw.as_deref());
    out.number(read.tool_calls.into());
    out.maybe_text(read.content_encoding.as_deref());
    out.flag(read.ended);
}

fn take_response(input: &mut In<'_>) -> Result<ResponseRead, DecodeError> {
    Ok(ResponseRead {
        provider_response_id: input.maybe_text("id of the answer")?,
        model: input.maybe_text("model")?,
        text_preview: input.maybe_text("preview")?,
        usage: input.usage("tokens")?,
        stop: input.maybe("stop", In::word)?,
        stop_raw: input.maybe_text("stop")?,
        tool_calls: input.small("tool calls")?,
        content_encoding: input.maybe_text("content coding")?,
        ended: input.flag("end")?,
        usage_estimated: false,
    })
}

fn put_stats(out: &mut Out, stats: &Stats) {
    out.byte(tag::STATS);
    out.number(stats.request_bytes);
    out.number(stats.response_bytes);
    out.hash(&stats.response_blake3);
    out.number(stats.frames);
    let times = [stats.ttft_us, stats.gap_p50_us, stats.gap_p95_us, stats.gap_p99_us];
    times.into_iter().for_each(|time| out.maybe_number(time));
    [stats.total_us, stats.overhead_pre_us, stats.overhead_post_us]
        .into_iter()
        .for_each(|time| out.number(time));
}

fn take_stats(input: &mut In<'_>) -> Result<Stats, DecodeError> {
    Ok(Stats {
        request_bytes: input.number("request bytes")?,
        response_bytes: input.number("response bytes")?,
        response_blake3: input.hash("hash")?,
        frames: input.number("frames")?,
        ttft_us: input.maybe("time", In::number)?,
        gap_p50_us: input.maybe("time", In::number)?,
        gap_p95_us: input.maybe("time", In::number)?,
        gap_p99_us: input.maybe("time", In::number)?,
        total_us: input.number("time")?,
        overhead_pre_us: input.number("time")?,
        overhead_post_us: input.number("time")?,
    })
}
