//! What a request may say in its own dialect, looked at before it leaves it.

use lunaroute_core::Dialect;
use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent, try_sent};

/// A request of this dialect with further members; those of Gemini's configuration by their path.
fn request(from: Dialect, name: &str, value: &Value) -> Value {
    let mut request = match from {
        Dialect::OpenaiChat => json!({"model": "m", "messages": [{"role": "user", "content": "q"}]}),
        Dialect::OpenaiResponses => json!({"model": "m", "input": [{"role": "user", "content": "q"}]}),
        Dialect::Anthropic => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]})
        }
        Dialect::Gemini => json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "q"}]}]}),
    };
    match name.split_once('.') {
        Some((member, name)) => request[member][name] = value.clone(),
        None => request[name] = value.clone(),
    }
    request
}

/// Every other dialect refuses to be sent this; the dialect itself keeps it as it is.
#[track_caller]
fn check(from: Dialect, request: &Value, name: &str) {
    for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
        let crossed = try_sent(from, to, request, &ModelFacts::default(), &Profile::default());
        let failure = crossed.map(|sent| sent.body).expect_err(name);
        assert!(failure.message.starts_with(&format!("'{name}' ")), "{from} to {to}: {failure}");
    }
    try_sent(from, from, request, &ModelFacts::default(), &Profile::default()).expect("its own to judge");
}

#[test]
fn a_number_beyond_its_range_is_refused_under_the_callers_name() {
    let openai = ["temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "n"];
    let google = ["temperature", "topP", "topK", "frequencyPenalty", "presencePenalty", "candidateCount"]
        .map(|name| format!("generationConfig.{name}"));
    let beyond = [
        (json!(2.01), json!(-0.1)),
        (json!(1.5), json!(-1)),
        (json!(-0.5), json!(-2)),
        (json!(2.5), json!(-3)),
        (json!(2.5), json!(-3)),
        (json!(11), json!(0)),
    ];
    for (place, (above, below)) in beyond.iter().enumerate() {
        for value in [above, below] {
            check(CHAT, &request(CHAT, openai[place], value), openai[place]);
            check(GEMINI, &request(GEMINI, &google[place], value), &google[place]);
            if place < 2 {
                check(RESPONSES, &request(RESPONSES, openai[place], value), openai[place]);
            }
            if place < 3 {
                check(MESSAGES, &request(MESSAGES, openai[place], value), openai[place]);
            }
        }
    }
    check(MESSAGES, &request(MESSAGES, "temperature", &json!(1.1)), "temperature");
    check(CHAT, &request(CHAT, "max_tokens", &json!(0)), "max_completion_tokens");
    check(RESPONSES, &request(RESPONSES, "max_output_tokens", &json!(0)), "max_output_tokens");
    check(MESSAGES, &request(MESSAGES, "max_tokens", &json!(0)), "max_tokens");
    let name = "generationConfig.maxOutputTokens";
    check(GEMINI, &request(GEMINI, name, &json!(0)), name);
}

#[test]
fn what_is_within_its_range_crosses() {
    for (name, value) in [
        ("temperature", json!(2)),
        ("temperature", json!(0)),
        ("top_p", json!(1.0)),
        ("top_p", json!(0)),
        ("top_k", json!(1)),
        ("frequency_penalty", json!(-2)),
        ("presence_penalty", json!(2.0)),
        ("n", json!(1)),
        ("max_tokens", json!(1)),
        ("model", json!("m".repeat(256))),
    ] {
        for to in [RESPONSES, MESSAGES, GEMINI] {
            sent(CHAT, to, &request(CHAT, name, &value));
        }
    }
}

#[test]
fn a_choice_among_all_tokens_is_none() {
    for all in [json!(0), json!(-1)] {
        for (from, name) in [(CHAT, "top_k"), (MESSAGES, "top_k"), (GEMINI, "generationConfig.topK")] {
            let asked = request(from, name, &all);
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                let profile = Profile { legacy_max_tokens: true, ..Profile::default() };
                let told = try_sent(from, to, &asked, &ModelFacts::default(), &profile).expect("it crosses");
                let is_told =
                    ["/top_k", "/generationConfig/topK"].iter().any(|at| told.body.pointer(at).is_some());
                // The few tokens of a request of Messages are fewer than Responses takes.
                let is_named = told.warnings.iter().any(|path| path.contains("top"));
                assert!(!is_told && !is_named, "{from} to {to}: {}, {:?}", told.body, told.warnings);
            }
            let kept = sent(from, from, &asked).body;
            let at = if from == GEMINI { "/generationConfig/topK" } else { "/top_k" };
            assert_eq!(kept.pointer(at), Some(&all), "{from}");
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    for from in Dialect::ALL {
        check(from, &request(from, "model", &json!("é".repeat(257))), "model");
    }
    let said = json!({"role": "user", "content": "q"});
    let many = request(CHAT, "messages", &json!(vec![said; 100_001]));
    let crossed = try_sent(CHAT, MESSAGES, &many, &ModelFacts::default(), &Profile::default());
    let failure = crossed.map(|sent| sent.body).expect_err("too many");
    assert!(failure.message.contains("100000"), "{failure}");

    let call = |length: usize| {
        let arguments = format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        request(
            CHAT,
            "messages",
            &json!([
                {"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "r"},
            ]),
        )
    };
    sent(CHAT, MESSAGES, &call(1 << 20));
    check(CHAT, &call((1 << 20) + 1), "messages");
}

#[test]
fn a_schema_has_to_be_an_object() {
    for schema in [json!("object"), json!([]), json!(true)] {
        let chat = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
        check(CHAT, &request(CHAT, "tools", &chat), "tools");
        let responses = json!([{"type": "function", "name": "f", "parameters": schema}]);
        check(RESPONSES, &request(RESPONSES, "tools", &responses), "tools");
        let messages = json!([{"name": "f", "input_schema": schema}]);
        check(MESSAGES, &request(MESSAGES, "tools", &messages), "tools");
        let gemini = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
        check(GEMINI, &request(GEMINI, "tools", &gemini), "tools");
    }
}
