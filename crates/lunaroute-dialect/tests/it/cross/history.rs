//! What was said before: calls and results in order, reasoning with its seals.

use bytes::Bytes;
use lunaroute_core::conversation::{Allowed, ModelFacts};
use lunaroute_dialect::cross::Profile;
use lunaroute_dialect::without_tagged;
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, RESPONSES, answered, asked, blocks, events, message, sent, streamed, try_sent};

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn chat_call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}})
}

fn chat_calls(calls: &[Value]) -> Value {
    json!({"role": "assistant", "content": null, "tool_calls": calls})
}

fn chat_result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "weather", "input": {}})
}

fn assistant(blocks: &[Value]) -> Value {
    json!({"role": "assistant", "content": blocks})
}

fn tool_result(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

fn to_messages(messages: &[Value]) -> super::Sent {
    sent(CHAT, MESSAGES, &json!({"model": "m", "messages": messages}))
}

fn from_messages(messages: &[Value]) -> super::Sent {
    sent(MESSAGES, CHAT, &json!({"model": "m", "max_tokens": 9, "messages": messages}))
}

fn roles(body: &Value) -> Vec<&str> {
    body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|message| message["role"].as_str())
        .collect()
}

#[test]
fn case_06_arguments_that_are_no_object_are_kept_as_text() {
    let sent = to_messages(&[
        user(json!("hi")),
        chat_calls(&[chat_call("a", ""), chat_call("b", "[1]"), chat_call("c", "{\"x\":")]),
        chat_result("a", "1"),
        chat_result("b", "2"),
        chat_result("c", "3"),
    ]);
    let inputs: Vec<&Value> = sent.body["messages"][1]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| &block["input"])
        .collect();
    assert_eq!(inputs, [&json!({}), &json!({"_raw": "[1]"}), &json!({"_raw": "{\"x\":"})]);
    assert_eq!(sent.warnings, ["messages[1].content[1]", "messages[1].content[2]"]);
}

