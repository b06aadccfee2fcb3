//! What happened, field by field.
//!
//! Every struct is taken apart by all of its names, so that a field that is added and not written does not compile.
//! What has no value is left out. The names are those of serde's form of the events, which reads them back.

use std::ops::Range;
use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{AttemptOutcome, Citation, Delta, MessageSpan, ToolResultSpan, Usage};

use super::json::{self, Fields};
use super::started;
use crate::event::{
    AttemptStarted, EventKind, ProviderRequest, Repeats, RequestRead, ResponseRead, Started, Stats,
    TranslationWarning,
};

/// Appends `kind` and its fields. `before` is how the request before in the file began.
pub(super) fn append(kind: &EventKind, before: &mut Option<Arc<Started>>, output: &mut Vec<u8>) {
    let mut fields = Fields(output);
    match kind {
        EventKind::Started(started) => started::append(started, before, &mut fields),
        EventKind::Request(read) => request_fields(read, &mut fields),
        EventKind::AttemptStarted(attempt) => attempt_fields(attempt, &mut fields),
        EventKind::AttemptFinished { ordinal, outcome } => {
            fields.word("kind", "attempt_finished");
            fields.number("ordinal", *ordinal);
            outcome_field(outcome, &mut fields);
        }
        EventKind::ResponseStarted { status, headers } => {
            head_fields("response_started", *status, headers, &mut fields);
        }
        EventKind::StreamDelta { frames, first_us, last_us, parts } => {
            fields.word("kind", "stream_delta");
            fields.number("frames", *frames);
            fields.number("first_us", *first_us);
            fields.number("last_us", *last_us);
            fields.list("parts", parts, delta);
        }
        EventKind::ProviderRequest(request) => provider_request_fields(request, &mut fields),
        EventKind::ProviderResponse { status, headers } => {
            head_fields("provider_response", *status, headers, &mut fields);
        }
        EventKind::ProviderDelta { frames } => {
            fields.word("kind", "provider_delta");
            fields.number("frames", *frames);
        }
        EventKind::ToolCall { id, name, arguments } => {
            fields.word("kind", "tool_call");
            fields.text("id", id);
            fields.text("name", name);
            fields.text("arguments", arguments);
        }
        EventKind::Response(read) => response_fields(read, &mut fields),
        EventKind::Stats(stats) => stats_fields(stats, &mut fields),
        EventKind::Error { error, message } => {
            fields.word("kind", "error");
            fields.word("error", error.as_str());
            fields.text("message", message);
        }
        EventKind::Gap { lost_frames, lost_bytes, cause } => {
            fields.word("kind", "gap");
            fields.number("lost_frames", *lost_frames);
            fields.number("lost_bytes", *lost_bytes);
            fields.word("cause", cause.as_str());
        }
        EventKind::Completed { ending, status, error, message } => {
            fields.word("kind", "completed");
            fields.word("ending", ending.as_str());
            fields.optional_number("status", *status);
            fields.optional_word("error", error.map(|error| error.as_str()));
            fields.optional_text("message", message.as_deref());
        }
    }
}

fn head_fields(kind: &str, status: u16, headers: &[(String, String)], fields: &mut Fields<'_>) {
    fields.word("kind", kind);
    fields.number("status", status);
    headers_field(headers, fields);
}

/// How much of a body stands in an earlier one.
pub(super) fn repeats_field(name: &str, repeats: Repeats, fields: &mut Fields<'_>) {
    let Repeats { of, prefix, suffix } = repeats;
    fields.name(name);
    fields.0.extend_from_slice(b"{\"of\":");
    json::request(of, fields.0);
    fields.number("prefix", prefix);
    fields.number("suffix", suffix);
    fields.0.push(b'}');
}

fn request_fields(read: &RequestRead, fields: &mut Fields<'_>) {
    let RequestRead { model, stream, content_encoding, messages, tool_results, preview, problem } = read;
    fields.word("kind", "request");
    fields.optional_text("model", model.as_deref());
    fields.truth("stream", *stream);
    fields.optional_text("content_encoding", content_encoding.as_deref());
    messages_field(messages, fields);
    fields.list("tool_results", tool_results, |ToolResultSpan { call_id, is_error, range }, output| {
        output.push(b'[');
        json::text(call_id, output);
        output.push(b',');
        match is_error {
            Some(is_error) => json::truth(*is_error, output),
            None => output.extend_from_slice(b"null"),
        }
        span(range, output);
    });
    fields.optional_text("preview", preview.as_deref());
    fields.optional_text("problem", problem.as_deref());
}

