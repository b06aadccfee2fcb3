//! Events with anything in them that their types allow.

use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{
    AttemptOutcome, AttemptReason, Citation, Delta, Dialect, Ending, FailureKind, MessageSpan, Operation,
    Role, StopReason, ToolResultSpan, Usage,
};
use lunaroute_session::event::{
    AttemptStarted, EventKind, GapCause, ProviderRequest, RequestRead, ResponseRead, Started, Stats,
    TranslationWarning,
};
use proptest::prelude::*;

/// Text of all sorts, short.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ -~]{0,12}",
        prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        "[\\x00-\\x1f\"\\\\/\u{e4}\u{2028}]{0,12}",
    ]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn usage() -> impl Strategy<Value = Usage> {
    prop::array::uniform6(prop::option::of(any::<u64>())).prop_map(
        |[input, cache_read, cache_write_5m, cache_write_1h, output, reasoning]| Usage {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
        },
    )
}

fn part() -> impl Strategy<Value = Delta> {
    let reasons = [StopReason::EndTurn, StopReason::Pause, StopReason::Other, StopReason::ToolUse];
    prop_oneof![
        (maybe(), maybe()).prop_map(|(id, model)| Delta::Start { id, model }),
        (any::<u32>(), text()).prop_map(|(index, text)| Delta::Text { index, text }),
        (any::<u32>(), text()).prop_map(|(index, text)| Delta::Reasoning { index, text }),
        text().prop_map(|text| Delta::Refusal { text }),
        (any::<u32>(), text(), text()).prop_map(|(index, id, name)| Delta::ToolCallStart { index, id, name }),
        (any::<u32>(), text()).prop_map(|(index, fragment)| Delta::ToolCallArguments { index, fragment }),
        usage().prop_map(Delta::Usage),
        (prop::sample::select(reasons.to_vec()), text())
            .prop_map(|(reason, raw)| Delta::Stop { reason, raw }),
        (text(), proptest::option::of(text()), text(), any::<Option<u64>>()).prop_map(
            |(kind, code, message, retry_after_ms)| Delta::Error { kind, code, message, retry_after_ms }
        ),
        Just(Delta::End),
        (any::<u32>(), text(), text()).prop_map(|(index, id, name)| Delta::CustomCallStart {
            index,
            id,
            name
        }),
        (any::<u32>(), prop::sample::select(Dialect::ALL.to_vec()), text(), maybe(), any::<bool>()).prop_map(
            |(index, maker, data, id, is_redacted)| {
                let seal = Seal { maker, provider: None, data, id };
                Delta::Seal { index, seal, is_redacted }
            }
        ),
        (any::<u32>(), text(), maybe(), any::<Option<(u64, u64)>>()).prop_map(
            |(index, url, title, range)| { Delta::Cite { index, citation: Citation { url, title, range } } }
        ),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((text(), text()), 0..4)
}

fn started() -> impl Strategy<Value = Started> {
    let heads =
        (text(), maybe(), text(), prop::sample::select(Dialect::ALL.to_vec()), text(), text(), text());
    (heads, headers(), maybe(), maybe(), any::<u64>()).prop_map(
        |(
            (client, external_id, session_source, dialect, listener, method, path),
            headers,
            client_ip,
            user_agent,
            overhead_pre_us,
        )| {
            Started {
                client,
                external_id,
                session_source,
                dialect,
                operation: Operation::Chat,
                listener,
                method,
                path,
                headers,
                client_ip,
                user_agent,
                overhead_pre_us,
                repeats: None,
            }
        },
    )
}

fn request_read() -> impl Strategy<Value = RequestRead> {
    let roles = [Role::System, Role::User, Role::Assistant, Role::Tool];
    let span = (prop::sample::select(roles.to_vec()), any::<usize>(), any::<usize>())
        .prop_map(|(role, start, end)| MessageSpan { role, range: start..end });
    let result = (text(), prop::option::of(any::<bool>()), any::<usize>(), any::<usize>())
        .prop_map(|(call_id, is_error, start, end)| ToolResultSpan { call_id, is_error, range: start..end });
    let spans = (prop::collection::vec(span, 0..4), prop::collection::vec(result, 0..3));
    (maybe(), any::<bool>(), maybe(), spans, maybe(), maybe()).prop_map(
        |(model, stream, content_encoding, (messages, tool_results), preview, problem)| RequestRead {
            model,
            stream,
            content_encoding,
            messages,
            tool_results,
            preview,
            problem,
        },
    )
}

fn provider_request() -> impl Strategy<Value = EventKind> {
    let span = (any::<usize>(), any::<usize>())
        .prop_map(|(start, end)| MessageSpan { role: Role::User, range: start..end });
    let warning = (text(), text(), any::<bool>())
        .prop_map(|(path, what, loses_meaning)| TranslationWarning { path, what, loses_meaning });
    let dialects = prop::sample::select(Dialect::ALL.to_vec());
    let lists = (prop::collection::vec(span, 0..4), prop::collection::vec(warning, 0..3));
    (any::<u32>(), dialects, text(), headers(), lists).prop_map(
        |(ordinal, dialect, path, headers, (messages, warnings))| {
            let request = ProviderRequest { ordinal, dialect, path, headers, messages, warnings };
            EventKind::ProviderRequest(Box::new(request))
        },
    )
}

fn response_read() -> impl Strategy<Value = ResponseRead> {
    let stop = prop::option::of(Just(StopReason::Length));
    (maybe(), maybe(), maybe(), usage(), stop, maybe(), any::<u32>(), maybe(), any::<(bool, bool)>())
        .prop_map(
            |(
                provider_response_id,
                model,
                text_preview,
                usage,
                stop,
                stop_raw,
                tool_calls,
                content_encoding,
                (ended, usage_estimated),
            )| {
                ResponseRead {
                    provider_response_id,
                    model,
                    text_preview,
                    usage,
                    stop,
                    stop_raw,
                    tool_calls,
                    content_encoding,
                    ended,
                    usage_estimated,
                }
            },
        )
}

fn stats() -> impl Strategy<Value = Stats> {
    let figures = prop::array::uniform6(any::<u64>());
    (figures, text(), prop::array::uniform4(prop::option::of(any::<u64>()))).prop_map(
        |(
            [request_bytes, response_bytes, frames, total_us, overhead_pre_us, overhead_post_us],
            hash,
            [ttft_us, p50, p95, p99],
        )| {
            Stats {
                request_bytes,
                response_bytes,
                response_blake3: hash,
                frames,
                ttft_us,
                gap_p50_us: p50,
                gap_p95_us: p95,
                gap_p99_us: p99,
                total_us,
                overhead_pre_us,
                overhead_post_us,
            }
        },
    )
}

/// An event of any kind, with anything in it.
pub(crate) fn kind() -> impl Strategy<Value = EventKind> {
    let status = || prop::option::of(any::<u16>());
    let failure = || prop::option::of(Just(FailureKind::TooLarge));
    let outcome = (status(), any::<u64>(), failure(), maybe(), prop::option::of(any::<u64>())).prop_map(
        |(status, latency_us, failure, message, retry_after_ms)| AttemptOutcome {
            status,
            latency_us,
            failure,
            message,
            retry_after_ms,
        },
    );
    let attempt = (any::<u32>(), text(), maybe()).prop_map(|(ordinal, provider, model)| {
        EventKind::AttemptStarted(Arc::new(AttemptStarted {
            ordinal,
            provider,
            model,
            reason: AttemptReason::Fallback,
        }))
    });
    let delta = (any::<u32>(), any::<u64>(), any::<u64>(), prop::collection::vec(part(), 0..4));
    prop_oneof![
        4 => started().prop_map(|started| EventKind::Started(Arc::new(started))),
        1 => request_read().prop_map(|read| EventKind::Request(Arc::new(read))),
        1 => attempt,
        1 => (any::<u32>(), outcome).prop_map(|(ordinal, outcome)| EventKind::AttemptFinished { ordinal, outcome }),
        1 => (any::<u16>(), headers()).prop_map(|(status, headers)| EventKind::ResponseStarted { status, headers: headers.into() }),
        1 => delta.prop_map(|(frames, first_us, last_us, parts)| EventKind::StreamDelta { frames, first_us, last_us, parts }),
        1 => provider_request(),
        1 => (any::<u16>(), headers()).prop_map(|(status, headers)| EventKind::ProviderResponse { status, headers }),
        1 => any::<u32>().prop_map(|frames| EventKind::ProviderDelta { frames }),
        1 => (text(), text(), text()).prop_map(|(id, name, arguments)| EventKind::ToolCall { id, name, arguments }),
        1 => response_read().prop_map(|read| EventKind::Response(Arc::new(read))),
        1 => stats().prop_map(EventKind::Stats),
        1 => text().prop_map(|message| EventKind::Error { error: FailureKind::BadRequest, message }),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(lost_frames, lost_bytes)| EventKind::Gap {
            lost_frames,
            lost_bytes,
            cause: GapCause::QueueFull,
        }),
        1 => (status(), failure(), maybe()).prop_map(|(status, error, message)| EventKind::Completed {
            ending: Ending::Interrupted,
            status,
            error,
            message,
        }),
    ]
}