#[test]
fn case_39_what_the_gateway_made_is_cut_out_on_the_way_to_a_real_provider() {
    let made = |kind: &str, member: &str| {
        format!(r#"{{"type": "{kind}", "thinking":"x" , "{member}":"lr1.openai.abc"}}"#)
    };
    let own = r#"{"type":"thinking","thinking":"own","signature":"EqQB"}"#;
    let text = r#"{ "type":"text", "text":"\u00e9 1.0" }"#;
    for (content, kept) in [
        (format!("{} , {own},{text}", made("thinking", "signature")), format!("{own},{text}")),
        (format!("{own}, {}, {text}", made("redacted_thinking", "data")), format!("{own}, {text}")),
        (format!("{own},{text}, {}", made("thinking", "signature")), format!("{own},{text}")),
    ] {
        let body = |content: &str| {
            let before = r#"{"model":"m", "big":12345678901234567890,"messages":[{"role":"user","content":"lr1. hi"},"#;
            format!(r#"{before}{{"role":"assistant","content":[{content}]}}]}}"#)
        };
        let cut = without_tagged(MESSAGES, &Bytes::from(body(&content))).expect("it has one");
        assert_eq!(String::from_utf8_lossy(&cut), body(&kept));
        assert_eq!(without_tagged(MESSAGES, &Bytes::from(body(&kept))), None, "words that look like it stay");
    }
    let alone = format!(
        r#"{{"messages":[{{"role":"assistant","content":[{}]}},{{"role":"user","content":"hi"}}]}}"#,
        made("thinking", "signature")
    );
    let cut = without_tagged(MESSAGES, &Bytes::from(alone)).expect("it has one");
    assert_eq!(
        &cut[..],
        br#"{"messages":[{"role":"user","content":"hi"}]}"#,
        "a turn of nothing else goes with it"
    );
    let items = r#"{"input":[{"type":"message","role":"user","content":"hi"},{"type":"reasoning","summary":[],"encrypted_content":"lr1.anthropic.x"}]}"#;
    let cut = without_tagged(RESPONSES, &Bytes::from(items)).expect("it has one");
    assert_eq!(&cut[..], br#"{"input":[{"type":"message","role":"user","content":"hi"}]}"#);
    // And Claude's own blocks are not sent to others.
    let sent = from_messages(&[
        user(json!("hi")),
        assistant(&[
            json!({"type": "thinking", "thinking": "secret", "signature": "EqQB"}),
            json!({"type": "text", "text": "Hi"}),
        ]),
        user(json!("go on")),
    ]);
    let body = sent.body.to_string();
    assert!(!body.contains("EqQB") && !body.contains("secret"), "{body}");
}

#[test]
fn case_40_signed_reasoning_comes_back_to_its_maker_as_it_was() {
    let thinking =
        |text: &str, signature: &str| json!({"type": "thinking", "thinking": text, "signature": signature});
    let turns: Vec<Vec<Value>> = vec![
        vec![
            thinking("first\n\n é", "sig1"),
            json!({"type": "redacted_thinking", "data": "hidden"}),
            tool_use("toolu_1"),
        ],
        vec![thinking("", "sig2"), tool_use("toolu_2")],
        vec![thinking("third", "sig3"), json!({"type": "text", "text": "Done."})],
    ];
    // A client of Responses takes three turns with a model of Anthropic, as streams.
    let mut input = vec![json!({"type": "message", "role": "user", "content": "go"})];
    for turn in &turns {
        let parts: Vec<(Value, Vec<Value>)> = turn.iter().map(block_parts).collect();
        let stream = streamed(MESSAGES, RESPONSES, &message(&parts, "end_turn"), asked(RESPONSES, MESSAGES));
        let told = events(&stream);
        let output =
            super::only(&told, "response.completed")["response"]["output"].as_array().expect("items").clone();
        let calls: Vec<Value> =
            output.iter().filter(|item| item["type"] == "function_call").cloned().collect();
        input.extend(output);
        for call in calls {
            input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}));
        }
    }
    input.push(json!({"type": "message", "role": "user", "content": "and now?"}));
    let sent = sent(RESPONSES, MESSAGES, &json!({"model": "m", "input": input}));
    let contents: Vec<Value> = sent.body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "assistant")
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(contents, turns.iter().map(|turn| json!(turn)).collect::<Vec<_>>());
}

/// A block as a stream begins it, and its deltas.
fn block_parts(block: &Value) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("thinking") => {
            let mut deltas = Vec::new();
            if block["thinking"] != "" {
                deltas.push(json!({"type": "thinking_delta", "thinking": block["thinking"]}));
            }
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
        }
        Some("text") => super::text_block(block["text"].as_str().expect("text")),
        _ => (block.clone(), Vec::new()),
    }
}

#[test]
fn openai_reasoning_goes_through_a_messages_client_and_back() {
    let answer = json!({
        "id": "resp_up", "model": "m", "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1},
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "enc"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        ],
    });
    let told = answered(RESPONSES, MESSAGES, &answer, &asked(MESSAGES, RESPONSES));
    assert!(told["content"][0]["signature"].as_str().expect("a signature").starts_with("lr1.openai."));
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        user(json!("hi")), {"role": "assistant", "content": told["content"]}, user(json!([tool_result("call_1", "ok")])),
    ]});
    let input = &sent(MESSAGES, RESPONSES, &request).body["input"];
    assert_eq!(
        input[1],
        json!({
            "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "enc",
        })
    );
    assert_eq!((&input[2]["type"], &input[2]["call_id"]), (&json!("function_call"), &json!("call_1")));
}

