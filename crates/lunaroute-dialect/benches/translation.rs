//! What a translation costs: a request on its way there, a whole answer and a stream's events on their way back.
//!
//! `cargo bench -p lunaroute-dialect --bench translation`

mod inputs;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use lunaroute_core::conversation::{Conversation, ModelFacts};
use lunaroute_core::{Addressed, Dialect};
use lunaroute_dialect::cross::{
    Asked, Crossing, Profile, Translation, decode_addressed, decode_request, encode_request, estimate,
    estimate_by_samples, translate_answer,
};

use self::inputs::{AGENT, SMALL, answer, body, dialect, stream};

/// The client's dialect, and the provider's.
const WAYS: [(&str, &str); 5] = [
    ("messages", "chat"),
    ("chat", "messages"),
    ("responses", "chat"),
    ("messages", "gemini"),
    ("gemini", "messages"),
];

fn main() {
    divan::main();
}

/// Takes a request from one dialect into the other: its bytes, and what the way back has to know.
fn cross((from, to): (Dialect, Dialect), body: &[u8]) -> (Bytes, Asked) {
    let decoded = match from {
        Dialect::Gemini => {
            let addressed = Addressed { model: "asked-model".to_owned(), stream: true };
            decode_addressed(from, &addressed, body)
        }
        _ => decode_request(from, body),
    };
    let (facts, profile) = (ModelFacts::default(), Profile::default());
    let mut crossing = Crossing::new(&facts, &profile, "served-model");
    "0192c1f0".clone_into(&mut crossing.asked.seed);
    let sent = encode_request(to, decoded.expect("a request"), &mut crossing).expect("it crosses");
    (Bytes::from(serde_json::to_vec(&sent).expect("a value is JSON")), crossing.asked)
}

fn way((from, to): (&str, &str)) -> (Dialect, Dialect) {
    (dialect(from), dialect(to))
}

fn request(bencher: Bencher, way: (Dialect, Dialect), size: usize) {
    let body = body(way.0, size, 0);
    bencher.counter(BytesCount::from(body.len())).bench(|| cross(way, black_box(&body)));
}

#[divan::bench(args = WAYS)]
fn request_1_kb(bencher: Bencher, names: (&str, &str)) {
    request(bencher, way(names), SMALL);
}

#[divan::bench(args = WAYS)]
fn request_157_kb(bencher: Bencher, names: (&str, &str)) {
    request(bencher, way(names), AGENT);
}

/// What the caller is told about the length of its request: counted, and at once.
#[divan::bench]
fn estimate_157_kb(bencher: Bencher) {
    estimated(bencher, estimate);
}

#[divan::bench]
fn estimate_157_kb_by_samples(bencher: Bencher) {
    estimated(bencher, estimate_by_samples);
}

fn estimated(bencher: Bencher, by: fn(&Conversation) -> u64) {
    let from = dialect("messages");
    let body = body(from, AGENT, 0);
    let decoded = decode_request(from, &body).expect("a request");
    bencher.counter(BytesCount::from(body.len())).bench(|| by(black_box(&decoded)));
}

#[divan::bench(args = WAYS)]
fn plain_answer_1_kb(bencher: Bencher, names: (&str, &str)) {
    let (from, to) = way(names);
    let ((_, asked), answer) = (cross((from, to), &body(from, SMALL, 0)), answer(to));
    bencher.counter(BytesCount::from(answer.len())).bench(|| {
        translate_answer(to, from, black_box(&answer), &asked)
            .expect("an answer")
            .map(|told| told.to_string())
    });
}

/// Per event, each in a frame of its own.
#[divan::bench(args = WAYS)]
fn stream_events(bencher: Bencher, names: (&str, &str)) {
    events(bencher, way(names), stream(dialect(names.1)));
}

/// Per event, all in one piece.
#[divan::bench(args = WAYS)]
fn stream_events_in_one_frame(bencher: Bencher, names: (&str, &str)) {
    events(bencher, way(names), vec![stream(dialect(names.1)).concat().into()]);
}

fn events(bencher: Bencher, (from, to): (Dialect, Dialect), frames: Vec<Bytes>) {
    let (_, asked) = cross((from, to), &body(from, SMALL, 0));
    bencher.counter(ItemsCount::new(stream(to).len())).bench(|| {
        let (mut translation, mut told) = (Translation::new(to, from, asked.clone()), 0);
        for frame in &frames {
            let mut out = Vec::new();
            translation.push(black_box(frame), &mut out);
            told += out.len();
        }
        assert!(translation.has_stopped() || translation.is_over(), "the whole answer was told");
        told
    });
}
