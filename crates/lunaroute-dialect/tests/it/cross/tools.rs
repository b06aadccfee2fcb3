//! Tools: their names, schemas and kinds, there and back.

use lunaroute_core::conversation::ModelFacts;
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{
    CHAT, GEMINI, MESSAGES, RESPONSES, answered, asked, call, done, events, finish, message, only, sent,
    streamed, tool_block, try_sent,
};

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

fn chat(tools: Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools})
}

fn answer_with(name: &str) -> Value {
    json!({
        "id": "m", "model": "m", "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "tool_use", "id": "toolu_1", "name": name, "input": {"input": "*** Begin\n\"é\"\n"}}],
    })
}

#[test]
fn case_50_a_tool_without_parameters_takes_an_empty_object() {
    let empty = json!({"type": "object", "properties": {}});
    assert_eq!(sent(CHAT, MESSAGES, &chat(json!([function("now")]))).body["tools"][0]["input_schema"], empty);
    assert_eq!(sent(CHAT, RESPONSES, &chat(json!([function("now")]))).body["tools"][0]["parameters"], empty);
    let request = json!({"model": "m", "input": "hi", "tools": [{"type": "function", "name": "now", "parameters": null}]});
    assert_eq!(sent(RESPONSES, CHAT, &request).body["tools"][0]["function"]["parameters"], empty);
}

#[test]
fn case_51_long_names_are_short_for_the_provider_only() {
    let long = format!("mcp__server__{}", "x".repeat(80));
    let mut request = chat(json!([function(&long), function("a.b/c")]));
    request["tool_choice"] = json!({"type": "function", "function": {"name": long}});
    request["messages"] = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": long, "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]);
    let sent = sent(CHAT, MESSAGES, &request);
    let given = sent.body["tools"][0]["name"].as_str().expect("a name");
    assert!(given.len() <= 64 && given.starts_with("mcp__server__xxx"), "{given}");
    assert_eq!(sent.body["tool_choice"]["name"], given);
    assert_eq!(sent.body["messages"][1]["content"][0]["name"], given);
    assert_eq!(sent.body["tools"][1]["name"], "a_b_c");
    for (provider, own) in [(given, long.as_str()), ("a_b_c", "a.b/c")] {
        let told = answered(MESSAGES, CHAT, &answer_with(provider), &sent.asked);
        assert_eq!(told["choices"][0]["message"]["tool_calls"][0]["function"]["name"], own);
    }
}

#[test]
fn case_52_a_tool_of_free_text_goes_to_hosts_that_know_functions_only() {
    let patch = json!({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}});
    let request = json!({
        "model": "m", "stream": true, "tools": [patch], "input": [
            {"role": "user", "content": "fix"},
            {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "a\n\"b\""},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        ],
    });
    let profile = Profile { no_custom_tools: true, ..Profile::default() };
    let sent = try_sent(RESPONSES, CHAT, &request, &ModelFacts::default(), &profile).expect("it crosses");
    let function = &sent.body["tools"][0]["function"];
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    assert!(function["description"].as_str().expect("a description").contains("start: x"));
    let arguments = &sent.body["messages"][1]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(*arguments, json!("{\"input\":\"a\\n\\\"b\\\"\"}"));
    let stream = done(&[
        call(0, Some("call_1"), Some("apply_patch"), "{\"input\":\"*** Begin\\n"),
        call(0, None, None, "line \\\"2\\\"\\n\"}"),
        finish("tool_calls"),
    ]);
    let told = events(&streamed(CHAT, RESPONSES, &stream, sent.asked));
    let item = &only(&told, "response.output_item.done")["item"];
    assert_eq!(item["type"], "custom_tool_call");
    assert_eq!(item["input"], "*** Begin\nline \"2\"\n");
}

