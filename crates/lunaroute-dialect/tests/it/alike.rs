//! Events that differ in their words alone.

use std::sync::Arc;

use lunaroute_core::{Delta, Dialect, Interpreter, ResponseHead};
use lunaroute_dialect::Dialects;
use proptest::prelude::*;

use crate::{exchange, generation, read};

/// Events that say words, in the forms of all dialects: `W` stands for the words, `I` for the number of a block.
const SAYING: [(Dialect, &str, &str); 7] = [
    (
        Dialect::OpenaiChat,
        "",
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":I,"delta":{"content":W},"finish_reason":null}],"usage":null}"#,
    ),
    (
        Dialect::OpenaiChat,
        "",
        r#"{"id":"c","choices":[{"index":I,"delta":{"reasoning_content":W}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
    ),
    (
        Dialect::Anthropic,
        "event: content_block_delta\n",
        r#"{"type":"content_block_delta","index":I,"delta":{"type":"text_delta","text":W}}"#,
    ),
    (
        Dialect::Anthropic,
        "",
        r#"{"type":"content_block_delta","index":I,"delta":{"type":"thinking_delta","thinking":W}}"#,
    ),
    (
        Dialect::OpenaiResponses,
        "",
        r#"{"type":"response.output_text.delta","item_id":"i","output_index":I,"content_index":0,"delta":W}"#,
    ),
    (
        Dialect::Gemini,
        "",
        r#"{"candidates":[{"index":I,"content":{"role":"model","parts":[{"text":W}]}}],"modelVersion":"m"}"#,
    ),
    (
        Dialect::Gemini,
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":W,"thought":true}]}}],"usageMetadata":{"promptTokenCount":3}}"#,
    ),
];

/// The words of an event, also such as stand in it as names, and such as are escaped.
fn words() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "\"\"",
        "\"content\"",
        "\"m\"",
        r#""a\"b""#,
        r#""\n""#,
        r#""\u0041""#,
        "null",
        "\"\u{1}\"",
    ]);
    prop_oneof![fixed.prop_map(str::to_owned), "\"[ a-zé]{1,6}\""]
}

proptest! {
    /// Events that differ in their words alone are read without being parsed; what they say is the same.
    #[test]
    fn words_read_the_same_whether_the_event_before_was_like_theirs_or_not(
        said in prop::collection::vec((0_usize..SAYING.len(), 0_u8..2, words(), 1_usize..6), 1..8),
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
    ) {
        let exchange = exchange(dialect, generation(dialect), &[]);
        let (mut alike, mut apart, mut even) = (String::new(), String::new(), false);
        for (which, index, words, times) in &said {
            let ways: Vec<_> = SAYING.iter().filter(|(of, ..)| *of == dialect).collect();
            let (_, name, form) = ways[which % ways.len()];
            let event = form.replace('I', &index.to_string()).replace('W', words);
            for _ in 0..*times {
                alike.push_str(&format!("{name}data: {event}\n\n"));
                // White space tells each from the one before.
                even = !even;
                apart.push_str(&format!("{name}data: {event}{}\n\n", if even { " " } else { "  " }));
            }
        }
        let read = |stream: &str| joined(read(&exchange, 200, &[], [stream.as_bytes()]));
        prop_assert_eq!(read(&alike), read(&apart));
    }
}

#[test]
fn words_that_go_on_are_one_piece_and_those_of_another_block_are_not() {
    let exchange = exchange(Dialect::OpenaiChat, generation(Dialect::OpenaiChat), &[]);
    let head = ResponseHead { status: 200, headers: Arc::default() };
    let mut reader = Dialects.response(&exchange, &head);
    let event = |index: u32, words: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n"
        )
    };
    let text = |index, text: &str| Delta::Text { index, text: text.to_owned() };
    let mut read = |stream: String| {
        let mut deltas = Vec::new();
        reader.read(stream.as_bytes(), &mut deltas);
        deltas.retain(|delta| matches!(delta, Delta::Text { .. }));
        deltas
    };
    // The first event names the answer, too, so that the second is the first to be like another.
    assert_eq!(
        read(["ab", "cd", "ef"].map(|words| event(0, words)).concat()),
        [text(0, "ab"), text(0, "cdef")]
    );
    assert_eq!(read(event(0, "gh")), [text(0, "gh")]);
    let others = [event(0, "ij"), event(1, "kl"), event(1, "mn")].concat();
    assert_eq!(read(others), [text(0, "ij"), text(1, "klmn")]);
}

/// Neighbouring words of one block as one piece: whether they are told one by one is the reader's affair.
fn joined(deltas: Vec<Delta>) -> Vec<Delta> {
    let mut joined: Vec<Delta> = Vec::new();
    for delta in deltas {
        match (joined.last_mut(), &delta) {
            (Some(Delta::Text { index, text }), Delta::Text { index: block, text: more })
            | (Some(Delta::Reasoning { index, text }), Delta::Reasoning { index: block, text: more })
                if index == block =>
            {
                text.push_str(more);
            }
            _ => joined.push(delta),
        }
    }
    joined
}
