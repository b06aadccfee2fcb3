//! What reading costs: the first look and the splices on the client's path, the readings of the recorder beside it.
//!
//! `cargo bench -p lunaroute-dialect`

mod inputs;

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use http::HeaderMap;
use lunaroute_core::{Dialect, Earlier, Exchange, Interpreter as _, Operation, ResponseHead};
use lunaroute_dialect::{Dialects, EndWatch, peek, splice, sse::Framer};

use self::inputs::{AGENT, SMALL, answer, body, dialect, stream};

fn main() {
    divan::main();
}

fn exchange(dialect: Dialect) -> Exchange {
    let operation = match dialect {
        Dialect::OpenaiChat => Operation::Chat,
        Dialect::OpenaiResponses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::GenerateContent,
    };
    Exchange { dialect, operation, headers: Arc::new(HeaderMap::new()), addressed: None }
}

const NAMES: [&str; 4] = ["chat", "responses", "messages", "gemini"];

#[divan::bench(args = NAMES)]
fn peek_1_kb(bencher: Bencher, name: &str) {
    let body = body(dialect(name), SMALL, 0);
    bencher.counter(BytesCount::from(body.len())).bench(|| peek(dialect(name), black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn peek_157_kb(bencher: Bencher, name: &str) {
    let body = body(dialect(name), AGENT, 0);
    bencher.counter(BytesCount::from(body.len())).bench(|| peek(dialect(name), black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn request_1_kb(bencher: Bencher, name: &str) {
    let (exchange, body) = (exchange(dialect(name)), body(dialect(name), SMALL, 0));
    bencher.counter(BytesCount::from(body.len())).bench(|| Dialects.request(&exchange, black_box(&body)));
}

#[divan::bench(args = NAMES)]
fn request_157_kb(bencher: Bencher, name: &str) {
    let (exchange, body) = (exchange(dialect(name)), body(dialect(name), AGENT, 0));
    bencher.counter(BytesCount::from(body.len())).bench(|| Dialects.request(&exchange, black_box(&body)));
}

/// The next turn of a conversation whose earlier body is known.
#[divan::bench(args = NAMES)]
fn request_after_157_kb(bencher: Bencher, name: &str) {
    after(bencher, dialect(name), |body| body);
}

/// The same when something outside the messages has changed too.
#[divan::bench(args = NAMES)]
fn request_after_with_another_model(bencher: Bencher, name: &str) {
    after(bencher, dialect(name), |body| {
        let text = String::from_utf8(body).expect("the body is text");
        text.replacen("\"stream\":true", "\"stream\":false", 1).into_bytes()
    });
}

fn after(bencher: Bencher, dialect: Dialect, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let (exchange, old, new) = (exchange(dialect), body(dialect, AGENT, 0), change(body(dialect, AGENT, 1)));
    let reading = Dialects.request(&exchange, &old);
    let prefix = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len() - prefix;
    let suffix =
        old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
    let earlier = Earlier { body: &old, reading: &reading, prefix, suffix };
    assert_eq!(Dialects.request_after(&exchange, &new, &earlier), Dialects.request(&exchange, &new));
    bencher
        .counter(BytesCount::from(new.len()))
        .bench(|| Dialects.request_after(&exchange, black_box(&new), &earlier));
}

#[divan::bench]
fn splice_157_kb(bencher: Bencher) {
    let body = Bytes::from(body(Dialect::OpenaiChat, AGENT, 0));
    let found = peek(Dialect::OpenaiChat, &body);
    bencher.bench(|| splice(black_box(&body), &found, Some("gpt-5"), true));
}

/// Per event.
#[divan::bench(args = NAMES)]
fn sse_split(bencher: Bencher, name: &str) {
    let frames = stream(dialect(name));
    bencher.counter(divan::counter::ItemsCount::new(frames.len())).bench(|| {
        let (mut framer, mut bytes) = (Framer::new(), 0);
        for frame in &frames {
            framer.push(black_box(frame), |event| bytes += event.data.len());
        }
        bytes
    });
}

/// Per event, each in a frame of its own.
#[divan::bench(args = NAMES)]
fn response_events(bencher: Bencher, name: &str) {
    response(bencher, dialect(name), stream(dialect(name)));
}

/// Per event, all in one piece.
#[divan::bench(args = NAMES)]
fn response_events_in_one_frame(bencher: Bencher, name: &str) {
    response(bencher, dialect(name), vec![stream(dialect(name)).concat().into()]);
}

fn response(bencher: Bencher, dialect: Dialect, frames: Vec<Bytes>) {
    let exchange = exchange(dialect);
    let head = ResponseHead { status: 200, headers: Arc::new(HeaderMap::new()) };
    let events = stream(dialect).len();
    bencher.counter(divan::counter::ItemsCount::new(events)).bench(|| {
        let mut deltas = Vec::new();
        let mut reader = Dialects.response(&exchange, &head);
        for frame in &frames {
            reader.read(black_box(frame), &mut deltas);
        }
        reader.finish(&mut deltas);
        deltas
    });
}

#[divan::bench(args = NAMES)]
fn plain_answer_1_kb(bencher: Bencher, name: &str) {
    let (exchange, answer) = (exchange(dialect(name)), answer(dialect(name)));
    let head = ResponseHead { status: 200, headers: Arc::new(HeaderMap::new()) };
    bencher.counter(BytesCount::from(answer.len())).bench(|| {
        let mut deltas = Vec::new();
        let mut reader = Dialects.response(&exchange, &head);
        reader.read(black_box(&answer), &mut deltas);
        reader.finish(&mut deltas);
        deltas
    });
}

/// Per frame of one event.
#[divan::bench(args = NAMES)]
fn end_watch(bencher: Bencher, name: &str) {
    watch(bencher, dialect(name), stream(dialect(name)));
}

/// Per event, all in one frame.
#[divan::bench(args = NAMES)]
fn end_watch_in_one_frame(bencher: Bencher, name: &str) {
    watch(bencher, dialect(name), vec![stream(dialect(name)).concat().into()]);
}

fn watch(bencher: Bencher, dialect: Dialect, frames: Vec<Bytes>) {
    let events = stream(dialect).len();
    bencher.counter(divan::counter::ItemsCount::new(events)).bench(|| {
        let mut watch = EndWatch::new(dialect, exchange(dialect).operation);
        for frame in &frames {
            watch.push(black_box(frame));
        }
        watch.ended()
    });
}
