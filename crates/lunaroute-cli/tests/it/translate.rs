//! `lunaroute translate`: a request on standard input, the same in another dialect on standard output.

use std::io::Write;
use std::process::{Output, Stdio};

use lunaroute_core::Dialect;
use serde_json::{Value, json};

use crate::support::dialogue::{body, pairs, question};
use crate::support::gateway::command;

fn translate(arguments: &[&str], body: &str) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    let mut child = command(home.path())
        .arg("translate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(body.as_bytes()).expect("it reads");
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn every_request_is_shown_in_every_other_dialect() {
    for (from, to) in pairs() {
        let [from_name, to_name] = [from, to].map(|dialect| dialect.as_str().replace('_', "-"));
        let body = body(from, &question(from, "gpt-5", true));
        let output =
            translate(&["--from", &from_name, "--to", &to_name, "--model", "claude-opus-4-6"], &body);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // Gemini's body says neither the model nor whether a stream is asked for.
        let (model, stream) = match (from, to) {
            (_, Dialect::Gemini) => (Value::Null, Value::Null),
            (Dialect::Gemini, _) => (json!("claude-opus-4-6"), shown["stream"].clone()),
            _ => (json!("claude-opus-4-6"), json!(true)),
        };
        assert_eq!((&shown["model"], &shown["stream"]), (&model, &stream), "{from} to {to}");
        assert!(shown["tools"].to_string().contains("weather"), "{shown}");
    }
}

#[test]
fn what_is_lost_is_told_and_fails_when_it_must_not_be() {
    let mut body = question(Dialect::OpenaiChat, "gpt-5", false);
    body["logit_bias"] = json!({ "50256": -100 });
    let body = body.to_string();
    let ways = ["--from", "openai-chat", "--to", "anthropic"];
    let output = translate(&ways, &body);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("lost: logit_bias: "), "{told}");
    let strict = translate(&[&ways[..], &["--strict"]].concat(), &body);
    assert_eq!((strict.status.code(), strict.stdout), (Some(1), output.stdout));
}

#[test]
fn the_catalog_knows_what_the_named_model_takes() {
    let body = json!({
        "model": "any", "messages": [{ "role": "user", "content": "Hello" }],
        "max_completion_tokens": 100_000, "temperature": 0.3,
    })
    .to_string();
    let of = |model: &str| -> Value {
        let output = translate(&["--from", "chat", "--to", "messages", "--model", model], &body);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let (old, new) = (of("claude-3-haiku-20240307"), of("claude-opus-4-8"));
    assert_eq!((&old["max_tokens"], &old["temperature"]), (&json!(4_096), &json!(0.3)));
    assert_eq!((&new["max_tokens"], &new["temperature"]), (&json!(100_000), &Value::Null));
}

#[test]
fn what_a_configured_provider_does_otherwise_is_respected() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("local.yaml");
    let yaml = "providers:\n  vllm: { dialect: openai, base_url: 'http://127.0.0.1:1', differences: [legacy_max_tokens] }\n";
    std::fs::write(&file, yaml).expect("written");
    let body = question(Dialect::Anthropic, "m", false).to_string();
    let of = |provider: &str| {
        let config = file.to_str().expect("UTF-8");
        translate(
            &["--config", config, "--from", "anthropic", "--to", "openai-chat", "--provider", provider],
            &body,
        )
    };
    let known = of("vllm");
    let shown: Value = serde_json::from_slice(&known.stdout).expect("JSON");
    assert_eq!((&shown["max_tokens"], shown.get("max_completion_tokens")), (&json!(2_048), None), "{shown}");
    let unknown = of("nobody");
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && told.contains("'nobody'"), "{told}");
}

#[test]
fn what_is_no_request_is_refused_with_the_field() {
    for (body, expected) in
        [("no JSON", "no JSON"), ("[]", "no JSON object"), (r#"{"model":"m","messages":7}"#, "'messages'")]
    {
        let output = translate(&["--from", "openai-chat", "--to", "anthropic"], body);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(expected), "{body}: {told}");
    }
}
