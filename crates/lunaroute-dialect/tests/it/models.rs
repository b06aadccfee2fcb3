//! Lists of models.

use lunaroute_core::{Dialect, Timestamp};
use lunaroute_dialect::models::{Entry, Shape, merge, render};
use serde_json::{Value, json};

use crate::headers;

fn entries() -> Vec<Entry> {
    ["smart", "fast"]
        .map(|id| Entry {
            id: id.to_owned(),
            display_name: format!("The {id} one"),
            owned_by: "house".to_owned(),
            created: Timestamp::from_micros(1_795_222_800_000_000),
        })
        .to_vec()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn the_caller_chooses_the_shape() {
    type Row = (&'static [(&'static str, &'static str)], Option<&'static str>, Shape);
    let rows: [Row; 6] = [
        (&[], None, Shape::Openai),
        (&[("anthropic-version", "2023-06-01")], Some("limit=1000"), Shape::Anthropic),
        (&[("anthropic-version", "2023-06-01")], Some("client_version=1"), Shape::Anthropic),
        (&[], Some("a=b&client_version=0.169.0"), Shape::Codex),
        (&[], Some("client_version"), Shape::Codex),
        (&[], Some("xclient_version=1"), Shape::Openai),
    ];
    for (pairs, query, expected) in rows {
        assert_eq!(Shape::of(Dialect::OpenaiChat, &headers(pairs), query), expected, "{query:?}");
        assert_eq!(Shape::of(Dialect::Gemini, &headers(pairs), query), Shape::Gemini, "{query:?}");
    }
}

#[test]
fn each_shape_has_its_members() {
    let openai = parsed(&render(Shape::Openai, &entries()));
    assert_eq!(openai["object"], "list");
    assert_eq!(
        openai["data"][0],
        json!({"id": "smart", "object": "model", "created": 1_795_222_800, "owned_by": "house"})
    );
    let anthropic = parsed(&render(Shape::Anthropic, &entries()));
    assert_eq!(anthropic["data"][1]["created_at"], "2026-11-21T01:00:00.000000Z");
    let (first, last) = (&anthropic["first_id"], &anthropic["last_id"]);
    assert_eq!((first, last, &anthropic["has_more"]), (&json!("smart"), &json!("fast"), &json!(false)));
    let codex = parsed(&render(Shape::Codex, &entries()));
    assert_eq!(codex["models"][0]["slug"], "smart");
    assert_eq!(codex["data"], openai["data"]);
    assert_eq!(parsed(&render(Shape::Anthropic, &[]))["first_id"], Value::Null);
    let gemini = parsed(&render(Shape::Gemini, &entries()));
    assert_eq!(gemini["models"][0]["name"], "models/smart");
    assert_eq!(gemini["models"][0]["supportedGenerationMethods"][0], "generateContent");
}

#[test]
fn a_providers_list_keeps_its_bytes() {
    let upstream =
        br#"{ "object":"list", "data":[ {"id":"gpt","x":1.0,"x":2} , {"id":"fast"} ], "more":"]" }"#;
    let merged = merge(Shape::Openai, upstream, &entries());
    let added = r#",{"id":"smart","object":"model","created":1795222800,"owned_by":"house"}"#;
    let text = std::str::from_utf8(&merged).expect("text");
    assert_eq!(text.replacen(added, "", 1).as_bytes(), upstream, "'fast' is there already, 'smart' is added");
    let none = merge(Shape::Anthropic, br#"{"data":[],"has_more":false}"#, &entries());
    assert_eq!(parsed(&none)["data"].as_array().map(Vec::len), Some(2));
    let codex = merge(Shape::Codex, br#"{"models":[{"slug":"smart"}]}"#, &entries());
    assert_eq!(parsed(&codex)["models"].as_array().map(Vec::len), Some(2));
    let gemini = br#"{"models":[{"name":"models/fast"}],"nextPageToken":"x"}"#;
    let merged = parsed(&merge(Shape::Gemini, gemini, &entries()));
    assert_eq!(
        (&merged["models"][1]["name"], &merged["nextPageToken"]),
        (&json!("models/smart"), &json!("x"))
    );
    assert_eq!(merged["models"].as_array().map(Vec::len), Some(2), "'fast' is there already");
    for rubbish in [b"<html>".as_slice(), b"", b"{\"data\":[", b"{\"data\":7}", b"[]"] {
        assert_eq!(merge(Shape::Openai, rubbish, &entries()), render(Shape::Openai, &entries()));
    }
}
