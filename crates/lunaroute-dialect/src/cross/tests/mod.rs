//! What holds for every way between two dialects, whatever is said on it.

mod requests;

use std::sync::Arc;

use lunaroute_core::conversation::Seal;
use lunaroute_core::{Answer, Delta, Dialect, StopReason, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Asked, Flow, Translation, Whole, check_stream, translate_answer};
use crate::dispatch::language;
use crate::json::Json;
use crate::sse::Framer;

fn asked() -> Asked {
    Asked {
        model: "asked-for".to_owned(),
        stream: true,
        include_usage: true,
        maker: Some(Dialect::Anthropic),
        answer_id: "answer".to_owned(),
        created: 1_700_000_000,
        seed: "seed".to_owned(),
        ..Asked::default()
    }
}

/// The bytes of a stream that says these pieces.
fn written(to: Dialect, deltas: &[Delta], asked: &Asked) -> Vec<u8> {
    let (mut flow, mut writer) = (Flow::new(asked), language(to).writer(Arc::new(asked.clone())));
    let (mut steps, mut out) = (Vec::new(), Vec::new());
    for delta in deltas {
        flow.take(delta.clone(), &mut steps);
    }
    flow.end(&mut steps);
    for step in steps {
        writer.write(step, &mut out);
    }
    out
}

#[track_caller]
fn check_grammar(dialect: Dialect, stream: &[u8]) {
    if let Err(error) = check_stream(dialect, stream) {
        panic!("{dialect}: {error}\n{}", String::from_utf8_lossy(stream));
    }
}

/// What a stream says to a reader of its dialect.
fn assembled(dialect: Dialect, stream: &[u8]) -> Answer {
    let (mut reader, mut framer, mut deltas) = (language(dialect).events(), Framer::new(), Vec::new());
    framer.push(stream, |event| reader.event(event, &mut deltas));
    framer.finish(|event| reader.event(event, &mut deltas));
    reader.finish(&mut deltas);
    answer(&deltas)
}

fn answer(deltas: &[Delta]) -> Answer {
    let mut answer = Answer::default();
    deltas.iter().for_each(|delta| answer.absorb(delta, usize::MAX));
    answer.id = None;
    answer.ended = true;
    for (place, call) in (0..).zip(&mut answer.tool_calls) {
        call.index = place;
        // The same JSON may be spelled in two ways.
        if let Ok(value) = serde_json::from_str::<Value>(&call.arguments) {
            call.arguments = value.to_string();
        }
    }
    answer
}

fn deltas() -> impl Strategy<Value = Vec<Delta>> {
    let text = prop_oneof!["[a-z \\n\"🚀é]{0,12}", Just("\u{2028}".to_owned())];
    let index = 0_u32..5;
    let delta = prop_oneof![
        4 => (index.clone(), text.clone()).prop_map(|(index, text)| Delta::Text { index, text }),
        2 => (index.clone(), text.clone()).prop_map(|(index, text)| Delta::Reasoning { index, text }),
        1 => text.clone().prop_map(|text| Delta::Refusal { text }),
        2 => (index.clone(), "[a-z]{0,3}", "[a-z]{1,5}")
            .prop_map(|(index, id, name)| Delta::ToolCallStart { index, id, name }),
        1 => (index.clone(), "[a-z]{0,3}", "[a-z]{1,5}")
            .prop_map(|(index, id, name)| Delta::CustomCallStart { index, id, name }),
        3 => (index.clone(), text).prop_map(|(index, fragment)| Delta::ToolCallArguments { index, fragment }),
        1 => (index, any::<bool>()).prop_map(|(index, is_redacted)| Delta::Seal {
            index,
            seal: Seal { maker: Dialect::Anthropic, provider: None, data: "s".to_owned(), id: None },
            is_redacted,
        }),
        1 => any::<Option<u32>>().prop_map(|output| {
            Delta::Usage(Usage { input: Some(3), output: output.map(u64::from), ..Usage::default() })
        }),
        1 => Just(Delta::Start { id: Some("x".to_owned()), model: Some("m".to_owned()) }),
    ];
    let end = prop_oneof![
        3 => Just(vec![Delta::Stop { reason: StopReason::EndTurn, raw: "stop".to_owned() }, Delta::End]),
        1 => Just(vec![Delta::Stop { reason: StopReason::Length, raw: "length".to_owned() }]),
        1 => Just(vec![Delta::Error { kind: "overloaded_error".to_owned(), code: None, message: "busy".to_owned(), retry_after_ms: Some(1_500) }]),
        1 => Just(Vec::new()),
    ];
    (prop::collection::vec(delta, 0..24), end).prop_map(|(mut deltas, end)| {
        deltas.extend(end);
        deltas
    })
}

