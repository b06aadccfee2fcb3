//! Every ordered pair of dialects, case by case: requests, answers, streams and errors as they come out.

use http::{HeaderMap, StatusCode};
use insta::Settings;
use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::{Meaning, Profile, told_error};
use lunaroute_dialect::error::upstream_error;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, streamed, try_sent};

const REQUESTS: [&str; 12] = [
    "text",
    "multi_turn",
    "one_tool",
    "parallel_tools",
    "tool_error",
    "tool_image",
    "custom_tools",
    "image",
    "pdf",
    "thinking_tools",
    "structured",
    "stop_sequence",
];

const ANSWERS: [&str; 9] = [
    "text",
    "one_tool",
    "parallel_tools",
    "thinking_tools",
    "structured",
    "refusal",
    "length",
    "stop_sequence",
    "usage_cache",
];

const ERRORS: [&str; 4] = ["context_too_long", "rate_limit", "no_credit", "overloaded"];

const fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "chat",
        Dialect::OpenaiResponses => "responses",
        Dialect::Anthropic => "messages",
        Dialect::Gemini => "gemini",
    }
}

fn source(dialect: Dialect, name: &str) -> Option<String> {
    let path =
        format!("{}/tests/fixtures/cross/sources/{}/{name}", env!("CARGO_MANIFEST_DIR"), word(dialect));
    std::fs::read_to_string(path).ok()
}

fn json_source(dialect: Dialect, name: &str) -> Option<Value> {
    source(dialect, name).map(|text| serde_json::from_str(&text).expect("a fixture is JSON"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is JSON")
}

/// Compares what a way makes of all of its cases with what was read and found right. `from` is who sends it.
fn check(from: Dialect, to: Dialect) {
    let mut settings = Settings::new();
    settings.set_snapshot_path(format!("../../fixtures/cross/{}-{}", word(from), word(to)));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let shot = |name: String, text: String| settings.bind(|| insta::assert_snapshot!(name, text));
    let mut count = 0;
    for case in REQUESTS {
        let Some(request) = json_source(from, &format!("{case}.request.json")) else { continue };
        let told = match try_sent(from, to, &request, &ModelFacts::default(), &Profile::default()) {
            Ok(sent) => pretty(&json!({"body": sent.body, "warnings": sent.warnings})),
            Err(failure) => format!("refused: {failure}"),
        };
        shot(format!("{case}.request"), told);
        count += 1;
    }
    for case in ANSWERS {
        let answer = json_source(from, &format!("{case}.response.json")).expect("every dialect answers so");
        shot(format!("{case}.response"), pretty(&answered(from, to, &answer, &asked(to, from))));
        let stream = source(from, &format!("{case}.stream.txt")).expect("and streams it");
        shot(format!("{case}.stream"), streamed(from, to, &stream, asked(to, from)));
        count += 2;
    }
    let broken = source(from, "mid_stream_error.stream.txt").expect("every dialect breaks so");
    shot("mid_stream_error.stream".to_owned(), streamed(from, to, &broken, asked(to, from)));
    for case in ERRORS {
        let error = json_source(from, &format!("{case}.error.json")).expect("every dialect errs so");
        let status = u16::try_from(error["status"].as_u64().expect("a status")).expect("a status");
        let status = StatusCode::from_u16(status).expect("a status");
        let body = error["body"].to_string();
        let error = upstream_error(status, &HeaderMap::new(), body.as_bytes()).expect("an error");
        let meaning = Meaning::of(Some(status), &error, true);
        let (status, body) = told_error(to, meaning, &error.message, "req_gateway");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        shot(format!("{case}.error"), pretty(&json!({"status": status.as_u16(), "body": body})));
        count += 1;
    }
    assert!(count >= 32, "{count} cases only");
}

#[test]
fn chat_to_responses() {
    check(CHAT, RESPONSES);
}

#[test]
fn chat_to_messages() {
    check(CHAT, MESSAGES);
}

#[test]
fn chat_to_gemini() {
    check(CHAT, GEMINI);
}

#[test]
fn responses_to_gemini() {
    check(RESPONSES, GEMINI);
}

#[test]
fn messages_to_gemini() {
    check(MESSAGES, GEMINI);
}

#[test]
fn responses_to_chat() {
    check(RESPONSES, CHAT);
}

#[test]
fn responses_to_messages() {
    check(RESPONSES, MESSAGES);
}

#[test]
fn messages_to_chat() {
    check(MESSAGES, CHAT);
}

#[test]
fn messages_to_responses() {
    check(MESSAGES, RESPONSES);
}

#[test]
fn gemini_to_chat() {
    check(GEMINI, CHAT);
}

#[test]
fn gemini_to_responses() {
    check(GEMINI, RESPONSES);
}

#[test]
fn gemini_to_messages() {
    check(GEMINI, MESSAGES);
}