#[test]
fn free_text_of_a_host_that_knows_it_stays_free_text() {
    let patch = json!({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}});
    let request = json!({"model": "m", "input": "fix", "tools": [patch]});
    let tool = &sent(RESPONSES, CHAT, &request).body["tools"][0];
    assert_eq!(tool["custom"]["format"]["grammar"], json!({"syntax": "lark", "definition": "start: x"}));
    let sent = sent(RESPONSES, MESSAGES, &request);
    assert_eq!(sent.body["tools"][0]["input_schema"]["required"], json!(["input"]));
    let item = &answered(MESSAGES, RESPONSES, &answer_with("apply_patch"), &sent.asked)["output"][0];
    assert_eq!((&item["type"], &item["input"]), (&json!("custom_tool_call"), &json!("*** Begin\n\"é\"\n")));
}

#[test]
fn case_53_groups_of_tools_are_flattened_and_restored() {
    let read =
        json!({"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}});
    let request = json!({
        "model": "m", "input": "hi",
        "tools": [
            {"type": "namespace", "name": "files", "tools": [read]}, {"type": "tool_search"}, {"type": "image_generation"},
            {"type": "local_shell"}, {"type": "of_tomorrow", "x": 1},
        ],
    });
    for to in [CHAT, MESSAGES] {
        let sent = sent(RESPONSES, to, &request);
        let tools = sent.body["tools"].as_array().expect("tools");
        assert_eq!(tools.len(), 1);
        assert_eq!(sent.warnings.len(), 4, "{:?}", sent.warnings);
        let name = if to == CHAT { &tools[0]["function"]["name"] } else { &tools[0]["name"] };
        assert_eq!(name, "files__read");
        let answer = if to == CHAT {
            json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "files__read", "arguments": "{}"}}],
            }}]})
        } else {
            answer_with("files__read")
        };
        let item = &answered(to, RESPONSES, &answer, &sent.asked)["output"][0];
        assert_eq!((&item["namespace"], &item["name"]), (&json!("files"), &json!("read")));
    }
}

#[test]
fn strictness_is_asked_for_where_the_schema_allows_it() {
    let open = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
    let closed = json!({"type": "object", "properties": {}, "additionalProperties": false, "required": []});
    let tools = |schema: &Value| json!([{"name": "f", "input_schema": schema, "strict": true}]);
    let request = |schema: &Value| {
        json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": tools(schema),
        })
    };
    let held = sent(MESSAGES, CHAT, &request(&closed));
    assert_eq!((&held.body["tools"][0]["function"]["strict"], held.warnings.len()), (&json!(true), 0));
    let told = sent(MESSAGES, CHAT, &request(&open));
    assert_eq!(
        (&told.body["tools"][0]["function"]["strict"], &told.warnings[..]),
        (&json!(false), &["tools[0].strict".to_owned()][..])
    );
    // Absent means strict in Responses where the schema allows it, and not in Chat.
    let silent = |schema: &Value| json!({"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f", "parameters": schema}]});
    assert_eq!(sent(RESPONSES, CHAT, &silent(&closed)).body["tools"][0]["function"]["strict"], true);
    assert_eq!(sent(RESPONSES, CHAT, &silent(&open)).body["tools"][0]["function"].get("strict"), None);
    assert_eq!(sent(CHAT, RESPONSES, &chat(json!([function("f")]))).body["tools"][0]["strict"], false);
    // Limits that Anthropic does not enforce become words.
    let strict = json!([{"type": "function", "function": {"name": "f", "parameters": open, "strict": true}}]);
    let moved = sent(CHAT, MESSAGES, &chat(strict));
    let schema = &moved.body["tools"][0]["input_schema"];
    assert_eq!(schema["properties"]["a"], json!({"type": "integer", "description": "(minimum: 1)"}));
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn tools_of_anthropic_that_the_client_runs_become_functions() {
    let request = json!({
        "model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728", "name": "edit"}],
    });
    for to in [CHAT, RESPONSES] {
        let sent = sent(MESSAGES, to, &request);
        assert_eq!((sent.body["tools"].as_array().expect("tools").len(), sent.warnings.len()), (2, 0));
    }
}

