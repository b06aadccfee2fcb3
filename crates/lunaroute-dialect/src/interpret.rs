//! Reads bodies for the record.

use http::{HeaderMap, StatusCode, header};
use lunaroute_core::{
    Delta, Earlier, Exchange, Interpreter, Operation, RequestReading, ResponseHead, ResponseReader,
};

use crate::alike::Alike;
use crate::coding::{DECODED_LIMIT, StreamDecoder, decode_request};
use crate::dispatch::{EventReader, Language, language};
use crate::elements::Elements;
use crate::json::Json;
use crate::outline::Outline;
use crate::reading::MessageReading;
use crate::sse::{Event, Framer};

/// The largest answer that is read as one document, in bytes; a larger one is recorded and not looked into.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// The readers of all dialects, for the recorder.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dialects;

impl Interpreter for Dialects {
    fn request(&self, exchange: &Exchange, body: &[u8]) -> RequestReading {
        addressed(exchange, read_request(exchange, body))
    }

    fn request_after(&self, exchange: &Exchange, body: &[u8], earlier: &Earlier<'_>) -> RequestReading {
        // What a coding makes of two bodies that begin alike need not begin alike.
        let is_plain =
            body.len() <= DECODED_LIMIT && !exchange.headers.contains_key(header::CONTENT_ENCODING);
        let short = if is_plain { crate::earlier::read(exchange, body, earlier) } else { None };
        addressed(exchange, short.unwrap_or_else(|| read_request(exchange, body)))
    }

    fn response(&self, exchange: &Exchange, head: &ResponseHead) -> Box<dyn ResponseReader> {
        let coding = coding_of(&head.headers);
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        Box::new(BodyReader {
            exchange: exchange.clone(),
            status: StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK),
            // A coding that is not known leaves nothing to read.
            decoder: StreamDecoder::new(coding.as_deref()).ok(),
            missing: length.and_then(|text| text.parse().ok()),
            body: Body::Undecided,
        })
    }
}

/// The reading with what the path says; the body's word does not count then.
fn addressed(exchange: &Exchange, mut reading: RequestReading) -> RequestReading {
    if let Some(addressed) = &exchange.addressed {
        reading.model = Some(addressed.model.clone());
        reading.stream = addressed.stream;
    }
    reading
}

fn read_request(exchange: &Exchange, body: &[u8]) -> RequestReading {
    let problem = |problem: String| RequestReading { problem: Some(problem), ..RequestReading::default() };
    if body.is_empty() {
        return RequestReading::default();
    }
    let coding = coding_of(&exchange.headers);
    let decoded = match decode_request(coding.as_deref(), body, DECODED_LIMIT) {
        Ok(decoded) => decoded,
        Err(error) => return problem(error.to_string()),
    };
    match Outline::new(&decoded, None) {
        Some(outline) => {
            let mut conversation = MessageReading::new(&outline, None);
            language(exchange.dialect).request(exchange.operation, &outline, &mut conversation);
            conversation.finish()
        }
        None if exchange.operation.is_generation() => problem("the body is no JSON object".to_owned()),
        None => RequestReading::default(),
    }
}

/// All content codings that the headers name, in the order of their lines.
fn coding_of(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|value| value.to_str().unwrap_or("not-ascii"))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Seals say nothing to a reader, and the record holds them in the answer's bytes.
fn without_seals(deltas: &mut Vec<Delta>) {
    deltas.retain(|delta| !matches!(delta, Delta::Seal { .. }));
}

/// Reads one answer, whatever it turns out to be.
struct BodyReader {
    exchange: Exchange,
    status: StatusCode,
    /// `None` when nothing more can be read.
    decoder: Option<StreamDecoder>,
    /// How many bytes the head promised that have not come yet.
    missing: Option<u64>,
    body: Body,
}

enum Body {
    /// Nothing but white space has come.
    Undecided,
    /// JSON, or a body of which only the end matters.
    Plain(Vec<u8>),
    /// Server-sent events.
    Stream { framer: Framer, alike: Box<Alike>, events: Box<dyn EventReader> },
    /// A stream that is one JSON array.
    Array { elements: Elements, events: Box<dyn EventReader> },
}

