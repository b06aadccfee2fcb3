//! Request bodies as the record reads them.

use std::sync::Arc;

use lunaroute_core::{Addressed, Dialect, Interpreter as _, Operation, RequestReading, Role};
use lunaroute_dialect::Dialects;
use proptest::prelude::*;

use crate::{exchange, generation};

fn read(dialect: Dialect, body: &[u8]) -> RequestReading {
    Dialects.request(&exchange(dialect, generation(dialect), &[]), body)
}

/// Each message as its role and the bytes that its range covers.
fn messages<'a>(reading: &RequestReading, body: &'a str) -> Vec<(&'static str, &'a str)> {
    reading.messages.iter().map(|message| (message.role.as_str(), &body[message.range.clone()])).collect()
}

fn results<'a>(reading: &'a RequestReading, body: &'a str) -> Vec<(&'a str, Option<bool>, &'a str)> {
    let shown = |result: &'a lunaroute_core::ToolResultSpan| {
        (result.call_id.as_str(), result.is_error, &body[result.range.clone()])
    };
    reading.tool_results.iter().map(shown).collect()
}

#[test]
fn a_chat_request() {
    let body = r#"{"model":"gpt-5.5","stream":true,"messages":[
        {"role":"developer","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"Look:"},{"type":"image_url","image_url":{"url":"data:"}},{"type":"text","text":"what?"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_a","content":"42"},
        {"role":"user","content":"Thanks \ud800 é"}]}"#;
    let reading = read(Dialect::OpenaiChat, body.as_bytes());
    assert_eq!((reading.model.as_deref(), reading.stream), (Some("gpt-5.5"), true));
    assert_eq!(reading.system_text.as_deref(), Some("Be brief."));
    assert_eq!(reading.first_user_text.as_deref(), Some("Look:\nwhat?"));
    assert!(reading.preview.as_deref().expect("a preview").ends_with('é'));
    let roles: Vec<_> = messages(&reading, body).iter().map(|(role, _)| *role).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(messages(&reading, body)[0].1, r#"{"role":"developer","content":"Be brief."}"#);
    assert_eq!(results(&reading, body), [("call_a", None, "\"42\"")]);
    assert_eq!(reading.problem, None);
}