#[test]
fn a_choice_among_some_tools_leaves_the_others_out() {
    let mut request = chat(json!([function("a"), function("b"), function("c")]));
    request["tool_choice"] = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}},
    ]}});
    let sent = sent(CHAT, MESSAGES, &request);
    assert_eq!(sent.body["tools"].as_array().expect("tools").len(), 2);
    assert_eq!(
        (&sent.body["tool_choice"], &sent.warnings[..]),
        (&json!({"type": "any"}), &["tool_choice".to_owned()][..])
    );
    let searching = json!({
        "model": "m", "input": "hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"},
    });
    let sent = super::sent(RESPONSES, MESSAGES, &searching);
    assert_eq!(sent.body["tool_choice"], json!({"type": "tool", "name": "web_search"}));
}

#[test]
fn ids_that_a_provider_would_refuse_are_made_anew_the_same_each_time() {
    let stream = done(&[call(0, None, Some("weather"), "{}"), finish("tool_calls")]);
    let id = || {
        let told = events(&streamed(CHAT, MESSAGES, &stream, asked(MESSAGES, CHAT)));
        super::blocks(&told)[0]["id"].as_str().expect("an id").to_owned()
    };
    assert!(id().starts_with("call_"));
    assert_eq!(id(), id());
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a:b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a:b", "content": "ok"},
    ]});
    let messages = sent(CHAT, MESSAGES, &request).body["messages"].clone();
    assert_eq!(messages[1]["content"][0]["id"], messages[2]["content"][0]["tool_use_id"]);
    assert_ne!(messages[1]["content"][0]["id"], "a:b");
}

#[test]
fn the_deprecated_form_of_functions_is_answered_in_kind() {
    let request = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "functions": [{"name": "weather", "parameters": {"type": "object"}}],
        "function_call": {"name": "weather"},
    });
    let sent = sent(CHAT, MESSAGES, &request);
    let choice = json!({"type": "tool", "name": "weather", "disable_parallel_tool_use": true});
    assert_eq!(sent.body["tool_choice"], choice);
    let told = answered(MESSAGES, CHAT, &answer_with("weather"), &sent.asked);
    let choice = &told["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["function_call"]["name"]),
        (&json!("function_call"), &json!("weather"))
    );
}

#[test]
fn the_deprecated_form_of_functions_has_one_call_and_asks_for_one() {
    let request = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true,
        "functions": [{"name": "weather", "parameters": {"type": "object"}}],
    });
    let choice = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(sent(CHAT, MESSAGES, &request).body["tool_choice"], choice);
    assert_eq!(sent(CHAT, RESPONSES, &request).body["parallel_tool_calls"], false);
    assert_eq!(sent(CHAT, GEMINI, &request).warnings, [""; 0], "the caller did not say so");
    let calls = [tool_block("c1", json!({}), &["{\"a\":1}"]), tool_block("c2", json!({}), &["{\"b\":2}"])];
    let stream = message(&calls, "tool_use");
    let told = events(&streamed(MESSAGES, CHAT, &stream, sent(CHAT, MESSAGES, &request).asked));
    let fragments = told.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("function_call"));
    let joined =
        |member: &str| fragments.clone().filter_map(|call| call[member].as_str()).collect::<String>();
    assert_eq!((joined("name").as_str(), joined("arguments").as_str()), ("weather", "{\"a\":1}"));
}

