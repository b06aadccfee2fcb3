//! How an answer is to be made: limits, sampling, thinking, choices, forms.

use lunaroute_core::conversation::{Allowed, Effort, ModelFacts, Sent};
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, answered, sent, try_sent};

fn chat(more: Value) -> Value {
    let mut request = json!({"model": "asked-model", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

fn to_messages(more: Value, facts: &ModelFacts) -> super::Sent {
    try_sent(CHAT, MESSAGES, &chat(more), facts, &Profile::default()).expect("it crosses")
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}})
}

#[test]
fn case_33_a_model_of_fixed_sampling_is_not_told_a_temperature() {
    let facts = ModelFacts { sampling: Allowed::No, ..ModelFacts::default() };
    assert_eq!(to_messages(json!({"temperature": 1}), &facts).body.get("temperature"), None);
    assert_eq!(to_messages(json!({"temperature": 1}), &ModelFacts::default()).body["temperature"], 1);
}

#[test]
fn case_34_sampling_is_held_to_what_the_model_takes() {
    let warm = to_messages(json!({"temperature": 1.5}), &ModelFacts::default());
    assert_eq!(
        (&warm.body["temperature"], &warm.warnings[..]),
        (&json!(1.0), &["temperature".to_owned()][..])
    );
    let facts = ModelFacts { temperature_with_top_p: Allowed::No, ..ModelFacts::default() };
    let both = to_messages(json!({"temperature": 0.5, "top_p": 0.9}), &facts);
    assert_eq!(both.body.get("top_p"), None);
    assert_eq!(both.warnings, ["!top_p"]);
    assert_eq!(both.body["temperature"].to_string(), "0.5", "as it was spelled");
}

#[test]
fn case_35_a_limit_there_has_to_be_and_it_is_the_models() {
    let small = ModelFacts { max_output: Some(8_192), ..ModelFacts::default() };
    let none = to_messages(json!({}), &small);
    assert_eq!((&none.body["max_tokens"], none.warnings.len()), (&json!(8_192), 0));
    assert_eq!(to_messages(json!({}), &ModelFacts::default()).body["max_tokens"], 32_000);
    let narrow = ModelFacts { context: Some(8_192), ..ModelFacts::default() };
    assert_eq!(to_messages(json!({"max_tokens": 100_000}), &narrow).body["max_tokens"], 8_192);
    let above = to_messages(json!({"max_tokens": 100_000}), &small);
    assert_eq!(
        (&above.body["max_tokens"], &above.warnings[..]),
        (&json!(8_192), &["max_tokens".to_owned()][..])
    );
}

#[test]
fn case_36_thinking_that_does_not_fit_is_left_out() {
    let facts = ModelFacts { thinking: Sent::Budget, ..ModelFacts::default() };
    let short = to_messages(json!({"reasoning_effort": "high", "max_tokens": 1_000}), &facts);
    assert_eq!(short.body.get("thinking"), None);
    assert_eq!(short.warnings, ["!reasoning_effort"]);
    let long = to_messages(json!({"reasoning_effort": "high", "max_tokens": 20_000}), &facts);
    assert_eq!(long.body["thinking"], json!({"type": "enabled", "budget_tokens": 16_384}));
    let tight = to_messages(json!({"reasoning_effort": "high", "max_tokens": 5_000}), &facts);
    assert_eq!(tight.body["thinking"]["budget_tokens"], 4_999);
}

#[test]
fn case_38_a_forced_choice_wins_over_thinking_by_a_budget() {
    let more =
        json!({"reasoning_effort": "low", "max_tokens": 9_000, "tools": [tool()], "tool_choice": "required"});
    let facts = ModelFacts { thinking: Sent::Budget, ..ModelFacts::default() };
    let sent = to_messages(more.clone(), &facts);
    assert_eq!(sent.body.get("thinking"), None);
    assert_eq!(sent.body["tool_choice"], json!({"type": "any"}));
    assert_eq!(sent.warnings, ["!reasoning_effort"]);
    let adaptive = ModelFacts { thinking: Sent::Adaptive, ..ModelFacts::default() };
    assert_eq!(to_messages(more.clone(), &adaptive).body["thinking"]["type"], "adaptive");
    let unforced = ModelFacts { forced_tools: Allowed::No, ..ModelFacts::default() };
    assert_eq!(to_messages(more, &unforced).body["tool_choice"], json!({"type": "auto"}));
}

