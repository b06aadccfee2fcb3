//! Frames over WebSocket, and conversations that go on from an earlier answer.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lunaroute_dialect::responses::{
    AnswerItems, error_frame, event_frame, expand, input_items, is_stored, read_frame,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_frame_becomes_the_body_of_a_post_with_the_clients_own_bytes() {
    let frame = r#" { "type":"response.create", "model" : "m","stream_id":"a","generate":false,
        "input":[{"n":1.0,"big":12345678901234567890}], "store": false,"background":true } "#;
    let read = read_frame(frame.as_bytes());
    let create = read.asked.expect("it is one");
    assert_eq!((read.stream_id.as_deref(), create.is_warm_up), (Some("a"), true));
    let expected =
        r#"{"model":"m","input":[{"n":1.0,"big":12345678901234567890}],"store":false,"stream":true}"#;
    assert_eq!(create.body, expected);
    assert_eq!(read_frame(br#"{"type":"response.create"}"#).asked.expect("one").body, r#"{"stream":true}"#);
    for other in ["", "[]", "{", r#"{"type":"response.steer"}"#, r#"{"model":"m"}"#, r#"{"type":7}"#] {
        assert!(read_frame(other.as_bytes()).asked.is_err(), "{other}");
    }
}

#[test]
fn earlier_items_go_before_the_new_ones() {
    let body = Bytes::from_static(br#"{"previous_response_id":"r","input":"now","model":"m"}"#);
    let whole = expand(&body, [br#"{"a":1}"#.as_slice(), b"", br#"{"b":2},{"c":3}"#]);
    let user = json!({"type": "message", "role": "user", "content": "now"});
    assert_eq!(
        parsed(std::str::from_utf8(&whole).expect("text")),
        json!({"model": "m", "input": [{"a": 1}, {"b": 2}, {"c": 3}, user]})
    );
    let alone = expand(&Bytes::from_static(br#"{"previous_response_id":"r"}"#), [br#"{"a":1}"#.as_slice()]);
    assert_eq!(alone, r#"{"input":[{"a":1}]}"#);
    assert_eq!(input_items(br#"{"input":[ 1, 2 ]}"#).as_deref(), Some(b"1, 2".as_slice()));
    assert_eq!(input_items(br#"{"model":"m"}"#), None);
    assert_eq!((is_stored(b"{}"), is_stored(br#"{"store":false}"#)), (true, false));
}

#[test]
fn an_answer_is_gathered_whole_or_not_at_all() {
    let item =
        json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": []});
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let events = [
        json!({"type": "response.created", "response": {"id": "resp_1"}}),
        json!({"type": "response.output_item.done", "item": thought}),
        json!({"type": "response.output_item.done", "item": item}),
    ];
    for (sealed_only, expected) in [
        (true, r#"{"type":"message","role":"assistant","content":[]}"#),
        (false, r#"{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[]}"#),
    ] {
        let mut gathered = AnswerItems::new(sealed_only);
        events.iter().for_each(|event| gathered.event(event.to_string().as_bytes()));
        assert!(!gathered.is_whole());
        gathered.event(br#"{"type":"response.completed","response":{"id":"resp_1"}}"#);
        let (id, items) = gathered.finish().expect("it is whole");
        assert_eq!((id.as_str(), String::from_utf8(items).expect("text").as_str()), ("resp_1", expected));
        let mut plain = AnswerItems::new(sealed_only);
        plain.answer(
            json!({"id": "resp_1", "status": "completed", "output": [thought, item]}).to_string().as_bytes(),
        );
        assert_eq!(plain.finish().map(|(_, items)| items), Some(expected.into()));
    }
    let mut broken = AnswerItems::new(false);
    events.iter().for_each(|event| broken.event(event.to_string().as_bytes()));
    broken.event(br#"{"type":"response.failed","response":{"id":"resp_1"}}"#);
    assert!(broken.finish().is_none());
}

#[test]
fn errors_have_the_status_of_an_answer() {
    let flat = br#"{"type":"error","code":"rate_limit_exceeded","message":"slow","sequence_number":3}"#;
    let told = parsed(&event_frame(flat, Some("a")).expect("an event"));
    assert_eq!(
        (&told["status"], &told["error"]["code"], &told["stream_id"]),
        (&json!(429), &json!("rate_limit_exceeded"), &json!("a"))
    );
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", http::HeaderValue::from_static("9"));
    headers.insert("set-cookie", http::HeaderValue::from_static("secret"));
    let told = parsed(&error_frame(StatusCode::BAD_GATEWAY, &headers, b"<html>no</html>", None));
    assert_eq!((&told["status"], &told["headers"]), (&json!(502), &json!({"retry-after": "9"})));
    assert!(told["error"]["message"].as_str().expect("a sentence").contains("no"));
    for odd in ["[]", "7", r#"{"error":"no"}"#, ""] {
        let told = parsed(&error_frame(StatusCode::BAD_REQUEST, &HeaderMap::new(), odd.as_bytes(), None));
        assert!(told["error"].is_object(), "{odd}");
    }
    assert_eq!(event_frame(b"[DONE]", None), None);
    assert_eq!(event_frame(b"{}", Some("a")).as_deref(), Some(r#"{"stream_id":"a"}"#));
}

proptest! {
    #[test]
    fn nothing_that_a_client_or_a_provider_sends_brings_them_down(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"[{}\[\]",:a-z0-9 ]{0,80}"#.prop_map(String::into_bytes),
            r#"\{"type":"(response.create|error|response.output_item.done)","(input|item)":[{}\[\]",:a-z0-9 ]{0,40}"#
                .prop_map(String::into_bytes),
        ]
    ) {
        if let Ok(create) = read_frame(&bytes).asked {
            prop_assert!(serde_json::from_slice::<Value>(&create.body).is_ok() || !is_json(&bytes));
        }
        if let Some(message) = event_frame(&bytes, Some("lane")).filter(|_| is_json(&bytes)) {
            prop_assert_eq!(&parsed(&message)["stream_id"], "lane");
        }
        let refused = error_frame(StatusCode::BAD_REQUEST, &HeaderMap::new(), &bytes, None);
        prop_assert_eq!(&parsed(&refused)["status"], 400);
        let whole = expand(&Bytes::from(bytes.clone()), [b"{}".as_slice()]);
        prop_assert!(is_json(&whole) || !is_json(&bytes));
        let mut gathered = AnswerItems::new(true);
        gathered.event(&bytes);
        gathered.answer(&bytes);
        prop_assert!(gathered.size() <= 2 * bytes.len());
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok()
}