impl ResponseReader for BodyReader {
    fn read(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) {
        self.missing = self.missing.map(|missing| missing.saturating_sub(bytes.len() as u64));
        let Some(mut decoder) = self.decoder.take() else { return };
        let mut is_readable = true;
        let outcome = decoder.each(bytes, |piece| is_readable &= self.take(piece, deltas));
        if outcome.is_ok() && is_readable {
            self.decoder = Some(decoder);
        }
    }

    fn finish(&mut self, deltas: &mut Vec<Delta>) {
        match std::mem::replace(&mut self.body, Body::Undecided) {
            Body::Stream { mut framer, mut events, .. } => {
                framer.finish(|event| events.event(event, deltas));
                events.finish(deltas);
                without_seals(deltas);
            }
            Body::Array { mut events, .. } => {
                events.finish(deltas);
                without_seals(deltas);
            }
            Body::Plain(buffer) => self.finish_plain(&buffer, deltas),
            Body::Undecided => self.finish_plain(&[], deltas),
        }
        self.decoder = None;
    }
}

impl BodyReader {
    /// Takes bytes without coding, up to the limit for one answer that is held in memory. A stream is not held, so only
    /// the coded ones have a limit, and that is the decoder's. Gives whether more can be read.
    fn take(&mut self, mut bytes: &[u8], deltas: &mut Vec<Delta>) -> bool {
        if matches!(self.body, Body::Undecided) {
            let Some(first) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else { return true };
            self.body = self.decide(bytes[first]);
            // What came before is gone, if it came in a piece of its own; so it goes in every case.
            bytes = &bytes[first..];
        }
        let is_read = self.is_read();
        match &mut self.body {
            Body::Stream { framer, alike, events } => {
                framer.push(bytes, |event| alike.event(event, events.as_mut(), deltas));
                without_seals(deltas);
            }
            Body::Array { elements, events } => {
                elements.push(bytes, |data| events.event(Event { name: None, data }, deltas));
                without_seals(deltas);
            }
            Body::Plain(buffer) if is_read && buffer.len() + bytes.len() <= ANSWER_LIMIT => {
                buffer.extend_from_slice(bytes);
            }
            Body::Plain(buffer) if is_read => {
                *buffer = Vec::new();
                return false;
            }
            Body::Plain(_) | Body::Undecided => {}
        }
        true
    }

    /// JSON begins with a bracket and no event stream does. The content type is not asked: hosts send streams without
    /// one, and errors under that of a stream.
    fn decide(&self, first: u8) -> Body {
        let streams = self.exchange.operation.is_generation() && self.status.as_u16() < 400;
        match first {
            b'[' if streams && self.language().streams_arrays() => {
                Body::Array { elements: Elements::default(), events: self.language().events() }
            }
            b'{' | b'[' => Body::Plain(Vec::new()),
            _ if streams => Body::Stream {
                framer: Framer::new(),
                alike: Box::default(),
                events: self.language().events(),
            },
            _ => Body::Plain(Vec::new()),
        }
    }

    /// Whether the body of this answer is looked into.
    fn is_read(&self) -> bool {
        // The figure that count_tokens answers with is no usage: nothing was generated and nothing is billed.
        let uses_tokens =
            self.exchange.operation.is_generation() || self.exchange.operation == Operation::Embeddings;
        self.status.as_u16() >= 400 || uses_tokens
    }

    fn language(&self) -> &'static dyn Language {
        language(self.exchange.dialect)
    }

    fn finish_plain(&self, buffer: &[u8], deltas: &mut Vec<Delta>) {
        let as_promised = self.missing.unwrap_or_default() == 0;
        if !self.is_read() {
            if as_promised {
                deltas.push(Delta::End);
            }
            return;
        }
        let json = Json::whole(buffer);
        if let Some(error) = crate::error::read_body(self.status, buffer, json) {
            deltas.push(error.into());
        } else if let Some(json) = json {
            if self.exchange.operation.is_generation() {
                self.language().answer(json, deltas);
                without_seals(deltas);
            } else {
                deltas.push(Delta::Usage(self.language().figures(json)));
            }
        }
        // Of an error that is no JSON only the promised length can say that it is whole.
        let whole = json.is_some() || (self.status.as_u16() >= 400 && as_promised);
        if whole && self.decoder.is_some() {
            deltas.push(Delta::End);
        }
    }
}