#[test]
fn a_chat_client_that_carries_reasoning_gets_it_sealed() {
    let opening = json!({"model": "m", "include_reasoning": true, "messages": [user(json!("hi"))]});
    let asked = sent(CHAT, MESSAGES, &opening).asked;
    let answer = json!({
        "id": "m", "model": "m", "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "hidden"},
            {"type": "text", "text": "Hi"},
        ],
    });
    let message = answered(MESSAGES, CHAT, &answer, &asked)["choices"][0]["message"].clone();
    let back = to_messages(&[user(json!("hi")), message, user(json!("go on"))]);
    assert_eq!(back.body["messages"][1]["content"], answer["content"]);
    let plain = answered(MESSAGES, CHAT, &answer, &super::asked(CHAT, MESSAGES));
    assert_eq!(plain["choices"][0]["message"].get("reasoning_details"), None, "only for those that ask");
}

#[test]
fn case_41_items_of_one_turn_are_one_message() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "weather", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "ok"});
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"}, {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
        call("a"), call("b"), output("a"), output("b"),
    ]});
    let body = sent(RESPONSES, CHAT, &request).body;
    assert_eq!(roles(&body), ["user", "assistant", "tool", "tool"]);
    assert_eq!(body["messages"][1]["tool_calls"].as_array().expect("calls").len(), 2);
}

#[test]
fn case_42_results_come_first_in_the_users_turn() {
    let calls = [chat_call("a", "{}"), chat_call("b", "{}"), chat_call("c", "{}")];
    let sent = to_messages(&[
        user(json!("hi")),
        chat_calls(&calls),
        chat_result("c", "3"),
        chat_result("a", "1"),
        chat_result("b", "2"),
        user(json!("so?")),
    ]);
    assert_eq!(roles(&sent.body), ["user", "assistant", "user"]);
    let told: Vec<Value> = sent.body["messages"][2]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| json!([block["type"], block["tool_use_id"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([["tool_result", "a"], ["tool_result", "b"], ["tool_result", "c"], ["text", null]])
    );
}

#[test]
fn case_43_a_tools_message_goes_before_the_users() {
    let text = json!({"type": "text", "text": "so?"});
    let sent = from_messages(&[
        user(json!("hi")),
        assistant(&[tool_use("a")]),
        user(json!([text, tool_result("a", "ok")])),
    ]);
    assert_eq!(roles(&sent.body), ["user", "assistant", "tool", "user"]);
    assert_eq!(sent.body["messages"][3]["content"], "so?");
}

#[test]
fn case_44_images_in_results_reach_the_model() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}});
    let shown = json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "here"}, image]});
    let messages = [
        user(json!("hi")),
        assistant(&[tool_use("a"), tool_use("b")]),
        user(json!([shown, tool_result("b", "ok")])),
    ];
    let sent = from_messages(&messages);
    assert_eq!(roles(&sent.body), ["user", "assistant", "tool", "tool", "user"]);
    assert_eq!(sent.body["messages"][4]["content"][0]["image_url"]["url"], "data:image/png;base64,AA==");
    let request = json!({"model": "m", "max_tokens": 9, "messages": messages});
    let input = super::sent(MESSAGES, RESPONSES, &request).body["input"].clone();
    assert_eq!(
        input[3]["output"],
        json!([
            {"type": "input_text", "text": "here"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
        ])
    );
    let blind = ModelFacts { images: Allowed::No, ..ModelFacts::default() };
    let sent = try_sent(MESSAGES, CHAT, &request, &blind, &Profile::default()).expect("it crosses");
    assert!(
        !sent.body.to_string().contains("AA==") && sent.warnings.iter().any(|path| path.starts_with('!'))
    );
}

#[test]
fn case_45_a_failure_without_words_says_that_it_failed() {
    let failed = json!({"type": "tool_result", "tool_use_id": "a", "is_error": true});
    let sent = from_messages(&[user(json!("hi")), assistant(&[tool_use("a")]), user(json!([failed]))]);
    assert_eq!(sent.body["messages"][2]["content"], "Error: (no output)");
}

