//! The first look at a body, and the edits that rest on it.

use bytes::Bytes;
use lunaroute_core::Dialect;
use lunaroute_dialect::{Peek, include_usage, peek, rename_model, splice};
use proptest::prelude::*;
use serde_json::{Value, json};

fn chat(body: &str) -> Peek {
    peek(Dialect::OpenaiChat, body.as_bytes())
}

fn model(body: &str) -> Option<String> {
    chat(body).model.map(|model| model.value)
}

#[test]
fn models_are_found_wherever_and_however_they_are_written() {
    let rows = [
        (r#"{"model":"m"}"#, Some("m")),
        (" \n{ \"messages\" : [ {\"model\":\"no\"} ] , \"model\" :\t\"m\" } ", Some("m")),
        (r#"{"\u006dodel":"m"}"#, Some("m")),
        (r#"{"model":"a\/\u00e9\"\\"}"#, Some("a/é\"\\")),
        (r#"{"model":"first","model":"last"}"#, Some("last")),
        (r#"{"model":"first","model":7}"#, None),
        (r#"{"model":null}"#, None),
        (r#"{"messages":[{"content":"\"model\":\"no\",{[\\"}],"n":1e400,"model":"m"}"#, Some("m")),
        (r#"{"model":"m","messages":[{"cut":"#, Some("m")),
        (r#"{"model":"cu"#, None),
        (r#"["model","m"]"#, None),
        ("", None),
        ("not json", None),
        ("{\"model\" \"m\"}", None),
    ];
    for (body, expected) in rows {
        assert_eq!(model(body).as_deref(), expected, "{body}");
        if let Some(located) = chat(body).model {
            let raw = &body[located.range];
            assert!(raw.starts_with('"') && raw.ends_with('"'), "{raw} is no string");
        }
    }
    let long = format!(r#"{{"model":"{}","stream":true}}"#, "m".repeat(5000));
    assert_eq!((model(&long), chat(&long).stream), (None, Some(true)), "no provider has such a name");
}

#[test]
fn depth_and_rubbish_do_no_harm() {
    let deep = format!(r#"{{"messages":{}{},"model":"m"}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(model(&deep).as_deref(), Some("m"));
    assert_eq!(model(&format!(r#"{{"model":"m","x":{}"#, "{\"a\":".repeat(500_000))).as_deref(), Some("m"));
    assert_eq!(peek(Dialect::OpenaiChat, b"\xff\xfe{\"model\":\"m\"}"), Peek::default());
}

#[test]
fn a_body_of_responses_is_known_at_the_path_of_chat() {
    for (body, expected) in [
        (r#"{"model":"m","input":[]}"#, true),
        (r#"{"model":"m","input":"Hello"}"#, true),
        (r#"{"model":"m","messages":[{"input":1}]}"#, false),
        (r#"{"model":"m","messages":[],"input":[]}"#, false),
        (r#"{"model":"m"}"#, false),
    ] {
        assert_eq!(chat(body).is_responses(), expected, "{body}");
        assert!(!peek(Dialect::Anthropic, body.as_bytes()).is_responses(), "{body}");
    }
}

#[test]
fn flags_and_hints_are_found() {
    let body = r#"{"stream":true,"metadata":{"user_id":"user_1","session_id":"s","cursorConversationId":"c"},
        "prompt_cache_key":"k","client_metadata":{"session_id":"cm"},"conversation":{"id":"conv"},
        "previous_response_id":"resp","safety_identifier":"safe","user":"u"}"#;
    let found = peek(Dialect::OpenaiResponses, body.as_bytes());
    let hints = &found.hints;
    assert_eq!(found.stream, Some(true));
    let shown = [
        &hints.metadata_user_id,
        &hints.metadata_session_id,
        &hints.cursor_conversation_id,
        &hints.prompt_cache_key,
        &hints.client_session_id,
        &hints.conversation,
        &hints.previous_response_id,
        &hints.user,
    ]
    .map(|hint| hint.as_deref().unwrap_or("-"));
    assert_eq!(shown, ["user_1", "s", "c", "k", "cm", "conv", "resp", "u"]);
    assert_eq!(found.object, None, "only chat gets members");
    let object =
        peek(Dialect::Anthropic, br#"{"metadata":{"user_id":{"session_id":"s"}},"conversation":"plain"}"#);
    assert_eq!(object.hints.metadata_user_id.as_deref(), Some(r#"{"session_id":"s"}"#));
    assert_eq!(object.hints.conversation.as_deref(), Some("plain"));
}

#[test]
fn usage_is_asked_for_in_place() {
    let rows = [
        (r#"{"stream":true}"#, Some(r#"{"stream_options":{"include_usage":true},"stream":true}"#)),
        (
            r#"{"model":"m", "stream" : true ,"n":1.0}"#,
            Some(r#"{"stream_options":{"include_usage":true},"model":"m", "stream" : true ,"n":1.0}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (
            r#"{"stream":true,"stream_options":null,"x":1}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true},"x":1}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{ "include_obfuscation":false }}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false }}"#),
        ),
        (
            r#"{"stream_options":{"a":1,"include_usage": false },"stream":true}"#,
            Some(r#"{"stream_options":{"a":1,"include_usage": true },"stream":true}"#),
        ),
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, None),
        (r#"{"stream":false}"#, None),
        ("{}", None),
        ("[]", None),
    ];
    for (body, expected) in rows {
        let edited = include_usage(&Bytes::from_static(body.as_bytes()), &chat(body));
        assert_eq!(edited.as_deref(), expected.map(str::as_bytes), "{body}");
        if let Some(edited) = edited {
            let parsed: Value = serde_json::from_slice(&edited).expect("still JSON");
            assert_eq!(parsed["stream_options"]["include_usage"], true, "{body}");
        }
    }
    let elsewhere = Bytes::from_static(br#"{"stream":true}"#);
    assert_eq!(include_usage(&elsewhere, &peek(Dialect::OpenaiResponses, &elsewhere)), None);
}

#[test]
fn both_edits_fit_in_one_copy_in_either_order() {
    for body in [
        r#"{"model":"a","stream":true,"stream_options":{"x":1}}"#,
        r#"{"stream_options":{"x":1},"stream":true,"model":"a"}"#,
    ] {
        let bytes = Bytes::from_static(body.as_bytes());
        let edited = splice(&bytes, &chat(body), Some("b\"c"), true).expect("an edit");
        let parsed: Value = serde_json::from_slice(&edited).expect("still JSON");
        let expected =
            json!({"model": "b\"c", "stream": true, "stream_options": {"include_usage": true, "x": 1}});
        assert_eq!(parsed, expected, "{body}");
        assert_eq!(splice(&bytes, &chat(body), None, false), None);
    }
    let nameless = Bytes::from_static(b"{}");
    assert_eq!(rename_model(&nameless, &chat("{}"), "m"), nameless);
}

#[test]
fn a_model_that_the_path_names_is_renamed_where_the_body_says_it_again() {
    let rows = [
        (r#"{"contents":[{"parts":[{"text":"\"model\":\"a\""}]}],"x":1.0}"#, None),
        (
            r#"{"model":"models/a","content":{"model":"b"}}"#,
            Some(r#"{"model":"models/new \"one\"","content":{"model":"b"}}"#),
        ),
        (r#"{"model":"a"}"#, Some(r#"{"model":"new \"one\""}"#)),
        (
            r#"{"requests":[{"model":"models/a","x":1},{"y":2}, {"model":"models\/a"}]}"#,
            Some(
                r#"{"requests":[{"model":"models/new \"one\"","x":1},{"y":2}, {"model":"models/new \"one\""}]}"#,
            ),
        ),
        (
            r#"{"generateContentRequest":{"model":"models/a","contents":[]}}"#,
            Some(r#"{"generateContentRequest":{"model":"models/new \"one\"","contents":[]}}"#),
        ),
    ];
    for (body, expected) in rows {
        let found = peek(Dialect::Gemini, body.as_bytes());
        assert_eq!((found.model.is_none(), found.stream), (true, None), "{body}");
        let edited = splice(&Bytes::from_static(body.as_bytes()), &found, Some("new \"one\""), false);
        assert_eq!(edited.as_deref(), expected.map(str::as_bytes), "{body}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".*", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_looked_at_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for dialect in Dialect::ALL {
            let found = peek(dialect, &bytes);
            for model in found.model.into_iter().chain(found.model_again) {
                prop_assert!(bytes.get(model.range).is_some());
            }
        }
    }

    #[test]
    fn damaged_bodies_are_edited_without_harm(
        damage in prop::collection::vec((0_usize..150, any::<u8>()), 0..12),
        cut in 0_usize..150,
    ) {
        let mut bytes = br#"{"model":"m","stream":true,"stream_options":{"include_usage":false},"metadata":{"user_id":"x"},"messages":[]}"#.to_vec();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut);
        let body = Bytes::from(bytes);
        let found = peek(Dialect::OpenaiChat, &body);
        let edited = splice(&body, &found, Some("other"), true);
        prop_assert!(edited.is_none_or(|edited| edited.len() + 20 > body.len()));
    }

    #[test]
    fn a_rename_changes_the_model_and_no_other_byte(
        before in any_json(), after in any_json(), old in ".*", new in ".*", pretty in any::<bool>(),
    ) {
        let value = json!({"before": before, "model": old, "after": after});
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let body = Bytes::from(text.expect("a value can be written"));
        let found = peek(Dialect::Anthropic, &body);
        let range = found.model.as_ref().expect("it is there").range.clone();
        let edited = rename_model(&body, &found, &new);
        let parsed: Value = serde_json::from_slice(&edited).expect("still JSON");
        prop_assert_eq!(&parsed["model"], &Value::from(new.as_str()));
        let behind = edited.len() - (body.len() - range.end);
        prop_assert_eq!(&edited[..range.start], &body[..range.start]);
        prop_assert_eq!(&edited[behind..], &body[range.end..]);
    }
}