#[test]
fn a_responses_request() {
    let body = r#"{"model":"m","instructions":"Sys","input":[
        {"type":"message","role":"developer","content":[{"type":"input_text","text":"dev"}]},
        {"role":"user","content":"hi"},
        {"type":"reasoning","id":"rs","summary":[],"content":null},
        {"type":"function_call","call_id":"a","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"a","output":[{"type":"input_text","text":"x"}]},
        {"type":"custom_tool_call_output","call_id":"b","output":"y"},
        {"type":"item_reference","id":"z"}]}"#;
    let reading = read(Dialect::OpenaiResponses, body.as_bytes());
    let roles: Vec<_> = reading.messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "system", "user", "assistant", "assistant", "tool", "tool", "assistant"]);
    assert_eq!(messages(&reading, body)[0].1, "\"Sys\"");
    assert_eq!(
        results(&reading, body),
        [("a", None, r#"[{"type":"input_text","text":"x"}]"#), ("b", None, "\"y\"")]
    );
    assert_eq!(reading.system_text.as_deref(), Some("Sys"));
    assert_eq!((reading.first_user_text.as_deref(), reading.preview.as_deref()), (Some("hi"), Some("hi")));
    let plain = read(Dialect::OpenaiResponses, br#"{"input":"just text"}"#);
    assert_eq!(plain.preview.as_deref(), Some("just text"));
    // Cursor posts this shape to the chat path.
    assert_eq!(read(Dialect::OpenaiChat, body.as_bytes()), reading);
}

#[test]
fn a_messages_request() {
    let body = r#"{"messages":[
        {"role":"user","content":"first"},
        {"role":"system","content":"mid"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"r"}],"is_error":true},{"type":"tool_result","tool_use_id":"t2","content":"ok"}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t3"},{"type":"text","text":"and now"}]}],
        "system":[{"type":"text","text":"x-anthropic-billing-header: cc=1"},{"type":"text","text":"You are.","cache_control":{"type":"ephemeral"}}],
        "model":"claude-opus-5"}"#;
    let reading = read(Dialect::Anthropic, body.as_bytes());
    let roles: Vec<_> = reading.messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "system", "user", "system", "assistant", "tool", "user"]);
    assert_eq!(reading.system_text.as_deref(), Some("You are."), "the billing line is no mark of a session");
    assert_eq!(
        (reading.first_user_text.as_deref(), reading.preview.as_deref()),
        (Some("first"), Some("and now"))
    );
    let results = results(&reading, body);
    assert_eq!(results[0], ("t1", Some(true), r#"[{"type":"text","text":"r"}]"#));
    assert_eq!(results[1], ("t2", Some(false), "\"ok\""));
    assert_eq!(results[2], ("t3", Some(false), r#"{"type":"tool_result","tool_use_id":"t3"}"#));
    let text = read(Dialect::Anthropic, br#"{"system":"plain","messages":[]}"#);
    assert_eq!((text.system_text.as_deref(), text.messages.len()), (Some("plain"), 1));
}

#[test]
fn a_gemini_request() {
    let body = r#"{"contents":[
        {"role":"user","parts":[{"text":"first"},{"inlineData":{"mimeType":"image/png","data":"x"}}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"s"}]},
        {"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"output":"r"}}},
            {"function_response":{"name":"g","response":{"error":"no"}}}]},
        {"parts":[{"functionResponse":{"name":"f"}},{"text":"and now"}]}],
        "systemInstruction":{"parts":[{"text":"You are."}]},"model":"not this one","stream":false}"#;
    let mut exchange = exchange(Dialect::Gemini, Operation::GenerateContent, &[]);
    exchange.addressed = Some(Arc::new(Addressed { model: "gemini-3-pro".to_owned(), stream: true }));
    let reading = Dialects.request(&exchange, body.as_bytes());
    assert_eq!((reading.model.as_deref(), reading.stream), (Some("gemini-3-pro"), true), "the path says it");
    let roles: Vec<_> = reading.messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(reading.system_text.as_deref(), Some("You are."));
    assert_eq!(
        (reading.first_user_text.as_deref(), reading.preview.as_deref()),
        (Some("first"), Some("and now"))
    );
    assert_eq!(
        results(&reading, body),
        [
            ("c1", Some(false), r#"{"output":"r"}"#),
            ("", Some(true), r#"{"error":"no"}"#),
            ("", Some(false), r#"{"name":"f"}"#)
        ]
    );
    exchange.operation = Operation::Embeddings;
    let one = Dialects.request(&exchange, br#"{"model":"models/e","content":{"parts":[{"text":"one"}]}}"#);
    assert_eq!((one.preview.as_deref(), one.messages.len()), (Some("one"), 1));
    let batch =
        br#"{"requests":[{"content":{"parts":[{"text":"one"}]}},{"content":{"parts":[{"text":"two"}]}}]}"#;
    let batch = Dialects.request(&exchange, batch);
    assert_eq!((batch.preview.as_deref(), batch.messages.len()), (Some("two"), 2));
}

#[test]
fn texts_are_cut_and_messages_bounded() {
    let long = "é".repeat(50_000);
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}]}}"#);
    let reading = read(Dialect::OpenaiChat, body.as_bytes());
    assert!(reading.first_user_text.is_some_and(|text| text.len() <= 64 * 1024 && text.len() > 60_000));
    assert_eq!(reading.preview.map(|text| text.chars().count()), Some(1000));
    let many = format!(r#"{{"messages":[{}0]}}"#, "0,".repeat(100_500));
    let reading = read(Dialect::Anthropic, many.as_bytes());
    assert_eq!(reading.messages.len(), 100_000);
    assert!(reading.problem.is_some(), "what is left out is said");
}

#[test]
fn coded_bodies_are_read_and_problems_told() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let exchange = exchange(Dialect::Anthropic, Operation::Messages, &[("content-encoding", coding)]);
        let reading = Dialects.request(&exchange, &crate::coding::encode(coding, body));
        assert_eq!(reading, read(Dialect::Anthropic, body), "{coding}");
        assert!(Dialects.request(&exchange, b"\x00garbage").problem.is_some(), "{coding}");
    }
    assert!(read(Dialect::Anthropic, b"[]").problem.is_some());
    assert_eq!(read(Dialect::Anthropic, b"").problem, None, "no body is no problem");
    let other = exchange(Dialect::OpenaiChat, Operation::Other, &[]);
    assert_eq!(Dialects.request(&other, b"--multipart").problem, None);
    assert_eq!(Dialects.request(&other, br#"{"model":"w"}"#).model.as_deref(), Some("w"));
    let embeddings = exchange(Dialect::OpenaiChat, Operation::Embeddings, &[]);
    let reading = Dialects.request(&embeddings, br#"{"model":"e","input":["one","two"]}"#);
    assert_eq!(reading.preview.as_deref(), Some("one\ntwo"));
    assert_eq!(reading.messages[0].role, Role::User);
}

proptest! {
    #[test]
    fn damaged_bodies_never_panic(
        damage in prop::collection::vec((0_usize..260, any::<u8>()), 0..20),
        cut in 0_usize..260,
    ) {
        let mut bytes = br#"{"model":"m","stream":true,"instructions":"i","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]},{"role":"tool","tool_call_id":"x","content":"y"}],"input":[{"type":"a_output","call_id":"c"}]}"#.to_vec();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut);
        for dialect in Dialect::ALL {
            let reading = read(dialect, &bytes);
            prop_assert!(reading.messages.iter().all(|message| bytes.get(message.range.clone()).is_some()));
        }
    }
}
