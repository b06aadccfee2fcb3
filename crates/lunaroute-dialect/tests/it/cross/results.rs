//! Results of tools find their calls, wherever in the history they stand.

use serde_json::{Value, json};

use super::{CHAT, GEMINI, MESSAGES, RESPONSES, Sent, sent};

fn text(role: &str, words: &str) -> Value {
    json!({"role": role, "content": words})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "weather", "input": {}})
}

fn tool_result(id: &str, words: &str) -> Value {
    json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": words}]})
}

/// The results in the user's turns of a Messages request: call, words and whether it failed.
fn results(sent: &Sent) -> Vec<Value> {
    sent.body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .flat_map(|message| message["content"].as_array().into_iter().flatten())
        .filter(|block| block["type"] == "tool_result")
        .map(|block| json!([block["tool_use_id"], block["content"], block["is_error"]]))
        .collect()
}

#[test]
fn results_in_turns_of_their_own_all_reach_their_calls() {
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        text("user", "hi"), {"role": "assistant", "content": [tool_use("a"), tool_use("b")]},
        tool_result("b", "rain"), tool_result("a", "sun"),
    ]});
    let told = sent(MESSAGES, CHAT, &request);
    let tools: Vec<Value> = told.body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| json!([message["tool_call_id"], message["content"]]))
        .collect();
    assert_eq!((json!(tools), told.warnings), (json!([["a", "sun"], ["b", "rain"]]), vec![]));
}

#[test]
fn results_without_ids_in_contents_of_their_own_are_taken_in_order() {
    let call = json!({"functionCall": {"name": "weather", "args": {}}});
    let result = |words: &str| json!({"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": words}}}]});
    let told = sent(
        GEMINI,
        MESSAGES,
        &json!({"model": "m", "contents": [
            {"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [call, call]}, result("sun"), result("rain"),
        ]}),
    );
    let words: Vec<Value> = results(&told).iter().map(|result| json!([result[1], result[2]])).collect();
    assert_eq!((json!(words), told.warnings), (json!([["sun", null], ["rain", null]]), vec![]));
}

#[test]
fn words_between_two_results_do_not_cost_the_second() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "weather", "arguments": "{}"});
    let output =
        |id: &str, words: &str| json!({"type": "function_call_output", "call_id": id, "output": words});
    let told = sent(
        RESPONSES,
        MESSAGES,
        &json!({"model": "m", "input": [
            text("user", "hi"), call("a"), call("b"), output("a", "sun"), text("user", "hurry"), output("b", "rain"),
        ]}),
    );
    assert_eq!(results(&told), [json!(["a", "sun", null]), json!(["b", "rain", null])]);
    assert_eq!(told.body["messages"][2]["content"][2], json!({"type": "text", "text": "hurry"}));
    assert_eq!(told.warnings, [""; 0]);
}

#[test]
fn a_result_that_comes_after_the_model_spoke_again_stands_behind_its_call() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let result = |id: &str, words: &str| json!({"role": "tool", "tool_call_id": id, "content": words});
    let told = sent(
        CHAT,
        MESSAGES,
        &json!({"model": "m", "messages": [
            text("user", "hi"), {"role": "assistant", "tool_calls": [call]}, result("gone", "old"), text("assistant", "wait"),
            result("a", "sun"), result("a", "rain"),text("user", "so?"),
        ]}),
    );
    assert_eq!(results(&told), [json!(["a", "sun", null])]);
    assert_eq!(told.warnings, ["messages[2].content[0]", "!messages[5].content[0]"]);
}