#[test]
fn a_forced_tool_of_the_provider_is_forced_refused_or_named() {
    let responses = |kind: &str, choice: Value| {
        json!({
            "model": "m", "input": "hi", "tool_choice": choice,
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": kind}],
        })
    };
    let refused = |from, to, request: &Value| {
        let tried = try_sent(from, to, request, &ModelFacts::default(), &Profile::default());
        tried.expect_err("nobody can honour it").message
    };
    for kind in ["code_interpreter", "mcp", "file_search", "image_generation"] {
        for choice in [
            json!({"type": kind}),
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": kind}]}),
        ] {
            let message = refused(RESPONSES, CHAT, &responses(kind, choice));
            assert!(message.contains("'tool_choice'"), "{kind}: {message}");
        }
        // Beside others that are there the lost one is left out of the list.
        let listed = json!({
            "type": "allowed_tools", "mode": "required", "tools": [{"type": kind}, {"type": "function", "name": "f"}],
        });
        let body = sent(RESPONSES, CHAT, &responses(kind, listed)).body;
        let expected = json!([{"type": "function", "function": {"name": "f"}}]);
        assert_eq!(body["tool_choice"]["allowed_tools"]["tools"], expected, "{kind}");
    }
    let search = responses("web_search_preview", json!({"type": "web_search_preview"}));
    assert_eq!(
        sent(RESPONSES, MESSAGES, &search).body["tool_choice"],
        json!({"type": "tool", "name": "web_search"})
    );
    assert!(refused(RESPONSES, GEMINI, &search).contains("'tool_choice'"), "beside functions it runs none");
    let alone = json!({
        "model": "m", "input": "hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"},
    });
    let alone = sent(RESPONSES, GEMINI, &alone);
    assert_eq!((alone.body.get("toolConfig"), &alone.warnings[..]), (None, &["tool_choice".to_owned()][..]));
    let code = json!({
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
        "tool_choice": {"type": "tool", "name": "code_execution"},
    });
    assert_eq!(sent(MESSAGES, RESPONSES, &code).body["tool_choice"], json!({"type": "code_interpreter"}));
    let mut odd = chat(json!([{"type": "function", "function": {"name": "f"}}]));
    odd["tool_choice"] = json!({"type": "lottery"});
    let warnings = sent(CHAT, MESSAGES, &odd).warnings;
    assert!(warnings.contains(&"!tool_choice".to_owned()), "{warnings:?}");
}

#[test]
fn a_body_of_responses_at_the_path_of_chat_may_have_tools_in_either_form() {
    let request = json!({
        "model": "m", "input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": []},
            {"role": "user", "content": "go on"}],
        "tools": [function("nested"), {"type": "function", "name": "flat", "parameters": {"type": "object"}}],
    });
    for to in [CHAT, RESPONSES, MESSAGES] {
        let body = sent(CHAT, to, &request).body;
        let tools = body["tools"].as_array().expect("tools").iter();
        let names: Vec<&Value> =
            tools.map(|tool| tool.get("name").unwrap_or(&tool["function"]["name"])).collect();
        assert_eq!(names, ["nested", "flat"], "{to}: {body}");
        assert_eq!((&body["model"], to == RESPONSES), (&json!("target-model"), body.get("input").is_some()));
    }
}

#[test]
fn a_function_may_be_called_like_the_providers_own_search() {
    let mut request = chat(json!([function("web_search"), function("f")]));
    request["web_search_options"] = json!({});
    request["tool_choice"] = json!({"type": "function", "function": {"name": "web_search"}});
    let sent = sent(CHAT, MESSAGES, &request);
    let names: Vec<&str> = sent.body["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name"))
        .collect();
    assert_eq!((names.len(), names[1], names[2]), (3, "f", "web_search"));
    assert!(names[0].starts_with("web_search_"), "{names:?}");
    assert_eq!(sent.body["tool_choice"]["name"], names[0]);
    let told = answered(MESSAGES, CHAT, &answer_with(names[0]), &sent.asked);
    assert_eq!(told["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "web_search");
    let twice = json!({"model": "m", "input": "hi", "tools": [{"type": "web_search"}, {"type": "web_search_preview"}]});
    let once = super::sent(RESPONSES, MESSAGES, &twice);
    assert_eq!(
        (once.body["tools"].as_array().map(Vec::len), &once.warnings[..]),
        (Some(1), &["!tools[1]".to_owned()][..])
    );
}