#[test]
fn case_46_calls_and_results_without_each_other() {
    let sent = to_messages(&[
        user(json!("hi")),
        chat_result("gone", "an old result"),
        chat_calls(&[chat_call("a", "{}")]),
        user(json!("never mind")),
    ]);
    assert_eq!(
        sent.body["messages"][0]["content"],
        json!([
            {"type": "text", "text": "hi"}, {"type": "text", "text": "an old result"},
        ])
    );
    assert_eq!(
        sent.body["messages"][2]["content"][0],
        json!({
            "type": "tool_result", "tool_use_id": "a", "content": "no result", "is_error": true,
        })
    );
    assert_eq!(sent.warnings, ["messages[1].content[0]", "messages.a"]);
}

#[test]
fn a_failure_without_its_call_still_says_that_it_is_one() {
    let failed =
        json!({"type": "tool_result", "tool_use_id": "gone", "content": "no such file", "is_error": true});
    let sent = from_messages(&[user(json!([failed]))]);
    assert_eq!(sent.body["messages"][0]["content"], json!("Error: no such file"));
}

#[test]
fn case_47_of_two_results_the_first_stays() {
    let sent = from_messages(&[
        user(json!("hi")),
        assistant(&[tool_use("a")]),
        user(json!([tool_result("a", "one"), tool_result("a", "two")])),
    ]);
    assert_eq!(roles(&sent.body), ["user", "assistant", "tool"]);
    assert_eq!(
        (&sent.body["messages"][2]["content"], &sent.warnings[..]),
        (&json!("one"), &["!messages[2].content[1]".to_owned()][..])
    );
}

#[test]
fn case_48_white_space_beside_calls_is_no_text() {
    let mut turn = chat_calls(&[chat_call("a", "{}")]);
    turn["content"] = json!(" \n");
    let sent = to_messages(&[user(json!("hi")), turn, chat_result("a", "ok")]);
    let content = sent.body["messages"][1]["content"].as_array().expect("blocks");
    assert_eq!((content.len(), &content[0]["type"]), (1, &json!("tool_use")));
}

#[test]
fn instructions_between_turns_are_told_where_the_model_takes_them() {
    let messages = [user(json!("a")), json!({"role": "system", "content": "careful"}), user(json!("b"))];
    let wrapped = "<system>\ncareful\n</system>";
    assert_eq!(to_messages(&messages).body["messages"][0]["content"][1]["text"], wrapped);
    let facts = ModelFacts { system_turns: Allowed::Yes, ..ModelFacts::default() };
    let request = json!({"model": "m", "messages": messages[..2]});
    let sent = try_sent(CHAT, MESSAGES, &request, &facts, &Profile::default()).expect("it crosses");
    assert_eq!(roles(&sent.body), ["user", "system"]);
    let claude = [user(json!("a")), json!({"role": "system", "content": "careful"})];
    assert_eq!(from_messages(&claude).body["messages"][1], json!({"role": "user", "content": wrapped}));
}

#[test]
fn the_attribution_of_claude_code_stays_with_anthropic() {
    let request = json!({
        "model": "m", "max_tokens": 9, "messages": [user(json!("hi"))],
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1"}, {"type": "text", "text": "Be brief."}],
    });
    assert_eq!(
        sent(MESSAGES, CHAT, &request).body["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    assert_eq!(sent(MESSAGES, RESPONSES, &request).body["instructions"], "Be brief.");
}

#[test]
fn a_thinking_stream_is_told_whole_and_in_order() {
    let parts = [
        block_parts(&json!({"type": "thinking", "thinking": "hm", "signature": "s"})),
        block_parts(&json!({"type": "text", "text": "Hi"})),
    ];
    let stream = streamed(MESSAGES, RESPONSES, &message(&parts, "end_turn"), asked(RESPONSES, MESSAGES));
    let back = streamed(RESPONSES, MESSAGES, &stream, asked(MESSAGES, RESPONSES));
    let blocks = blocks(&events(&back));
    assert_eq!((&blocks[0]["thinking"], &blocks[1]["text"]), (&json!("hm"), &json!("Hi")));
}
