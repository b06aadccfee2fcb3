//! What providers refuse is not sent to them.

use lunaroute_core::conversation::{Allowed, ModelFacts, Sent as Told};
use lunaroute_dialect::cross::Profile;
use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, sent, try_sent};

fn list<'body>(body: &'body Value, name: &str) -> &'body [Value] {
    body[name].as_array().map(Vec::as_slice).expect("a list")
}

#[test]
fn sealed_reasoning_is_asked_of_models_that_reason() {
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let messages = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
    let gemini = json!({"model": "m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (from, request) in [(CHAT, &chat), (MESSAGES, &messages), (GEMINI, &gemini)] {
        for (thinking, include) in
            [(Told::Effort, Some(json!(["reasoning.encrypted_content"]))), (Told::Nothing, None)]
        {
            let facts = ModelFacts { thinking, ..ModelFacts::default() };
            let sent = try_sent(from, RESPONSES, request, &facts, &Profile::default()).expect("it crosses");
            assert_eq!(sent.body.get("include"), include.as_ref(), "{from}, {thinking:?}");
            assert_eq!(sent.body["store"], false, "{from}");
        }
    }
}

#[test]
fn what_tools_of_the_client_gave_is_the_users() {
    let shell =
        json!({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}});
    let gave = json!({"type": "local_shell_call_output", "call_id": "c", "output": "a.txt"});
    let search = json!({"type": "tool_search_call", "call_id": "s", "arguments": {"goal": "mail"}});
    let found = json!({"type": "tool_search_output", "call_id": "s", "tools": [{"type": "function", "name": "send"}]});
    let allowed =
        json!({"type": "mcp_approval_response", "approval_request_id": "a", "approve": true, "reason": "x"});
    for (items, last) in [
        (json!([shell, gave]), "a.txt"),
        (json!([search, found]), "[tools found: send]"),
        (json!([{"role": "user", "content": "go on"}, allowed]), "go on"),
    ] {
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        input.extend(items.as_array().expect("items").iter().cloned());
        let request = json!({"model": "m", "input": input});
        for (to, name) in [(CHAT, "messages"), (MESSAGES, "messages"), (GEMINI, "contents")] {
            let sent = sent(RESPONSES, to, &request);
            let told = list(&sent.body, name).last().expect("one");
            assert_eq!(told["role"], "user", "{to}: {told}");
            assert!(told.to_string().contains(last), "{to}: {told}");
        }
        assert_eq!(sent(RESPONSES, RESPONSES, &request).body["input"], json!(input));
    }
}

#[test]
fn a_turn_of_which_nothing_is_left_is_no_message() {
    let listed = json!({"type": "mcp_list_tools", "server_label": "s", "tools": []});
    let user = |words: &str| json!({"role": "user", "content": words});
    let items = json!({"model": "m", "input": [user("a"), listed, user("b")]});
    let thought =
        json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]});
    let blocks = json!({"model": "m", "max_tokens": 9, "messages": [user("a"), thought, user("b")]});
    let trailing = json!({"model": "m", "max_tokens": 9, "messages": [user("a"), thought]});
    for (from, request, roles) in [
        (RESPONSES, items, &["user", "user"][..]),
        (MESSAGES, blocks, &["user", "user"]),
        (MESSAGES, trailing, &["user"]),
    ] {
        let sent = sent(from, CHAT, &request);
        let told: Vec<&Value> = list(&sent.body, "messages").iter().map(|message| &message["role"]).collect();
        assert_eq!(told, roles, "{request}");
    }
}

#[test]
fn gemini_is_told_a_choice_among_functions_only() {
    let search = json!([{"type": "web_search"}]);
    let ask = |choice: Value| {
        let request = json!({"model": "m", "input": "hi", "tools": search, "tool_choice": choice});
        sent(RESPONSES, GEMINI, &request)
    };
    for (choice, warnings) in [
        (json!("auto"), &[][..]),
        (json!("required"), &["tool_choice"]),
        (json!({"type": "web_search"}), &["tool_choice"]),
    ] {
        let sent = ask(choice.clone());
        assert_eq!(sent.body["tools"], json!([{"googleSearch": {}}]), "{choice}");
        assert_eq!(sent.body.get("toolConfig"), None, "{choice}");
        assert_eq!(sent.warnings, warnings, "{choice}");
    }
    let none = ask(json!("none"));
    assert_eq!((none.body.get("tools"), none.body.get("toolConfig"), none.warnings.len()), (None, None, 0));
}

