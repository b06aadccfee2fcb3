//! What a request loses on its way, and what it must not lose.

use lunaroute_core::conversation::{Allowed, ModelFacts, Sent as Told};
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent, try_sent};

fn user(words: &str) -> Value {
    json!({"role": "user", "content": words})
}

#[test]
fn a_loss_is_told_whatever_stands_before_it() {
    let told: Vec<Value> = (0..80)
        .map(|_| json!({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "r"}]}))
        .collect();
    let sent = sent(
        MESSAGES,
        CHAT,
        &json!({
            "model": "m", "max_tokens": 9, "top_k": 3, "messages": [{"role": "user", "content": told}],
        }),
    );
    assert!(sent.warnings.contains(&"!top_k".to_owned()), "{:?}", sent.warnings);
    assert_eq!(sent.warnings.len(), 65);
    assert!(!sent.warnings.last().expect("one").starts_with('!'), "{:?}", sent.warnings);
}

#[test]
fn several_answers_at_once_are_refused_for_clients_of_gemini_too() {
    let request = |count: u64| {
        json!({
            "model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"candidateCount": count},
        })
    };
    let facts = ModelFacts::default();
    for to in [CHAT, RESPONSES, MESSAGES] {
        let refused =
            try_sent(GEMINI, to, &request(2), &facts, &Profile::default()).expect_err("two answers");
        assert!(refused.message.contains("candidateCount"), "{}", refused.message);
        sent(GEMINI, to, &request(1));
    }
}

#[test]
fn likelihoods_of_tokens_are_not_asked_for_where_they_cannot_be_told() {
    let chat = json!({"model": "m", "logprobs": true, "top_logprobs": 2, "messages": [user("hi")]});
    let responses = json!({"model": "m", "input": "hi", "top_logprobs": 2});
    let gemini = json!({
        "model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"responseLogprobs": true, "logprobs": 2},
    });
    for (from, to, request) in [
        (CHAT, RESPONSES, &chat),
        (CHAT, MESSAGES, &chat),
        (CHAT, GEMINI, &chat),
        (RESPONSES, CHAT, &responses),
        (RESPONSES, GEMINI, &responses),
        (GEMINI, CHAT, &gemini),
        (GEMINI, RESPONSES, &gemini),
    ] {
        let sent = sent(from, to, request);
        let asked = match from {
            CHAT => "!logprobs",
            RESPONSES => "!top_logprobs",
            _ => "!generationConfig.responseLogprobs",
        };
        assert!(sent.warnings.contains(&asked.to_owned()), "{from} to {to}: {:?}", sent.warnings);
        assert!(!sent.body.to_string().to_lowercase().contains("logprobs"), "{from} to {to}: {}", sent.body);
    }
}

#[test]
fn a_request_that_may_be_served_anywhere_is() {
    let request = |place: &str| json!({"model": "m", "max_tokens": 99, "inference_geo": place, "messages": [user("hi")]});
    for to in [CHAT, RESPONSES, GEMINI] {
        assert_eq!(sent(MESSAGES, to, &request("global")).warnings, [""; 0], "{to}");
        let refused = try_sent(MESSAGES, to, &request("us"), &ModelFacts::default(), &Profile::default());
        assert!(refused.is_err_and(|refused| refused.message.contains("'inference_geo'")), "{to}");
    }
    assert_eq!(sent(MESSAGES, MESSAGES, &request("global")).body["inference_geo"], "global");
}

#[test]
fn reasoning_goes_back_within_the_loop_that_it_belongs_to() {
    let thinking = |words: &str| json!({"type": "thinking", "thinking": words, "signature": "s"});
    let tool_use = |id: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {}});
    let result = |id: &str| json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "ok"}]});
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        user("hi"), {"role": "assistant", "content": [thinking("first"), tool_use("a")]}, result("a"),
        {"role": "assistant", "content": [thinking("second"), {"type": "text", "text": "Sun."}]}, user("and now?"),
        {"role": "assistant", "content": [thinking("third"), tool_use("b")]}, result("b"),
        {"role": "assistant", "content": [thinking("fourth"), tool_use("c")]}, result("c"),
    ]});
    let profile = Profile { takes_reasoning: true, ..Profile::default() };
    let sent = try_sent(MESSAGES, CHAT, &request, &ModelFacts::default(), &profile).expect("it crosses");
    let told: Vec<&str> = sent.body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|message| message["reasoning_content"].as_str())
        .collect();
    assert_eq!(told, ["third", "fourth"]);
}