#[test]
fn efforts_and_budgets_stand_for_each_other() {
    let adaptive = ModelFacts { thinking: Sent::Adaptive, ..ModelFacts::default() };
    for (effort, told) in
        [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("xhigh", "xhigh"), ("max", "max")]
    {
        let sent = to_messages(json!({"reasoning_effort": effort}), &adaptive);
        assert_eq!(sent.body["output_config"]["effort"], told, "{effort}");
    }
    let always = ModelFacts { thinking: Sent::Adaptive, thinking_off: Allowed::No, ..ModelFacts::default() };
    assert_eq!(
        to_messages(json!({"reasoning_effort": "none"}), &adaptive).body["thinking"]["type"],
        "disabled"
    );
    let least = to_messages(json!({"reasoning_effort": "none"}), &always);
    assert_eq!((&least.body["output_config"]["effort"], least.warnings.len()), (&json!("low"), 1));
    let capped = ModelFacts { effort: (Effort::Low, Effort::High), ..ModelFacts::default() };
    for (thinking, told) in [
        (json!({"type": "enabled", "budget_tokens": 1_024}), json!("low")),
        (json!({"type": "enabled", "budget_tokens": 8_192}), json!("medium")),
        (json!({"type": "enabled", "budget_tokens": 31_999}), json!("high")),
        (json!({"type": "disabled"}), json!("none")),
        (json!({"type": "adaptive"}), Value::Null),
    ] {
        let request = json!({
            "model": "m", "max_tokens": 40_000, "thinking": thinking, "messages": [{"role": "user", "content": "hi"}],
        });
        let sent = try_sent(MESSAGES, CHAT, &request, &capped, &Profile::default()).expect("it crosses");
        assert_eq!(sent.body["reasoning_effort"], told, "{thinking}");
    }
}

#[test]
fn a_step_without_its_thinking_does_not_think_by_a_budget() {
    let facts = ModelFacts { thinking: Sent::Budget, ..ModelFacts::default() };
    let request = json!({
        "model": "m", "max_tokens": 9_000, "reasoning_effort": "low", "tools": [tool()], "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ],
    });
    let sent = try_sent(CHAT, MESSAGES, &request, &facts, &Profile::default()).expect("it crosses");
    assert_eq!(
        (sent.body.get("thinking"), &sent.warnings[..]),
        (None, &["!reasoning_effort".to_owned()][..])
    );
}

#[test]
fn a_form_without_a_field_for_it_is_a_tool_whose_arguments_are_the_answer() {
    let facts = ModelFacts { json_schema: Allowed::No, ..ModelFacts::default() };
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let more =
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let sent = to_messages(more, &facts);
    assert_eq!(sent.body["tool_choice"], json!({"type": "tool", "name": "json_output"}));
    let answer = json!({
        "id": "m", "model": "m", "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "tool_use", "id": "t", "name": "json_output", "input": {"a": 1}}],
    });
    let choice = &answered(MESSAGES, CHAT, &answer, &sent.asked)["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("{\"a\":1}"), &json!("stop"))
    );
    assert_eq!(choice["message"].get("tool_calls"), None);
}

