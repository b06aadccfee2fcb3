//! The dialects at their walls: bytes in, words out.

mod alike;
mod answers;
mod client;
mod coding;
mod cross;
mod end_watch;
mod errors;
mod fixtures;
mod found;
mod hostile;
mod models;
mod peek;
mod repeats;
mod requests;
mod responses;
mod sse;
mod streams;

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use lunaroute_core::{Answer, Delta, Dialect, Exchange, Interpreter as _, Operation, ResponseHead, Usage};
use lunaroute_dialect::Dialects;

/// Headers out of pairs.
fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            name.parse::<HeaderName>().expect("a header name"),
            HeaderValue::from_str(value).expect("a value"),
        );
    }
    map
}

/// The operation that goes with a dialect.
fn generation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenaiChat => Operation::Chat,
        Dialect::OpenaiResponses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::GenerateContent,
    }
}

fn exchange(dialect: Dialect, operation: Operation, pairs: &[(&str, &str)]) -> Exchange {
    Exchange { dialect, operation, headers: Arc::new(headers(pairs)), addressed: None }
}

/// What an answer says, read in the given pieces.
fn read<'a>(
    exchange: &Exchange,
    status: u16,
    pairs: &[(&str, &str)],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Delta> {
    let head = ResponseHead { status, headers: Arc::new(headers(pairs)) };
    let mut reader = Dialects.response(exchange, &head);
    let mut deltas = Vec::new();
    for piece in pieces {
        reader.read(piece, &mut deltas);
    }
    reader.finish(&mut deltas);
    deltas
}

/// What a whole body of a generation says.
fn read_body(dialect: Dialect, status: u16, body: &str) -> Vec<Delta> {
    read(&exchange(dialect, generation(dialect), &[]), status, &[], [body.as_bytes()])
}

fn answer(deltas: &[Delta]) -> Answer {
    let mut answer = Answer::default();
    for delta in deltas {
        answer.absorb(delta, 1 << 20);
    }
    answer
}

/// The pieces, one a line.
fn show(deltas: &[Delta]) -> String {
    let mut shown = String::new();
    for delta in deltas {
        let line = match delta {
            Delta::Start { id, model } => {
                format!("start {id:?} {model:?}").replace("Some(", "").replace(')', "")
            }
            Delta::Text { index, text } => format!("text {index} {text:?}"),
            Delta::Reasoning { index, text } => format!("reasoning {index} {text:?}"),
            Delta::Refusal { text } => format!("refusal {text:?}"),
            Delta::ToolCallStart { index, id, name } => format!("call {index} {id} {name}"),
            Delta::ToolCallArguments { index, fragment } => format!("arguments {index} {fragment}"),
            Delta::Usage(usage) => show_usage(usage),
            Delta::Stop { reason, raw } => format!("stop {} {raw}", reason.as_str()),
            Delta::Error { kind, message, .. } => format!("error {kind}: {message}"),
            Delta::End => "end".to_owned(),
            Delta::CustomCallStart { index, id, name } => format!("custom {index} {id} {name}"),
            Delta::Seal { index, seal, is_redacted } => {
                format!("seal {index} {} {:?} {is_redacted}", seal.data, seal.id)
            }
            Delta::Cite { index, citation } => format!("cite {index} {} {:?}", citation.url, citation.range),
        };
        writeln!(shown, "{line}").expect("a string takes everything");
    }
    shown
}

fn show_usage(usage: &Usage) -> String {
    let mut shown = "usage".to_owned();
    for (class, figure) in [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("write_5m", usage.cache_write_5m),
        ("write_1h", usage.cache_write_1h),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ] {
        if let Some(figure) = figure {
            write!(shown, " {class}={figure}").expect("a string takes everything");
        }
    }
    shown
}