#[test]
fn a_form_beside_tools_is_asked_of_models_that_take_both() {
    let function = json!({"type": "function", "function": {"name": "f"}});
    let schema = json!({"type": "object", "properties": {}});
    let both = ModelFacts::default();
    let either = ModelFacts { json_with_tools: Allowed::No, ..ModelFacts::default() };
    for format in [
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}),
    ] {
        let ask = |tools: Value, facts: &ModelFacts| {
            let request = json!({
                "model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools,
                "response_format": format,
            });
            let sent = try_sent(CHAT, GEMINI, &request, facts, &Profile::default()).expect("it crosses");
            let kind = sent.body.pointer("/generationConfig/responseMimeType").cloned();
            (kind, sent.warnings.contains(&"!response_format".to_owned()))
        };
        assert_eq!(ask(json!([function]), &both), (Some(json!("application/json")), false));
        assert_eq!(ask(json!([function]), &either), (None, true));
        assert_eq!(ask(json!([]), &either), (Some(json!("application/json")), false));
    }
}

fn form(schema: Value, more: Value) -> Value {
    let mut request = json!({
        "model": "m", "max_tokens": 9_000, "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

fn person() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false})
}

#[test]
fn a_form_by_a_tool_is_forced_or_told_in_words() {
    let unheld = ModelFacts { json_schema: Allowed::No, ..ModelFacts::default() };
    let unforced = ModelFacts { forced_tools: Allowed::No, ..unheld.clone() };
    let function = |name: &str| json!([{"type": "function", "function": {"name": name}}]);
    let any = json!({"type": "any"});
    let own = |name: &str| json!({"type": "tool", "name": name});
    for (schema, more, facts, tool, choice) in [
        (person(), json!({}), &unheld, Some("json_output"), own("json_output")),
        (person(), json!({"tools": function("f")}), &unheld, Some("json_output"), any.clone()),
        (
            person(),
            json!({"tools": function("f"), "tool_choice": "none"}),
            &unheld,
            Some("json_output"),
            own("json_output"),
        ),
        (
            person(),
            json!({"tools": function("json_output"), "tool_choice": "none"}),
            &unheld,
            Some("json_output_"),
            own("json_output_"),
        ),
        // What has to be called is the answer.
        (person(), json!({"tools": function("f"), "tool_choice": "required"}), &unheld, None, any),
        (person(), json!({}), &unforced, None, Value::Null),
        (
            person(),
            json!({"tools": function("f"), "tool_choice": "none"}),
            &unforced,
            None,
            json!({"type": "none"}),
        ),
        (json!({"type": "array", "items": person()}), json!({}), &unheld, None, Value::Null),
    ] {
        let request = form(schema, more);
        let sent = try_sent(CHAT, MESSAGES, &request, facts, &Profile::default()).expect("it crosses");
        assert_eq!(sent.body["tool_choice"], choice, "{request}");
        let names: Vec<&str> = sent.body["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        let own = request["tools"][0]["function"]["name"].as_str();
        assert_eq!(names.into_iter().find(|name| Some(*name) != own), tool, "{request}");
        let is_told = sent.body["system"].to_string().contains("JSON of this schema");
        let is_forced = request["tool_choice"] == "required";
        assert_eq!(is_told, tool.is_none() && !is_forced, "{request}");
        assert_eq!(sent.warnings, if is_told { &["!response_format"][..] } else { &[] }, "{request}");
    }
}

#[test]
fn words_to_go_on_from_exclude_a_form_and_thinking() {
    let begun = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well"}]);
    let budget = ModelFacts { thinking: Told::Budget, ..ModelFacts::default() };
    for facts in [budget.clone(), ModelFacts { json_schema: Allowed::No, ..budget.clone() }] {
        let request = form(person(), json!({"messages": begun}));
        let refused = try_sent(CHAT, MESSAGES, &request, &facts, &Profile::default()).expect_err("both");
        assert!(refused.message.contains("'response_format'"), "{refused}");
    }
    let items = json!({"model": "m", "input": begun, "text": {"format": {"type": "json_schema", "name": "n", "schema": person()}}});
    let refused = try_sent(RESPONSES, MESSAGES, &items, &budget, &Profile::default()).expect_err("both");
    assert!(refused.message.contains("'text.format'"), "{refused}");
    let thinks = json!({"model": "m", "max_tokens": 9_000, "messages": begun, "reasoning_effort": "high"});
    for facts in [budget, ModelFacts { thinking: Told::Adaptive, ..ModelFacts::default() }] {
        let sent = try_sent(CHAT, MESSAGES, &thinks, &facts, &Profile::default()).expect("it crosses");
        assert_eq!(
            (sent.body.get("thinking"), &sent.warnings[..]),
            (None, &["!reasoning_effort".to_owned()][..])
        );
    }
}

#[test]
fn a_model_that_refuses_a_forced_choice_is_told_none_of_any_kind() {
    let facts = ModelFacts { forced_tools: Allowed::No, ..ModelFacts::default() };
    let function = |name: &str| json!({"type": "function", "name": name});
    let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [function("f")]});
    let request =
        json!({"model": "m", "input": "hi", "tools": [function("f"), function("g")], "tool_choice": allowed});
    let sent = try_sent(RESPONSES, MESSAGES, &request, &facts, &Profile::default()).expect("it crosses");
    assert_eq!(sent.body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(list(&sent.body, "tools").len(), 1);
    assert_eq!(sent.warnings, ["tool_choice"]);
}