#[test]
fn what_cannot_be_had_is_refused_by_its_name() {
    let audio = json!({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]});
    let pdf = json!({"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}]});
    let file =
        json!({"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]});
    let search = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let messages = |more: Value| {
        let mut request =
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in more.as_object().expect("an object") {
            request[name] = value.clone();
        }
        request
    };
    for (from, to, request, named) in [
        (CHAT, MESSAGES, chat(json!({"n": 2})), "'n'"),
        (CHAT, RESPONSES, chat(json!({"n": 2})), "'n'"),
        (CHAT, MESSAGES, chat(json!({"audio": {"voice": "x"}})), "'audio'"),
        (CHAT, MESSAGES, chat(json!({"messages": [audio]})), "messages[0].content[0]"),
        (MESSAGES, CHAT, messages(json!({"messages": [pdf]})), "messages[0].content[0]"),
        (MESSAGES, RESPONSES, messages(json!({"messages": [file]})), "messages[0].content[0]"),
        (MESSAGES, CHAT, messages(json!({"mcp_servers": [{"url": "x"}]})), "'mcp_servers'"),
        (MESSAGES, CHAT, messages(json!({"inference_geo": "us"})), "'inference_geo'"),
        (MESSAGES, CHAT, messages(json!({"tools": search})), "'tools'"),
        (
            MESSAGES,
            CHAT,
            messages(json!({"tools": [{"type": "computer_20250124", "name": "computer"}]})),
            "'tools[0]'",
        ),
        (
            MESSAGES,
            CHAT,
            messages(json!({"messages": [
                {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            ]})),
            "assistant",
        ),
        (
            RESPONSES,
            CHAT,
            json!({"model": "m", "input": "x", "previous_response_id": "r"}),
            "'previous_response_id'",
        ),
        (
            RESPONSES,
            CHAT,
            json!({"model": "m", "input": [{"type": "item_reference", "id": "i"}]}),
            "'item_reference'",
        ),
    ] {
        let refused =
            try_sent(from, to, &request, &ModelFacts::default(), &Profile::default()).expect_err(named);
        assert!(refused.message.contains(named), "{}", refused.message);
    }
}

#[test]
fn hosts_get_what_they_know() {
    let request = json!({
        "model": "m", "max_tokens": 9, "stream": true, "top_k": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    });
    let vendor = sent(MESSAGES, CHAT, &request);
    assert_eq!((&vendor.body["max_completion_tokens"], vendor.body.get("max_tokens")), (&json!(9), None));
    assert_eq!(vendor.body["stream_options"], json!({"include_usage": true}));
    assert_eq!(vendor.warnings, ["!top_k"]);
    let profile = Profile {
        legacy_max_tokens: true,
        no_stream_options: true,
        plain_content: true,
        ..Profile::default()
    };
    let host = try_sent(MESSAGES, CHAT, &request, &ModelFacts::default(), &profile).expect("it crosses");
    assert_eq!((&host.body["max_tokens"], &host.body["top_k"]), (&json!(9), &json!(5)));
    assert_eq!((host.body.get("stream_options"), host.warnings.len()), (None, 0));
    assert_eq!(host.body["messages"][0]["content"], "a\n\nb");
}

#[test]
fn agents_get_a_cache_where_they_cannot_ask_for_one() {
    assert_eq!(sent(CHAT, MESSAGES, &chat(json!({}))).body.get("cache_control"), None);
    let agent = chat(json!({"tools": [tool()]}));
    assert_eq!(sent(CHAT, MESSAGES, &agent).body["cache_control"], json!({"type": "ephemeral"}));
    let profile = Profile { no_cache_hints: true, ..Profile::default() };
    let host = try_sent(CHAT, MESSAGES, &agent, &ModelFacts::default(), &profile).expect("it crosses");
    assert_eq!(host.body.get("cache_control"), None);
    let marked = |ttl: &str| json!({"type": "text", "text": "x", "prompt_cache_breakpoint": {"ttl": ttl}});
    let parts: Vec<Value> = ["12h", "30m", "12h", "30m", "30m"].iter().map(|ttl| marked(ttl)).collect();
    let own = sent(
        CHAT,
        MESSAGES,
        &chat(json!({"tools": [tool()], "messages": [{"role": "user", "content": parts}]})),
    );
    assert_eq!(own.body.get("cache_control"), None);
    let lives: Vec<Value> = own.body["messages"][0]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["cache_control"]["ttl"].clone())
        .collect();
    assert_eq!(json!(lives), json!(["1h", null, null, null, null]), "long before short, and four at most");
    assert_eq!(own.body["messages"][0]["content"][4].get("cache_control"), None);
}

#[test]
fn what_has_no_place_is_named_also_where_it_stands_deep() {
    let picture = json!({"type": "base64", "media_type": "image/png", "data": "AA"});
    let image = json!({"type": "image", "source": picture});
    let document = json!({
        "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "t",
        "context": "from the archive", "citations": {"enabled": true}, "cache_control": {"type": "ephemeral"},
    });
    let quiet = json!({
        "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"},
        "citations": {"enabled": false},
    });
    let messages = |system: Value, content: Value| json!({"model": "m", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": content}]});
    let words = json!("Be kind.");
    let odd = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "hologram"}]}]},
    ]);
    for (from, to, request, expected) in [
        (
            RESPONSES,
            CHAT,
            json!({"model": "m", "input": "hi", "reasoning": {"effort": "ludicrous", "context": "all", "mode": "x"}}),
            &["!reasoning.effort", "!reasoning.context", "!reasoning.mode"][..],
        ),
        (
            RESPONSES,
            MESSAGES,
            json!({"model": "m", "input": "hi", "reasoning": {"effort": "high", "summary": "auto"}, "text": {"odd": 1}}),
            &["!text.odd"],
        ),
        (
            MESSAGES,
            CHAT,
            messages(words.clone(), json!([document, quiet])),
            &["!messages[0].content[0].context", "!messages[0].content[0].citations"],
        ),
        (
            MESSAGES,
            GEMINI,
            messages(json!([{"type": "text", "text": "x"}, image]), json!("hi")),
            &["!system.content[1]"],
        ),
        (
            MESSAGES,
            CHAT,
            json!({"model": "m", "max_tokens": 9, "system": words, "messages": odd}),
            &["!messages[2].content[0].content[0]"],
        ),
        (
            CHAT,
            MESSAGES,
            json!({"model": "m", "messages": [
                {"role": "user", "content": "hi"}, {"role": "assistant", "content": "x", "audio": {"id": "audio_1"}},
                {"role": "user", "content": "go on"},
            ]}),
            &["!messages[1].audio"],
        ),
        (
            CHAT,
            MESSAGES,
            chat(json!({"web_search_options": {"search_context_size": "low"}, "tools": [tool()]})),
            &["!web_search_options"],
        ),
        (CHAT, MESSAGES, chat(json!({"web_search_options": {}, "tools": [tool()]})), &[]),
    ] {
        let warnings = super::sent(from, to, &request).warnings;
        assert_eq!(warnings, expected, "{from} to {to}: {request}");
    }
}