/// As lists: an agent's history has hundreds of them in every request.
fn messages_field(messages: &[MessageSpan], fields: &mut Fields<'_>) {
    fields.list("messages", messages, |MessageSpan { role, range }, output| {
        output.push(b'[');
        json::word(role.as_str(), output);
        span(range, output);
    });
}

fn provider_request_fields(request: &ProviderRequest, fields: &mut Fields<'_>) {
    let ProviderRequest { ordinal, dialect, path, headers, messages, warnings } = request;
    fields.word("kind", "provider_request");
    fields.number("ordinal", *ordinal);
    fields.word("dialect", dialect.as_str());
    fields.text("path", path);
    headers_field(headers, fields);
    messages_field(messages, fields);
    if warnings.is_empty() {
        return;
    }
    fields.list("warnings", warnings, |TranslationWarning { path, what, loses_meaning }, output| {
        output.push(b'[');
        json::text(path, output);
        output.push(b',');
        json::text(what, output);
        output.push(b',');
        json::truth(*loses_meaning, output);
        output.push(b']');
    });
}

/// A range as the last element of a list.
fn span(range: &Range<usize>, output: &mut Vec<u8>) {
    output.extend_from_slice(b",[");
    json::number(range.start, output);
    output.push(b',');
    json::number(range.end, output);
    output.extend_from_slice(b"]]");
}

fn attempt_fields(attempt: &AttemptStarted, fields: &mut Fields<'_>) {
    let AttemptStarted { ordinal, provider, model, reason } = attempt;
    fields.word("kind", "attempt_started");
    fields.number("ordinal", *ordinal);
    fields.text("provider", provider);
    fields.optional_text("model", model.as_deref());
    fields.word("reason", reason.as_str());
}

fn outcome_field(outcome: &AttemptOutcome, fields: &mut Fields<'_>) {
    let AttemptOutcome { status, latency_us, failure, message, retry_after_ms } = outcome;
    fields.name("outcome");
    fields.0.extend_from_slice(b"{\"latency_us\":");
    json::number(*latency_us, fields.0);
    fields.optional_number("status", *status);
    fields.optional_word("failure", failure.map(|failure| failure.as_str()));
    fields.optional_text("message", message.as_deref());
    fields.optional_number("retry_after_ms", *retry_after_ms);
    fields.0.push(b'}');
}

pub(super) fn headers_field(headers: &[(String, String)], fields: &mut Fields<'_>) {
    fields.list("headers", headers, |(name, value), output| {
        output.push(b'[');
        json::text(name, output);
        output.push(b',');
        json::text(value, output);
        output.push(b']');
    });
}

fn delta(delta: &Delta, output: &mut Vec<u8>) {
    output.extend_from_slice(b"{\"type\":");
    let of_type = |name, output| json::word(name, output);
    match delta {
        Delta::Start { id, model } => {
            of_type("start", output);
            let mut fields = Fields(output);
            fields.optional_text("id", id.as_deref());
            fields.optional_text("model", model.as_deref());
        }
        Delta::Text { index, text } => {
            of_type("text", output);
            indexed(*index, "text", text, output);
        }
        Delta::Reasoning { index, text } => {
            of_type("reasoning", output);
            indexed(*index, "text", text, output);
        }
        Delta::Refusal { text } => {
            of_type("refusal", output);
            Fields(output).text("text", text);
        }
        Delta::ToolCallStart { index, id, name } => {
            of_type("tool_call_start", output);
            indexed(*index, "id", id, output);
            Fields(output).text("name", name);
        }
        Delta::ToolCallArguments { index, fragment } => {
            of_type("tool_call_arguments", output);
            indexed(*index, "fragment", fragment, output);
        }
        Delta::Usage(usage) => {
            of_type("usage", output);
            usage_fields(usage, &mut Fields(output));
        }
        Delta::Stop { reason, raw } => {
            of_type("stop", output);
            let mut fields = Fields(output);
            fields.word("reason", reason.as_str());
            fields.text("raw", raw);
        }
        Delta::Error { kind, code, message, retry_after_ms } => {
            of_type("error", output);
            let mut fields = Fields(output);
            fields.text("kind", kind);
            if let Some(code) = code {
                fields.text("code", code);
            }
            fields.text("message", message);
            fields.optional_number("retry_after_ms", *retry_after_ms);
        }
        Delta::End => of_type("end", output),
        Delta::CustomCallStart { index, id, name } => {
            of_type("custom_call_start", output);
            indexed(*index, "id", id, output);
            Fields(output).text("name", name);
        }
        Delta::Seal { index, seal, is_redacted } => {
            of_type("seal", output);
            Fields(output).number("index", *index);
            seal_field(seal, output);
            Fields(output).truth("is_redacted", *is_redacted);
        }
        Delta::Cite { index, citation } => {
            of_type("cite", output);
            Fields(output).number("index", *index);
            citation_field(citation, output);
        }
    }
    output.push(b'}');
}