#[test]
fn a_result_is_of_the_kind_of_its_call() {
    let calls = json!([
        {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
        {"id": "b", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ]);
    let told = sent(
        CHAT,
        RESPONSES,
        &json!({"model": "m", "messages": [
            text("user", "hi"), {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": "done"}, {"role": "tool", "tool_call_id": "b", "content": "sun"},
        ]}),
    );
    let kinds: Vec<&Value> =
        told.body["input"].as_array().expect("items")[1..].iter().map(|item| &item["type"]).collect();
    assert_eq!(
        json!(kinds),
        json!(["custom_tool_call", "function_call", "custom_tool_call_output", "function_call_output"])
    );
}

#[test]
fn a_response_of_gemini_loses_nothing() {
    let told = |response: Value| {
        let request = json!({"model": "m", "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "rows", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "rows", "response": response}}]},
        ]});
        let told = sent(GEMINI, MESSAGES, &request);
        let block = &told.body["messages"][2]["content"][0];
        (block["content"].as_str().unwrap_or_default().to_owned(), block["is_error"] == true)
    };
    for (response, words, failed) in [
        (json!({"output": "sun"}), "sun", false),
        (json!({"result": {"a": 1}}), r#"{"a":1}"#, false),
        (json!({"output": "sun", "error": null}), "sun", false),
        (json!({"error": "no such place"}), "no such place", true),
        (json!({"error": {"code": 5}}), r#"{"code":5}"#, true),
        (json!({"error": false, "rows": [1, 2]}), r#"{"error":false,"rows":[1,2]}"#, false),
        (json!({"error": "late", "rows": [1]}), r#"{"error":"late","rows":[1]}"#, true),
        (json!({"result": "ok", "rows": [1]}), r#"{"result":"ok","rows":[1]}"#, false),
        (json!({"error": "", "output": "sun"}), r#"{"error":"","output":"sun"}"#, false),
        (json!({}), "", false),
    ] {
        assert_eq!(told(response.clone()), (words.to_owned(), failed), "{response}");
    }
}

#[test]
fn ids_of_results_alone_do_not_part_them_from_their_calls() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let result = |id: &str, name: &str, words: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"output": words}}});
    let named = json!({"functionCall": {"id": "own", "name": "ls", "args": {}}});
    let told = sent(
        GEMINI,
        MESSAGES,
        &json!({"contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [named, call("ls"), call("ls"), call("cat")]},
            {"role": "user", "parts": [
                result("cat-1", "cat", "meow"), result("ls-1", "ls", "a.txt"), result("own", "ls", "mine"), result("ls-2", "ls", "b.txt"),
                result("ls-3", "ls", "too many"),
            ]},
            {"role": "model", "parts": [call("ls")]},
            {"role": "user", "parts": [result("ls-4", "ls", "c.txt")]},
        ]}),
    );
    let words: Vec<Value> = results(&told).iter().map(|result| result[1].clone()).collect();
    assert_eq!(json!(words), json!(["mine", "a.txt", "b.txt", "meow", "c.txt"]));
    assert_eq!(told.body["messages"][2]["content"][4], json!({"type": "text", "text": "too many"}));
    assert_eq!(told.warnings.len(), 1, "{:?}", told.warnings);
}

#[test]
fn calls_that_share_an_id_get_one_each_and_their_results_in_order() {
    let calls = |ids: &[&str]| {
        let call = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
        json!({"role": "assistant", "tool_calls": ids.iter().map(call).collect::<Vec<_>>()})
    };
    let result = |id: &str, words: &str| json!({"role": "tool", "tool_call_id": id, "content": words});
    let request = json!({"model": "m", "messages": [
        text("user", "hi"), calls(&["call_0", "call_0", "call_1"]),
        result("call_0", "one"), result("call_1", "two"), result("call_0", "three"), result("call_0", "again"),
        calls(&["call_0", "a.b"]), result("call_0", "four"), result("a.b", "five"),
        calls(&["a.b"]), result("a.b", "six"),
    ]});
    for to in [MESSAGES, RESPONSES, GEMINI] {
        assert_eq!(sent(CHAT, to, &request).warnings, ["!messages[5].content[0]"], "{to}");
    }
    let told = sent(CHAT, MESSAGES, &request);
    let messages = told.body["messages"].as_array().expect("messages").iter();
    let blocks = messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let ids: Vec<&str> = blocks
        .filter(|block| block["type"] == "tool_use")
        .map(|block| block["id"].as_str().expect("an id"))
        .collect();
    let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!((distinct.len(), ids[0], ids[2]), (6, "call_0", "call_1"), "{ids:?}");
    let results = results(&told);
    let answered: Vec<&str> = results.iter().filter_map(|result| result[0].as_str()).collect();
    assert_eq!(answered, ids);
    let words: Vec<&Value> = results.iter().map(|result| &result[1]).collect();
    assert_eq!(json!(words), json!(["one", "three", "two", "four", "five", "six"]));
    assert_eq!(sent(CHAT, MESSAGES, &request).body, told.body, "the same each time");
}