/// An answer as a provider gives it: blocks one after the other.
fn orderly() -> impl Strategy<Value = Vec<Delta>> {
    let block = prop_oneof![
        "[a-z 🚀]{1,9}".prop_map(|text| (0, text, String::new())),
        "[a-z 🚀]{1,9}".prop_map(|text| (1, text, String::new())),
        ("[a-z]{1,5}", 0_u32..9).prop_map(|(name, number)| (2, name, json!({"n": number}).to_string())),
        ("[a-z]{1,5}", "[a-z \n\"é🚀]{0,9}").prop_map(|(name, input)| (3, name, input)),
    ];
    (prop::collection::vec(block, 0..7), 0_u64..99).prop_map(|(blocks, tokens)| {
        let mut deltas = vec![Delta::Start { id: Some("x".to_owned()), model: Some("m".to_owned()) }];
        let mut calls = 0;
        for (index, (kind, text, arguments)) in (0..).zip(blocks) {
            match kind {
                0 => deltas.push(Delta::Text { index, text }),
                1 => {
                    deltas.push(Delta::Reasoning { index, text });
                    let seal = Seal {
                        maker: Dialect::Anthropic,
                        provider: None,
                        data: format!("seal {index}"),
                        id: None,
                    };
                    deltas.push(Delta::Seal { index, seal, is_redacted: false });
                }
                3 => {
                    calls += 1;
                    deltas.push(Delta::CustomCallStart { index, id: format!("call_{index}"), name: text });
                    deltas.push(Delta::ToolCallArguments { index, fragment: arguments });
                }
                _ => {
                    calls += 1;
                    deltas.push(Delta::ToolCallStart { index, id: format!("call_{index}"), name: text });
                    deltas.push(Delta::ToolCallArguments { index, fragment: arguments });
                }
            }
        }
        let usage = Usage {
            input: Some(tokens),
            cache_read: Some(tokens / 2),
            cache_write_5m: Some(0),
            output: Some(tokens + 1),
            reasoning: Some(0),
            ..Usage::default()
        };
        deltas.push(Delta::Usage(usage));
        let (reason, raw) =
            if calls > 0 { (StopReason::ToolUse, "tool_calls") } else { (StopReason::EndTurn, "stop") };
        deltas.push(Delta::Stop { reason, raw: raw.to_owned() });
        deltas.push(Delta::End);
        deltas
    })
}

proptest! {
    /// Whatever a provider says in whatever order, the caller's clients can read it.
    #[test]
    fn any_pieces_make_a_stream_of_the_grammar(deltas in deltas(), interleaved in any::<bool>()) {
        let asked = Asked { interleaved_calls: interleaved, ..asked() };
        for dialect in Dialect::ALL {
            check_grammar(dialect, &written(dialect, &deltas, &asked));
        }
    }

    /// However the bytes are cut and the lines end, the translation is the same; it says what the whole answer says; tokens are conserved.
    #[test]
    fn a_translated_stream_says_what_the_whole_answer_says(deltas in orderly(), cuts in prop::collection::vec(1_usize..40, 1..9), line_end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        for from in Dialect::ALL {
            let asked = asked();
            let source = String::from_utf8(written(from, &deltas, &asked)).expect("text");
            let source = source.replace('\n', line_end).into_bytes();
            let mut whole = Whole::default();
            let (mut flow, mut steps) = (Flow::new(&asked), Vec::new());
            deltas.iter().for_each(|delta| flow.take(delta.clone(), &mut steps));
            steps.into_iter().for_each(|step| whole.take(step));
            let plain = language(from).whole(&whole, &asked).to_string();
            for to in Dialect::ALL {
                let mut out = Vec::new();
                let mut translation = Translation::new(from, to, asked.clone());
                let (mut rest, mut cuts) = (&source[..], cuts.iter().cycle());
                while !rest.is_empty() {
                    let (piece, left) = rest.split_at((*cuts.next().expect("endless")).min(rest.len()));
                    translation.push(piece, &mut out);
                    rest = left;
                }
                translation.end(&mut out);
                check_grammar(to, &out);
                let streamed = assembled(to, &out);
                let translated = translate_answer(from, to, plain.as_bytes(), &asked);
                let translated = translated.expect("an answer").expect("one that did not fail");
                let mut read = Vec::new();
                let text = translated.to_string();
                prop_assert!(language(to).answer(Json::new(text.as_bytes()).expect("JSON"), &mut read));
                prop_assert_eq!(&streamed, &answer(&read), "{} to {}", from, to);
                prop_assert_eq!(streamed.usage.total_input(), answer(&deltas).usage.total_input());
                prop_assert_eq!(streamed.usage.output, answer(&deltas).usage.output);
            }
        }
    }
}