fn seal_field(seal: &Seal, output: &mut Vec<u8>) {
    // Its provider is the exchange's.
    let Seal { maker, provider: _, data, id } = seal;
    let mut fields = Fields(output);
    fields.name("seal");
    fields.0.extend_from_slice(b"{\"maker\":");
    json::word(maker.as_str(), fields.0);
    fields.text("data", data);
    fields.optional_text("id", id.as_deref());
    fields.0.push(b'}');
}

fn citation_field(citation: &Citation, output: &mut Vec<u8>) {
    let Citation { url, title, range } = citation;
    let mut fields = Fields(output);
    fields.name("citation");
    fields.0.extend_from_slice(b"{\"url\":");
    json::text(url, fields.0);
    fields.optional_text("title", title.as_deref());
    if let Some((first, end)) = range {
        fields.name("range");
        fields.0.push(b'[');
        json::number(*first, fields.0);
        fields.0.push(b',');
        json::number(*end, fields.0);
        fields.0.push(b']');
    }
    fields.0.push(b'}');
}

fn indexed(index: u32, name: &str, value: &str, output: &mut Vec<u8>) {
    let mut fields = Fields(output);
    fields.number("index", index);
    fields.text(name, value);
}

fn usage_fields(usage: &Usage, fields: &mut Fields<'_>) {
    let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = usage;
    fields.optional_number("input", *input);
    fields.optional_number("cache_read", *cache_read);
    fields.optional_number("cache_write_5m", *cache_write_5m);
    fields.optional_number("cache_write_1h", *cache_write_1h);
    fields.optional_number("output", *output);
    fields.optional_number("reasoning", *reasoning);
}

fn response_fields(read: &ResponseRead, fields: &mut Fields<'_>) {
    let ResponseRead {
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
    } = read;
    fields.word("kind", "response");
    fields.optional_text("provider_response_id", provider_response_id.as_deref());
    fields.optional_text("model", model.as_deref());
    fields.optional_text("text_preview", text_preview.as_deref());
    fields.name("usage");
    let open = fields.0.len();
    usage_fields(usage, fields);
    match fields.0.get_mut(open) {
        // The first field has a comma before it.
        Some(comma) => *comma = b'{',
        None => fields.0.push(b'{'),
    }
    fields.0.push(b'}');
    fields.optional_word("stop", stop.map(|stop| stop.as_str()));
    fields.optional_text("stop_raw", stop_raw.as_deref());
    fields.number("tool_calls", *tool_calls);
    fields.optional_text("content_encoding", content_encoding.as_deref());
    fields.truth("ended", *ended);
    if *usage_estimated {
        fields.truth("usage_estimated", true);
    }
}

fn stats_fields(stats: &Stats, fields: &mut Fields<'_>) {
    let Stats {
        request_bytes,
        response_bytes,
        response_blake3,
        frames,
        ttft_us,
        gap_p50_us,
        gap_p95_us,
        gap_p99_us,
        total_us,
        overhead_pre_us,
        overhead_post_us,
    } = stats;
    fields.word("kind", "stats");
    fields.number("request_bytes", *request_bytes);
    fields.number("response_bytes", *response_bytes);
    fields.text("response_blake3", response_blake3);
    fields.number("frames", *frames);
    fields.optional_number("ttft_us", *ttft_us);
    fields.optional_number("gap_p50_us", *gap_p50_us);
    fields.optional_number("gap_p95_us", *gap_p95_us);
    fields.optional_number("gap_p99_us", *gap_p99_us);
    fields.number("total_us", *total_us);
    fields.number("overhead_pre_us", *overhead_pre_us);
    fields.number("overhead_post_us", *overhead_post_us);
}