#[test]
fn a_turn_of_the_system_stands_where_the_model_takes_one() {
    let system = |words: &str| json!({"role": "system", "content": words});
    let assistant = json!({"role": "assistant", "content": "ok"});
    let facts = ModelFacts { system_turns: Allowed::Yes, ..ModelFacts::default() };
    for (messages, roles) in [
        (json!([user("a"), system("s")]), json!(["user", "system"])),
        (
            json!([user("a"), system("s"), system("t"), assistant, user("b")]),
            json!(["user", "system", "assistant", "user"]),
        ),
        // Between two of the user's turns there is no place for one.
        (json!([user("a"), system("s"), user("b")]), json!(["user"])),
        (json!([user("a"), assistant, system("s"), user("b")]), json!(["user", "assistant", "user"])),
        (json!([user("a"), assistant, system("s")]), json!(["user", "assistant", "user"])),
    ] {
        let request = json!({"model": "m", "messages": messages});
        let sent = try_sent(CHAT, MESSAGES, &request, &facts, &Profile::default()).expect("it crosses");
        let told: Vec<&Value> = sent.body["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| &message["role"])
            .collect();
        assert_eq!(json!(told), roles, "{messages}");
    }
}

#[test]
fn to_say_what_is_shown_of_thinking_switches_none_on() {
    let gemini = |shown: bool| {
        json!({
            "model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"temperature": 0.2, "thinkingConfig": {"includeThoughts": shown}},
        })
    };
    let responses =
        json!({"model": "m", "input": "hi", "temperature": 0.2, "reasoning": {"summary": "auto"}});
    let adaptive = ModelFacts { thinking: Told::Adaptive, ..ModelFacts::default() };
    let always = ModelFacts { thinking_off: Allowed::No, ..adaptive.clone() };
    for (from, request, display) in [
        (GEMINI, gemini(false), "omitted"),
        (GEMINI, gemini(true), "summarized"),
        (RESPONSES, responses, "summarized"),
    ] {
        let ask = |facts: &ModelFacts| {
            try_sent(from, MESSAGES, &request, facts, &Profile::default()).expect("it crosses")
        };
        let quiet = ask(&adaptive);
        assert_eq!(quiet.body.get("thinking"), None, "{request}");
        assert_eq!(quiet.body["temperature"].to_string(), "0.2", "{request}");
        assert_eq!(quiet.warnings, [""; 0], "{request}");
        // A model that thinks in any case is told how to show it.
        let thinks = ask(&always);
        assert_eq!(thinks.body["thinking"], json!({"type": "adaptive", "display": display}), "{request}");
    }
}

#[test]
fn thinking_that_is_not_asked_for_is_not_lost() {
    let facts = ModelFacts { thinking: Told::Nothing, ..ModelFacts::default() };
    let messages = |thinking: Value| json!({"model": "m", "max_tokens": 9_000, "messages": [user("hi")], "thinking": thinking});
    let chat = |effort: &str| json!({"model": "m", "messages": [user("hi")], "reasoning_effort": effort});
    let responses = |reasoning: Value| json!({"model": "m", "input": "hi", "reasoning": reasoning});
    for (from, request, is_lost) in [
        (MESSAGES, messages(json!({"type": "disabled"})), false),
        (MESSAGES, messages(json!({"type": "adaptive"})), true),
        (MESSAGES, messages(json!({"type": "enabled", "budget_tokens": 2_048})), true),
        (CHAT, chat("none"), false),
        (CHAT, chat("low"), true),
        (RESPONSES, responses(json!({"summary": "auto"})), false),
        (RESPONSES, responses(json!({"effort": "high", "summary": "auto"})), true),
    ] {
        for to in [CHAT, RESPONSES, MESSAGES, GEMINI].into_iter().filter(|to| *to != from) {
            let sent = try_sent(from, to, &request, &facts, &Profile::default()).expect("it crosses");
            assert_eq!(!sent.warnings.is_empty(), is_lost, "{from} to {to}: {request}: {:?}", sent.warnings);
        }
    }
}

#[test]
fn words_to_go_on_from_are_refused_where_nobody_goes_on() {
    let messages = json!([user("hi"), {"role": "assistant", "content": "Well"}]);
    let contents = json!([
        {"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "Well"}]},
    ]);
    let asked = json!({"model": "m", "max_tokens": 99, "messages": messages});
    for (from, request) in [(MESSAGES, &asked), (GEMINI, &json!({"model": "m", "contents": contents}))] {
        for to in [CHAT, RESPONSES] {
            let refused = try_sent(from, to, request, &ModelFacts::default(), &Profile::default());
            assert!(refused.is_err_and(|refused| refused.message.contains("assistant")), "{from} to {to}");
        }
    }
    // Chat's own models begin anew as well.
    assert_eq!(sent(CHAT, RESPONSES, &asked).warnings, [""; 0]);
}

#[test]
fn a_form_that_nobody_knows_is_named() {
    let schema = json!({"type": "object", "properties": {}});
    let chat = |format: Value| json!({"model": "m", "messages": [user("hi")], "response_format": format});
    let responses = |format: Value| json!({"model": "m", "input": "hi", "text": {"format": format}});
    for (from, request, lost) in [
        (CHAT, chat(json!({"type": "json_schema", "schema": schema})), &["!response_format"][..]),
        (CHAT, chat(json!({"type": "hologram"})), &["!response_format"]),
        (CHAT, chat(json!({"type": "text"})), &[]),
        (RESPONSES, responses(json!({"type": "grammar", "definition": "x"})), &["!text.format"]),
        (RESPONSES, responses(json!({"type": "text"})), &[]),
    ] {
        for to in [CHAT, RESPONSES, MESSAGES, GEMINI].into_iter().filter(|to| *to != from) {
            assert_eq!(sent(from, to, &request).warnings, lost, "{from} to {to}: {request}");
        }
    }
}

#[test]
fn a_value_of_another_kind_is_refused_by_its_name() {
    for (name, value) in [
        ("max_tokens", json!(100.5)),
        ("max_tokens", json!("100")),
        ("stop", json!([1])),
        ("stop", json!({"a": 1})),
        ("modalities", json!(["text", "audio"])),
    ] {
        let mut request = json!({"model": "m", "messages": [user("hi")]});
        request[name] = value.clone();
        for to in [RESPONSES, MESSAGES, GEMINI] {
            let refused = try_sent(CHAT, to, &request, &ModelFacts::default(), &Profile::default());
            let refused = refused.map(|sent| sent.body).expect_err(name);
            assert!(refused.message.contains(&format!("'{name}'")), "{to}: {refused}");
        }
    }
    let request = json!({"model": "m", "messages": [user("hi")], "modalities": ["text"], "stop": null, "max_tokens": null});
    for to in [RESPONSES, MESSAGES, GEMINI] {
        assert_eq!(sent(CHAT, to, &request).warnings, [""; 0], "{to}");
    }
    assert_eq!(sent(CHAT, CHAT, &request).body["modalities"], json!(["text"]));
}

#[test]
fn a_validated_choice_among_some_functions_leaves_the_others_out() {
    let request = json!({
        "model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["a"]}},
    });
    let messages = sent(GEMINI, MESSAGES, &request).body;
    let names: Vec<&Value> =
        messages["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]).collect();
    assert_eq!((names, &messages["tool_choice"]), (vec![&json!("a")], &json!({"type": "auto"})));
    let chat = sent(GEMINI, CHAT, &request).body;
    assert_eq!(chat["tool_choice"]["allowed_tools"]["mode"], "auto");
    assert_eq!(chat["tool_choice"]["allowed_tools"]["tools"][0]["function"]["name"], "a");
    assert_eq!(sent(GEMINI, GEMINI, &request).body["toolConfig"], request["toolConfig"]);
}

#[test]
fn what_a_client_of_openai_notes_goes_on_to_responses() {
    let noted = json!({"ticket": "17"});
    let chat = json!({"model": "m", "messages": [user("hi")], "metadata": noted});
    let sent_on = sent(CHAT, RESPONSES, &chat);
    assert_eq!((&sent_on.body["metadata"], sent_on.warnings.len()), (&noted, 0));
    let responses = json!({"model": "m", "input": "hi", "metadata": noted});
    assert_eq!(sent(RESPONSES, CHAT, &responses).body.get("metadata"), None);
    let messages =
        json!({"model": "m", "max_tokens": 9, "messages": [user("hi")], "metadata": {"user_id": "u"}});
    assert_eq!(sent(MESSAGES, RESPONSES, &messages).body.get("metadata"), None);
}

#[test]
fn fields_are_counted_as_the_caller_wrote_them() {
    let orphan =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "r"}]});
    let messages = json!({"model": "m", "max_tokens": 9, "system": "Be kind.", "messages": [orphan]});
    let gave = json!({"functionResponse": {"name": "f", "response": {"output": "r"}}});
    let contents = json!({
        "model": "m", "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "user", "parts": [gave]}],
    });
    let function = |name: &str| json!({"type": "function", "name": name, "parameters": {}, "strict": false});
    let group =
        json!({"type": "namespace", "name": "n", "tools": [function("a"), function("b"), function("c")]});
    let grouped =
        json!({"model": "m", "input": "hi", "tools": [group, {"type": "image_generation"}, function("d")]});
    let entries = json!({
        "model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}, {"googleMaps": {}}],
    });
    let raw = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    let ran = json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}, raw]}]});
    for (from, to, request, warnings) in [
        (MESSAGES, CHAT, messages, &["messages[0].content[0]"][..]),
        (GEMINI, CHAT, ran, &["contents[0].parts[1]"]),
        (GEMINI, CHAT, contents, &["contents[1].parts[0]"]),
        (RESPONSES, CHAT, grouped, &["!tools[1]"]),
        (GEMINI, MESSAGES, entries, &["!tools[1]"]),
    ] {
        assert_eq!(sent(from, to, &request).warnings, warnings, "{from} to {to}: {request}");
    }
}