#[test]
fn fields_are_named_as_the_caller_wrote_them() {
    let facts = ModelFacts { thinking: Sent::Nothing, max_output: Some(5), ..ModelFacts::default() };
    let facts = ModelFacts { sampling: Allowed::No, stop: Allowed::No, ..facts };
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "high",
        "max_tokens": 9, "temperature": 0.5, "stop": ["x"]});
    let responses = json!({"model": "m", "input": "hi", "reasoning": {"effort": "high"}, "max_output_tokens": 9,
        "temperature": 0.5, "text": {"verbosity": "low"}, "top_logprobs": 2});
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9,
        "thinking": {"type": "enabled", "budget_tokens": 2048}, "temperature": 0.5, "stop_sequences": ["x"]});
    let content = json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {
        "thinkingConfig": {"thinkingLevel": "HIGH"}, "maxOutputTokens": 9, "temperature": 0.5, "topP": 0.5,
        "stopSequences": ["x"],
    }});
    let mut newer = chat.clone();
    newer["max_completion_tokens"] =
        newer.as_object_mut().and_then(|body| body.remove("max_tokens")).expect("9");
    for (from, request) in
        [(CHAT, chat), (CHAT, newer), (RESPONSES, responses), (MESSAGES, messages), (GEMINI, content)]
    {
        for to in [CHAT, RESPONSES, MESSAGES, GEMINI].into_iter().filter(|to| *to != from) {
            let sent = try_sent(from, to, &request, &facts, &Profile::default()).expect("it crosses");
            assert!(!sent.warnings.is_empty(), "{from} to {to}");
            for path in sent.warnings {
                let pointer = format!("/{}", path.trim_start_matches('!').replace('.', "/"));
                assert!(request.pointer(&pointer).is_some(), "{from} to {to}: the caller has no {path}");
            }
        }
    }
}
