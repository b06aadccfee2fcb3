//! The event framer against a plain reading of the standard.

use lunaroute_dialect::sse::{EVENT_LIMIT, Framer};
use proptest::prelude::*;

use crate::fixtures::STREAMS;

type Events = Vec<(Option<String>, Vec<u8>)>;

fn framed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Events {
    let mut framer = Framer::new();
    let mut events = Events::new();
    let mut on_event = |event: lunaroute_dialect::sse::Event<'_>| {
        events.push((event.name.map(str::to_owned), event.data.to_vec()));
    };
    for piece in pieces {
        framer.push(piece, &mut on_event);
    }
    framer.finish(&mut on_event);
    events
}

/// The standard, read off the whole text at once. Only for text that ends with a blank line.
fn oracle(text: &str) -> Events {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Events::new();
    let (mut name, mut data): (Option<String>, Option<String>) = (None, None);
    for line in text.split('\n') {
        if line.is_empty() {
            if let Some(data) = data.take() {
                events.push((name.clone().filter(|name| !name.is_empty()), data.into_bytes()));
            }
            name = None;
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                data = Some(match data {
                    Some(data) => data + "\n" + value,
                    None => value.to_owned(),
                });
            }
            "event" => name = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

#[test]
fn events_as_the_standard_says() {
    type Row = (&'static str, &'static [(Option<&'static str>, &'static str)]);
    let rows: [Row; 9] = [
        ("data: a\n\n", &[(None, "a")]),
        ("\u{feff}event: x\r\ndata:a\r\ndata\r\ndata:  b\r\n\r\n", &[(Some("x"), "a\n\n b")]),
        (": comment\n\nid: 1\nretry: 2\n\ndata: a\rdata: b\r\r", &[(None, "a\nb")]),
        ("event: nothing\n\ndata: a\n\n", &[(None, "a")]),
        ("data: a\u{2028}b\u{2029}c\u{85}d\n\n", &[(None, "a\u{2028}b\u{2029}c\u{85}d")]),
        ("data:\n\n", &[(None, "")]),
        // Without its blank line an event counts when it is whole.
        ("data: {\"a\":1}", &[(None, "{\"a\":1}")]),
        ("data: {\"a\":1}\n", &[(None, "{\"a\":1}")]),
        ("data: a\n\ndata: {\"a\":", &[(None, "a")]),
    ];
    for (text, expected) in rows {
        let expected: Events =
            expected.iter().map(|(name, data)| (name.map(str::to_owned), data.as_bytes().to_vec())).collect();
        assert_eq!(framed([text.as_bytes()]), expected, "{text:?}");
        for split in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(split);
            assert_eq!(framed([first, second]), expected, "{text:?} split at {split}");
        }
    }
    assert_eq!(framed([b"data: [DONE]".as_slice()]).len(), 1);
}

#[test]
fn a_giant_event_is_dropped_and_the_next_one_is_read() {
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    let piece = vec![b'x'; 1 << 20];
    framer.push(b"data: ", |_| {});
    for _ in 0..=EVENT_LIMIT >> 20 {
        framer.push(&piece, |_| {});
    }
    framer.push(b"\n\ndata: next\n\n", |event| seen.push(event.data.to_vec()));
    assert_eq!((seen, framer.dropped()), (vec![b"next".to_vec()], 1));
    for _ in 0..=EVENT_LIMIT >> 20 {
        framer.push(b"data:", |_| {});
        framer.push(&piece, |_| {});
        framer.push(b"\n", |_| {});
    }
    framer.push(b"\n", |_| panic!("many lines are as large as one"));
    assert_eq!(framer.dropped(), 2);
}

#[test]
fn reference_streams_are_framed_as_the_standard_says() {
    for (dialect, stream) in STREAMS {
        let expected = oracle(stream);
        assert!(expected.len() > 5, "{dialect}");
        assert_eq!(framed([stream.as_bytes()]), expected, "{dialect}");
    }
}

proptest! {
    #[test]
    fn any_text_in_any_pieces_is_framed_as_the_standard_says(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "data: a", "data:b", "data", "event: x", "event:", ": c", ":", "id: 1", "é\u{2028}", "data: \u{1f600}",
                "\n", "\r", "\r\n", "\n\n", " ", "\u{feff}",
            ]),
            0..60,
        ),
        piece in 1_usize..9,
    ) {
        let text = parts.concat() + "\n\n";
        let expected = oracle(&text);
        prop_assert_eq!(framed([text.as_bytes()]), expected.clone());
        prop_assert_eq!(framed(text.as_bytes().chunks(piece)), expected);
    }
}
